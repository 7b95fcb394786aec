"""Without slices to validate on, a run goes to the end of its schedule and keeps its last weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.train.tiny import killed_after, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.run import evaluate_run
from tumorlens.train.run import Run
from tumorlens.train.split import Side
from tumorlens.train.trainer import train

UNVALIDATED = (
    "split={kind: folds, train: [1, 2], validation: [], test: [3]}",
    (
        "training.phases=[{epochs: 1, learning_rate: 0.003, trainable: last-block}, "
        "{epochs: 4, learning_rate: 0.003}]"
    ),
    "training.patience=1",
    "augmentation.probability=1",
)


def silent(_: str) -> None:
    """Report nothing."""


@pytest.fixture(scope="module")
def folded(tiny: TumorDataset) -> TumorDataset:
    """The tiny dataset in three folds, the patients of each type divided among them."""
    entries = [replace(entry, fold=1 + int(entry.patient.split()[1]) // 4) for entry in tiny.entries]
    return TumorDataset(tiny.root, entries, tiny.folder)


def test_a_run_without_validation_goes_to_the_end_of_its_schedule(
    folded: TumorDataset, tmp_path: Path
) -> None:
    said: list[str] = []
    run = train(tiny_recipe(*UNVALIDATED), folded, tmp_path / "run", report=said.append)
    assert run.is_finished
    assert (run.record.best_epoch, run.record.best_score) == (4, None)
    assert (len(run.split.train), len(run.split.validation), len(run.split.test)) == (16, 0, 8)
    history = run.history()
    assert history["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert (
        history[["train_loss", "train_score", "learning_rate", "train_slices_per_second"]]
        .notna()
        .all(axis=None)
    )
    assert history[["validation_loss", "validation_score"]].isna().all(axis=None)
    epochs = [line for line in said if line.startswith("epoch")]
    assert [line.split(":")[0] for line in epochs] == [f"epoch {number}/5" for number in range(1, 6)]
    assert not any("nan" in line or "best" in line or "validation " in line for line in epochs)
    trained = torch.load(run.last_checkpoint, weights_only=True)["state_dict"]
    kept = safetensors.torch.load_file(run.best_weights)
    assert all(torch.equal(tensor, trained[f"network.{name}"]) for name, tensor in kept.items())


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_run_without_validation_that_was_killed_ends_as_an_uninterrupted_one(
    after: int, folded: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(*UNVALIDATED)
    whole = train(recipe, folded, tmp_path / "whole", report=silent)
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, folded, tmp_path / "killed", report=killed_after(after))
    assert not Run(tmp_path / "killed").is_finished
    resumed = train(recipe, folded, tmp_path / "killed", resume=True, report=silent)
    assert resumed.best_weights.read_bytes() == whole.best_weights.read_bytes()
    assert resumed.record.best_epoch == whole.record.best_epoch == 4
    assert resumed.record.best_score is None
    clock = ["seconds", "train_slices_per_second"]
    assert resumed.history().drop(columns=clock).equals(whole.history().drop(columns=clock))


def test_a_run_without_validation_is_evaluated_without_its_curves(
    folded: TumorDataset, tmp_path: Path
) -> None:
    run = train(tiny_recipe(*UNVALIDATED), folded, tmp_path / "run", report=silent)
    evaluation = evaluate_run(run, folded)["segmentation"]
    assert len(evaluation.slices) == 8
    folder = run.folder / "evaluation-test"
    assert [path.name for path in folder.glob("*.png")] == ["figure-1-cases.png"]
    protocol = json.loads((folder / "results.json").read_text())["protocol"]
    assert (protocol["weights of epoch"], protocol["epochs run"]) == (5, 5)


def test_an_empty_side_is_not_evaluated(folded: TumorDataset, tmp_path: Path) -> None:
    everything = "split={kind: folds, train: [1, 2, 3], validation: [], test: []}"
    run = train(tiny_recipe(*UNVALIDATED[1:], everything), folded, tmp_path / "run", report=silent)
    for side in (Side.TEST, Side.VALIDATION):
        with pytest.raises(TumorlensError, match=f"expected slices to {side}, found none in the run's split"):
            evaluate_run(run, folded, side)
    assert not list(run.folder.glob("evaluation*"))
    assert len(evaluate_run(run, folded, Side.TRAIN)["segmentation"].slices) == 24
