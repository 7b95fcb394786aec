"""A run goes from a recipe to its end, and says what happens on the way."""

import csv
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from tests.train.tiny import joint_recipe, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.run import evaluate_run
from tumorlens.train.module import SegmentationModule, TumorModule
from tumorlens.train.recipe import Recipe
from tumorlens.train.recipe_file import load_recipe
from tumorlens.train.run import Run
from tumorlens.train.split import Side, make_split
from tumorlens.train.trainer import train


def silent(_: str) -> None:
    """Report nothing."""


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_a_run_leaves_all_that_its_folder_promises(task: str, tiny: TumorDataset, tmp_path: Path) -> None:
    said: list[str] = []
    recipe = tiny_recipe(task=task)
    run = train(recipe, tiny, tmp_path / "run", report=said.append)
    assert run.is_finished
    assert Run(run.folder).recipe == recipe
    assert Run(run.folder).split == make_split(tiny, recipe.split)
    rows = list(csv.DictReader(run.metrics.open()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert {"train_loss", "validation_loss", "train_score", "validation_score", "learning_rate"} <= set(
        rows[0]
    )
    assert [line.split(":")[0] for line in said if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    record = json.loads((run.folder / "run.json").read_text())
    assert record["task"] == task
    assert record["best_score"] == max(float(row["validation_score"]) for row in rows)
    assert not list(run.folder.rglob("*.partial"))
    weights = run.load_network().state_dict()
    assert all(torch.equal(weights[n], t) for n, t in safetensors.torch.load_file(run.best_weights).items())


def test_training_learns(tiny: TumorDataset, tmp_path: Path) -> None:
    recipe = tiny_recipe(
        "training.phases=[{epochs: 12, learning_rate: 0.01}]",
        "training.patience=99",
        "augmentation.probability=0",
    )
    history = train(recipe, tiny, tmp_path / "run", report=silent).history()
    assert history["train_loss"].iloc[-1] < 0.7 * history["train_loss"].iloc[0]
    assert history["train_score"].iloc[-1] > 0.5


def test_the_same_recipe_gives_the_same_weights(tiny: TumorDataset, tmp_path: Path) -> None:
    recipe = tiny_recipe("augmentation.probability=1")
    torch.manual_seed(1)
    one = train(recipe, tiny, tmp_path / "one", report=silent)
    torch.manual_seed(2)
    two = train(recipe, tiny, tmp_path / "two", report=silent)
    assert one.best_weights.read_bytes() == two.best_weights.read_bytes()
    other = train(tiny_recipe("training.seed=1"), tiny, tmp_path / "other", report=silent)
    assert other.best_weights.read_bytes() != one.best_weights.read_bytes()


def test_the_kept_weights_are_those_of_the_best_epoch(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[dict[str, Tensor]] = []
    _dictate_scores(monkeypatch, [0.2, 0.7, 0.7, 0.1], kept)
    recipe = tiny_recipe("training.phases=[{epochs: 4, learning_rate: 0.01}]")
    said: list[str] = []
    run = train(recipe, tiny, tmp_path / "run", report=said.append)
    assert run.record.best_epoch == 1  # the third epoch's equal score comes with an equal loss, but later
    stored = safetensors.torch.load_file(run.best_weights)
    assert all(torch.equal(stored[name], tensor) for name, tensor in kept[1].items())
    assert [line.split(":")[0] for line in said if "best so far" in line] == ["epoch 1/4", "epoch 2/4"]
    assert said[-1].startswith("best epoch 2")  # counted as the epochs' lines count


def _dictate_scores(
    monkeypatch: pytest.MonkeyPatch, scores: list[float], kept: list[dict[str, Tensor]] | None = None
) -> None:
    """Make the validation score of each epoch what the test wants, the validation loss 1."""

    def validation_step(self: TumorModule, batch: object, batch_idx: int) -> None:
        if kept is not None and batch_idx == 0:
            kept.append({name: tensor.clone() for name, tensor in self.network.state_dict().items()})
        self.log("validation_loss", 1.0, on_epoch=True, batch_size=4)
        self.log("validation_score", scores[self.current_epoch], on_epoch=True, batch_size=4)

    monkeypatch.setattr(SegmentationModule, "validation_step", validation_step)


PHASES = "training.phases=[{epochs: 3, learning_rate: 0.001}, {epochs: 7, learning_rate: 0.001}]"
# The first phase gets worse all the time; in the second, the fifth epoch is the best.
SCORES = [0.9, 0.5, 0.4, 0.3, 0.35, 0.2, 0.2, 0.2, 0.2, 0.2]


def test_patience_counts_within_the_last_phase(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dictate_scores(monkeypatch, SCORES)
    run = train(tiny_recipe(PHASES, "training.patience=2"), tiny, tmp_path / "run", report=silent)
    assert len(run.history()) == 7
    assert run.record.best_epoch == 0


def test_a_run_killed_after_patience_ran_out_does_not_train_on(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dictate_scores(monkeypatch, SCORES)
    recipe = tiny_recipe(PHASES, "training.patience=2")
    _unfinished(tiny, tmp_path / "run", monkeypatch, recipe)
    run = train(recipe, tiny, tmp_path / "run", resume=True, report=silent)
    assert run.is_finished
    assert len(run.history()) == 7


def test_a_run_killed_after_its_last_epoch_only_gets_finished(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _unfinished(tiny, tmp_path / "run", monkeypatch)
    before = (tmp_path / "run" / "best.safetensors").read_bytes()
    run = train(tiny_recipe(), tiny, tmp_path / "run", resume=True, report=silent)
    assert run.is_finished
    assert len(run.history()) == 2
    assert run.best_weights.read_bytes() == before


def test_a_loss_that_is_no_number_ends_training_and_leaves_good_weights(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = SegmentationModule.loss_and_score

    def broken(self: SegmentationModule, batch: object) -> tuple[Tensor, Tensor]:
        loss, score = honest(self, batch)  # type: ignore[arg-type]
        return loss * (float("nan") if self.current_epoch == 1 else 1), score

    monkeypatch.setattr(SegmentationModule, "loss_and_score", broken)
    with pytest.raises(TumorlensError, match="epoch 2: train_loss, validation_loss is not a number"):
        train(tiny_recipe(), tiny, tmp_path / "run", report=silent)
    kept = safetensors.torch.load_file(tmp_path / "run" / "best.safetensors")
    assert all(tensor.isfinite().all() for tensor in kept.values())


def test_a_finished_run_says_so_and_stays(tiny: TumorDataset, tmp_path: Path) -> None:
    train(tiny_recipe(), tiny, tmp_path / "run", report=silent)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    said: list[str] = []
    train(tiny_recipe(), tiny, tmp_path / "run", resume=True, report=said.append)
    assert said == [f"{tmp_path / 'run'}: already trained to its end"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before


def test_a_run_without_resume_is_left_alone(tiny: TumorDataset, tmp_path: Path) -> None:
    train(tiny_recipe(), tiny, tmp_path / "run", report=silent)
    with pytest.raises(TumorlensError, match="found a run; go on with it by --resume"):
        train(tiny_recipe(), tiny, tmp_path / "run", report=silent)


def test_another_recipe_is_refused_on_resume_unless_only_its_workers_differ(
    tiny: TumorDataset, tmp_path: Path
) -> None:
    train(tiny_recipe(), tiny, tmp_path / "run", report=silent)
    train(tiny_recipe("training.workers=1"), tiny, tmp_path / "run", resume=True, report=silent)
    with pytest.raises(TumorlensError, match="expected the recipe that the run began with"):
        train(tiny_recipe("training.batch_size=3"), tiny, tmp_path / "run", resume=True, report=silent)


def test_a_folder_with_other_things_in_it_is_refused(tiny: TumorDataset, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    for resume in (False, True):
        with pytest.raises(TumorlensError, match="expected a new or empty folder, found other files"):
            train(tiny_recipe(), tiny, tmp_path / "run", resume=resume, report=silent)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_a_file_in_the_run_s_place_is_refused(tiny: TumorDataset, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(TumorlensError, match="expected a new or empty folder"):
        train(tiny_recipe(), tiny, tmp_path / "run", report=silent)


@pytest.mark.parametrize(
    ("task", "override", "named"),
    [
        ("segmentation", "size=100", "multiples of 32, got 100 × 100"),
        ("classification", "model.encoder=vit_tiny_patch16_224", r"vit_tiny_patch16_224 takes, got 64"),
        ("segmentation", "model.encoder=test_vit", "pyramid|halve"),
        ("segmentation", "model.encoder=resnet5O", "resnet50"),
        ("segmentation", "model.decoder_channels=[8, 8, 8, 8, 8, 8, 8]", "decoder_channels: expected 1 to 5"),
        ("segmentation", "model.weights=absent.pt", "absent.pt: can't be read"),
        ("segmentation", "split={kind: folds, train: [1], validation: [2], test: [3]}", "cvind.mat"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_before_anything_is_written(
    task: str, override: str, named: str, tiny: TumorDataset, tmp_path: Path
) -> None:
    with pytest.raises(TumorlensError, match=named):
        train(tiny_recipe(override, task=task), tiny, tmp_path / "run", report=silent)
    assert not (tmp_path / "run").exists()


def test_an_interrupted_start_leaves_a_folder_that_resume_takes(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("task: segm")
    (folder / ".split.json.0ff1ce0b.partial").write_text("{")
    run = train(tiny_recipe(), tiny, folder, resume=True, report=silent)
    assert run.is_finished
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_damaged_checkpoint_is_told(
    kept: float, tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _unfinished(tiny, tmp_path / "run", monkeypatch)
    whole = run.last_checkpoint.read_bytes()
    run.last_checkpoint.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(TumorlensError, match=r"last\.ckpt: .*delete this file to train") as caught:
        train(tiny_recipe(), tiny, run.folder, resume=True, report=silent)
    assert "\n" not in str(caught.value)
    best = run.best_weights.read_bytes()
    run.last_checkpoint.unlink()  # the advice helps
    assert train(tiny_recipe(), tiny, run.folder, resume=True, report=silent).is_finished
    assert run.best_weights.read_bytes() == best


def test_a_checkpoint_that_runs_code_is_refused_and_not_run(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _unfinished(tiny, tmp_path / "run", monkeypatch)
    content = torch.load(run.last_checkpoint, weights_only=True)

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.mkdir.__globals__["os"].mkdir, (str(tmp_path / "sprung"),)

    torch.save({**content, "trap": Trap()}, run.last_checkpoint)
    with pytest.raises(TumorlensError, match=r"last\.ckpt"):
        train(tiny_recipe(), tiny, run.folder, resume=True, report=silent)
    assert not (tmp_path / "sprung").exists()


def _unfinished(
    tiny: TumorDataset, folder: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe | None = None
) -> Run:
    """A run that was killed right before its end was recorded."""

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "finish", killed)
        with pytest.raises(RuntimeError, match="killed"):
            train(recipe or tiny_recipe(), tiny, folder, report=silent)
    return Run(folder)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_damaged_best_weights_are_told(kept: float, tiny: TumorDataset, tmp_path: Path) -> None:
    run = train(tiny_recipe(), tiny, tmp_path / "run", report=silent)
    whole = run.best_weights.read_bytes()
    run.best_weights.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(TumorlensError, match=r"best\.safetensors: expected the weights of its recipe"):
        run.load_network()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"format": 2, "tumorlens": "9.1"}', r"expected a run of format 1, got 2 \(tumorlens 9\.1\)"),
        ('{"format": 1}', "expected the record of a run"),
        ("[]", "expected a run folder"),
        ("{", "expected a run folder"),
    ],
)
def test_a_run_of_another_format_is_refused(
    content: str, named: str, tiny: TumorDataset, tmp_path: Path
) -> None:
    run = train(tiny_recipe(), tiny, tmp_path / "run", report=silent)
    (run.folder / "run.json").write_text(content)
    with pytest.raises(TumorlensError, match=named):
        Run(run.folder)


def test_the_shipped_smoke_recipe_trains_on_real_slices(slices_folder: Path, tmp_path: Path) -> None:
    from tumorlens.dataset import open_dataset

    dataset = open_dataset(slices_folder, tmp_path / "cache")
    run = train(load_recipe("smoke"), dataset, tmp_path / "run", report=silent)
    assert run.is_finished
    assert {len(run.split.files(side)) for side in Side} == {6, 3}


def test_a_joint_run_is_measured_for_both_tasks_and_for_trust(tiny: TumorDataset, tmp_path: Path) -> None:
    recipe = joint_recipe(tmp_path, "training.phases=[{epochs: 1, learning_rate: 0.001}]")
    run = train(recipe, tiny, tmp_path / "run", report=silent)
    evaluations = evaluate_run(run, tiny)
    assert sorted(evaluations) == ["classification", "segmentation", "trust"]
    for task in evaluations:
        results = run.folder / "evaluation-test" / task / "results.json"
        assert json.loads(results.read_text())["task"] == task
    folder = run.folder / "evaluation-test"
    figures = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert {"segmentation/figure-1-cases.png", "classification/figure-3-score.png"} <= figures
    assert not any(path.startswith("trust") for path in figures)
    trust = evaluations["trust"].slices[["pointing", "energy", "strangeness", "inside_probability"]]
    assert trust.notna().all(axis=None)


def files_of(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("resume", [True, False])
def test_a_run_that_is_being_trained_is_left_alone(tiny: TumorDataset, tmp_path: Path, resume: bool) -> None:
    """Somebody gives the same command again, with --resume, in another window."""
    refused: list[str] = []

    def again(line: str) -> None:
        if line.startswith("epoch 1"):
            before = files_of(tmp_path / "run")
            with pytest.raises(TumorlensError, match="another one writes here") as told:
                train(tiny_recipe(), tiny, tmp_path / "run", resume=resume, report=silent)
            refused.append(str(told.value))
            assert files_of(tmp_path / "run") == before

    assert train(tiny_recipe(), tiny, tmp_path / "run", report=again).is_finished
    assert refused
    assert train(tiny_recipe(), tiny, tmp_path / "run", resume=True, report=silent).is_finished


def test_two_that_begin_a_run_at_once_do_not_mix(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins while the first still tries its network out, which may take as long as a download."""
    refused: list[str] = []

    def also(*told: object) -> None:
        if not refused:
            refused.append("")
            with pytest.raises(TumorlensError, match="another one writes here"):
                train(tiny_recipe("training.seed=2"), tiny, tmp_path / "run", report=silent)

    monkeypatch.setattr("tumorlens.train.trainer._try_out", also)
    run = train(tiny_recipe("training.seed=1"), tiny, tmp_path / "run", report=silent)
    assert refused
    assert Run(run.folder).recipe.training.seed == 1


def test_a_finished_run_that_may_not_be_written_is_still_finished(tiny: TumorDataset, tmp_path: Path) -> None:
    run = train(tiny_recipe(), tiny, tmp_path / "run", report=silent)
    (run.folder / ".lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    said: list[str] = []
    train(tiny_recipe(), tiny, run.folder, resume=True, report=said.append)
    assert said == [f"{run.folder}: already trained to its end"]
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_what_cannot_be_trained_leaves_no_folder_behind(tiny: TumorDataset, tmp_path: Path) -> None:
    with pytest.raises(TumorlensError):
        train(tiny_recipe("model.weights=nowhere.safetensors"), tiny, tmp_path / "run", report=silent)
    assert not (tmp_path / "run").exists()
