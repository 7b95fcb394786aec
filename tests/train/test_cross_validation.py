"""Cross-validation measured: every slice once, by the run that never saw it."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.train.tiny import joint_recipe, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.calibrate import calibrate, cross_validation_results
from tumorlens.evaluate.cross_validation import evaluate_folds, evaluate_members, is_new_to
from tumorlens.judgement import LookAgain
from tumorlens.train.cross_validation import cross_validate
from tumorlens.train.inference import runs_ensemble
from tumorlens.train.run import Run
from tumorlens.train.trainer import train

PHASE = "training.phases=[{epochs: 1, learning_rate: 0.001}]"


def silent(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds")


@pytest.fixture(scope="module")
def runs(tiny: TumorDataset, folder: Path) -> list[Run]:
    return cross_validate(tiny_recipe(PHASE), tiny, folder, folds=3, report=silent)


def test_each_slice_tests_once_by_a_run_that_never_saw_its_patient(
    runs: list[Run], tiny: TumorDataset, folder: Path
) -> None:
    evaluate_folds(runs, tiny, folder)
    table = pd.read_csv(folder / "slices.csv")
    assert sorted(table["file"]) == sorted(entry.file for entry in tiny.entries)
    patient = {entry.file: entry.patient for entry in tiny.entries}
    for run in runs:
        seen = {patient[file] for file in (*run.split.train, *run.split.validation)}
        assert not seen & {patient[file] for file in run.split.test}


def test_the_mean_over_folds_is_that_of_their_own_results(
    runs: list[Run], tiny: TumorDataset, folder: Path
) -> None:
    text = evaluate_folds(runs, tiny, folder)
    parts = [
        json.loads((run.folder / "evaluation-test" / "results.json").read_text())["scores"]["dice"]["value"]
        for run in runs
    ]
    gathered = json.loads((folder / "results.json").read_text())
    assert gathered["over folds"]["dice"]["mean"] == pytest.approx(sum(parts) / 3)
    assert f"{sum(parts) / 3:.4f}" in text.splitlines()[-1]


def test_a_joint_recipe_is_gathered_for_each_task(tiny: TumorDataset, tmp_path: Path) -> None:
    runs = cross_validate(joint_recipe(tmp_path, PHASE), tiny, tmp_path / "cv", folds=3, report=silent)
    text = evaluate_folds(runs, tiny, tmp_path / "cv")
    assert len(text.split("\n\n")) == 3
    for task in ("segmentation", "classification", "trust"):
        table = pd.read_csv(tmp_path / "cv" / task / "slices.csv")
        assert sorted(table["file"]) == sorted(entry.file for entry in tiny.entries)
    summary = json.loads((tmp_path / "cv" / "trust" / "results.json").read_text())["over folds"]
    assert set(summary) == {"pointing_game", "energy_inside"}
    measures = [result.measure for result in cross_validation_results(tmp_path / "cv")]
    assert {"segmentation: dice", "classification: accuracy", "trust: pointing_game"} <= set(measures)
    with pytest.raises(TumorlensError, match="expected at least 50 slices of at least 2 folds, got 24 of 0"):
        calibrate(tmp_path / "cv")


def test_folds_that_are_trained_are_kept(runs: list[Run], tiny: TumorDataset, folder: Path) -> None:
    before = [run.best_weights.stat().st_mtime_ns for run in runs]
    cross_validate(tiny_recipe(PHASE), tiny, folder, folds=3, report=silent)
    assert [run.best_weights.stat().st_mtime_ns for run in runs] == before


FOUR = "split={kind: folds, train: [1, 2], validation: [3], test: [4]}"


@pytest.fixture(scope="module")
def four_folds(
    tiny: TumorDataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Run], TumorDataset]:
    """A cross-validation over four folds of three patients; with one epoch there is nothing to choose."""
    entries = [replace(entry, fold=1 + int(entry.patient.split()[1]) // 3) for entry in tiny.entries]
    dataset = TumorDataset(tiny.root, entries, tiny.folder)
    folder = tmp_path_factory.mktemp("members")
    recipe = joint_recipe(folder, PHASE, FOUR)
    return cross_validate(recipe, dataset, folder / "cv", report=silent), dataset


def test_runs_together_look_only_at_slices_that_are_new_to_all_of_them(
    four_folds: tuple[list[Run], TumorDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, dataset = four_folds
    asked: list[list[Run]] = []

    def noting(looking: list[Run], known: object) -> object:
        asked.append(looking)
        return runs_ensemble(looking, known)  # type: ignore[arg-type]

    monkeypatch.setattr("tumorlens.evaluate.cross_validation.runs_ensemble", noting)
    text = evaluate_members(runs, dataset, tmp_path, 2)
    assert len(asked) == 4
    for run, looking in zip(runs, asked, strict=True):
        assert looking[0] is run
        assert len(looking) == 2
        assert not any(set(other.split.train) & set(run.split.test) for other in looking)
    table = pd.read_csv(tmp_path / "segmentation" / "slices.csv")
    assert sorted(table["file"]) == sorted(entry.file for entry in dataset.entries)
    assert text.count("mean ± SD") == 3
    protocol = json.loads((tmp_path / "fold-1" / "trust" / "results.json").read_text())["protocol"]
    assert protocol["runs together"] == "fold-1, fold-4"


def test_a_run_whose_best_epoch_was_chosen_on_slices_is_not_new_to_them(
    four_folds: tuple[list[Run], TumorDataset], tiny: TumorDataset, tmp_path: Path
) -> None:
    [first, *_, last], _ = four_folds
    assert is_new_to(first.split.test, last)
    assert not is_new_to(first.split.train, first)
    phases = "training.phases=[{epochs: 2, learning_rate: 0.001}]"
    chosen = train(joint_recipe(tmp_path, phases), tiny, tmp_path / "chosen", report=silent)
    assert is_new_to(chosen.split.test, chosen)
    assert not is_new_to(chosen.split.validation, chosen)


def test_how_a_trained_run_is_used_may_change(
    four_folds: tuple[list[Run], TumorDataset], tmp_path: Path
) -> None:
    runs, dataset = four_folds
    folder = runs[0].folder.parent
    looks = "analysis={flip: true, second_look: {below_dice: 0.5, below_probability: 0.9}}"
    before = runs[0].best_weights.read_bytes()
    again = cross_validate(joint_recipe(tmp_path, PHASE, FOUR, looks), dataset, folder, report=silent)
    assert again[0].best_weights.read_bytes() == before
    assert Run(again[0].folder).recipe.analysis.second_look == LookAgain(
        below_dice=0.5, below_probability=0.9
    )
