import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tumorlens.evaluate.classification import ClassificationEvaluation, evaluate_classification
from tumorlens.evaluate.report import results_json, results_markdown, write_report
from tumorlens.evaluate.segmentation import (
    EMPTY_MASK_POLICY,
    SegmentationCase,
    SegmentationEvaluation,
    evaluate_segmentation,
)
from tumorlens.tumor_type import TumorType

PROTOCOL = {"model": "attention | U-Net", "folds": [4, 5], "threshold": np.float32(0.5), "unknown": math.nan}


def cases() -> list[SegmentationCase]:
    true = np.zeros((20, 20), dtype=np.bool_)
    true[5:15, 5:15] = True
    predictions = [true, np.roll(true, 5, axis=0), np.zeros_like(true)]
    labels = [TumorType.GLIOMA, TumorType.GLIOMA, TumorType.PITUITARY]
    return [
        SegmentationCase(f"{n}.mat", f"p{n}", label, 0.5, true, predicted, fold=5)
        for n, (label, predicted) in enumerate(zip(labels, predictions, strict=True))
    ]


@pytest.fixture
def segmentation() -> SegmentationEvaluation:
    return evaluate_segmentation(cases())


@pytest.fixture
def classification() -> ClassificationEvaluation:
    return evaluate_classification(cases(), np.array([[0.1, 0.8, 0.1], [0.1, 0.7, 0.2], [0.2, 0.7, 0.1]]))


def strictly(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    results: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return results


def test_three_files_are_written_and_nothing_else(
    segmentation: SegmentationEvaluation, tmp_path: Path
) -> None:
    write_report(segmentation, tmp_path / "results", PROTOCOL)
    names = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert names == ["results.json", "results.md", "slices.csv"]


def test_the_json_is_valid_and_undefined_numbers_are_null(
    segmentation: SegmentationEvaluation, tmp_path: Path
) -> None:
    write_report(segmentation, tmp_path, PROTOCOL)
    results = strictly((tmp_path / "results.json").read_text())
    assert results["schema_version"] == 1
    assert results["protocol"] == {
        "model": "attention | U-Net",
        "folds": [4, 5],
        "threshold": 0.5,
        "unknown": None,
    }
    assert results["scores"]["dice"]["value"] == pytest.approx(0.5)
    assert results["per_class"]["pituitary"]["scores"]["hd95_mm"] == {
        "value": None,
        "low": None,
        "high": None,
    }
    assert results["per_class"]["meningioma"]["slices"] == 0
    assert (results["slices"], results["patients"], results["nothing_outlined"]) == (3, 3, 1)
    assert results["interval"]["level"] == 0.95
    assert results["empty_masks"] == EMPTY_MASK_POLICY


def test_the_classification_json_holds_the_confusion_matrix_and_every_type(
    classification: ClassificationEvaluation, tmp_path: Path
) -> None:
    write_report(classification, tmp_path, {})
    results = strictly((tmp_path / "results.json").read_text())
    assert results["confusion"]["counts"] == [[0, 0, 0], [0, 2, 0], [0, 1, 0]]
    assert results["scores"]["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert results["per_class"]["glioma"]["recall"]["value"] == 1
    assert results["per_class"]["meningioma"]["auroc"]["value"] is None
    assert results["paper"]["accuracy"] == 0.96


def test_the_segmentation_table_puts_the_paper_beside_the_dice(segmentation: SegmentationEvaluation) -> None:
    text = results_markdown(segmentation, PROTOCOL)
    row = next(line for line in text.splitlines() if line.startswith("| Dice"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["Dice", "0.500", "0.000–1.000", "0.7495"]
    assert "slices with nothing outlined: 1" in text
    assert EMPTY_MASK_POLICY in text
    assert "| Metric | Value | 95% interval | Paper |" in text
    assert "| model | attention \\| U-Net |" in text
    assert "| folds | 4, 5 |" in text


def test_the_classification_table_puts_the_paper_beside_the_accuracy(
    classification: ClassificationEvaluation,
) -> None:
    text = results_markdown(classification, {})
    row = next(line for line in text.splitlines() if line.startswith("| Accuracy"))
    assert row.endswith("| 0.96 |")
    assert "| glioma | 0 | 2 | 0 |" in text
    assert "n/a" in text


def test_every_table_row_has_as_many_cells_as_its_head(
    segmentation: SegmentationEvaluation, classification: ClassificationEvaluation
) -> None:
    for evaluation in (segmentation, classification):
        for block in results_markdown(evaluation, PROTOCOL).split("\n\n"):
            rows = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
            assert len({row.count("|") for row in rows}) <= 1


def test_the_interval_is_named_by_its_level() -> None:
    text = results_markdown(evaluate_segmentation(cases(), level=0.9, resamples=50), {})
    assert "90% interval" in text
    assert "95%" not in text


def test_the_slices_are_a_table_with_empty_cells_for_undefined(
    segmentation: SegmentationEvaluation, tmp_path: Path
) -> None:
    write_report(segmentation, tmp_path, {})
    with (tmp_path / "slices.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["0.mat", "1.mat", "2.mat"]
    assert [row["label"] for row in rows] == ["glioma", "glioma", "pituitary"]
    assert [row["hd95_mm"] for row in rows] == ["0", "2.5", ""]
    assert rows[1]["dice"] == "0.5"
    assert rows[0]["fold"] == "5"


def test_a_protocol_that_json_cannot_hold_leaves_no_files(
    segmentation: SegmentationEvaluation, tmp_path: Path
) -> None:
    with pytest.raises(TypeError):
        write_report(segmentation, tmp_path / "results", {"model": object()})
    assert not (tmp_path / "results").exists()


def test_infinite_numbers_in_the_protocol_are_null(segmentation: SegmentationEvaluation) -> None:
    assert results_json(segmentation, {"patience": math.inf})["protocol"]["patience"] is None
