"""Cross-validation measured: every slice once, by the run that never saw it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.train.tiny import joint_recipe, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.calibrate import calibrate, cross_validation_results
from tumorlens.evaluate.cross_validation import evaluate_folds
from tumorlens.train.cross_validation import cross_validate
from tumorlens.train.run import Run

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
