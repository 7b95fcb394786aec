"""What an evaluation leaves behind: results.json for programs, results.md for people, slices.csv for both."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.atomic import replacing, write_text
from tumorlens.evaluate.bootstrap import Estimate
from tumorlens.evaluate.classification import UNDEFINED_POLICY, ClassificationEvaluation, ClassMetrics
from tumorlens.evaluate.segmentation import (
    AVERAGING,
    EMPTY_MASK_POLICY,
    SegmentationEvaluation,
    SegmentationSummary,
)
from tumorlens.evaluate.trust import POLICY, TrustEvaluation
from tumorlens.tumor_type import TumorType

SCHEMA_VERSION = 1
PAPER = "Brain Tumor Segmentation and Classification, Toronto Metropolitan University"
PAPER_VALUES = {"dice": 0.7495, "accuracy": 0.96}

_TITLES = {
    "dice": "Dice",
    "iou": "IoU",
    "precision": "Precision",
    "recall": "Recall",
    "hd95_mm": "HD95 (mm)",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "calibration_error": "Expected calibration error",
    "f1": "F1",
    "auroc": "AUROC, one against the rest",
    "pointing_game": "Pointing game",
    "energy_inside": "Energy inside the tumor",
    "flagged": "Slices with a warning",
}
_CLASS_SCORES = ("precision", "recall", "f1", "auroc")
_HEADLINES = ("accuracy", "balanced_accuracy", "calibration_error")
_DECIMALS = 6
Evaluation = SegmentationEvaluation | ClassificationEvaluation | TrustEvaluation


def write_report(evaluation: Evaluation, folder: Path, protocol: Mapping[str, object]) -> None:
    """Write results.json, results.md and slices.csv, each whole or not at all.

    Args:
        evaluation: What was measured.
        folder: Where to write; made if missing.
        protocol: How it was measured, in the words of the caller: model, data, folds, thresholds. Values are
            strings, numbers, None, lists and mappings; numbers that aren't finite are written as null.

    Raises:
        OSError: A file could not be written.
        TypeError: ``protocol`` holds a value that JSON can't.
    """
    results = results_json(evaluation, protocol)
    write_text(folder / "results.json", json.dumps(results, indent=2, allow_nan=False) + "\n")
    write_text(folder / "results.md", results_markdown(evaluation, protocol))
    with replacing(folder / "slices.csv") as temporary:
        evaluation.slices.to_csv(temporary, index=False, float_format=f"%.{_DECIMALS}g")


def results_json(evaluation: Evaluation, protocol: Mapping[str, object]) -> dict[str, Any]:
    """The results as plain values that JSON holds: scores 0 to 1, distances in mm, None for undefined."""
    details: dict[str, object]
    match evaluation:
        case SegmentationEvaluation():
            details = _segmentation(evaluation)
        case ClassificationEvaluation():
            details = _classification(evaluation)
        case TrustEvaluation():
            details = _trust(evaluation)
    interval = {
        "method": "percentile bootstrap over patients",
        "level": evaluation.level,
        "resamples": evaluation.resamples,
        "seed": evaluation.seed,
    }
    head = {"schema_version": SCHEMA_VERSION, "protocol": dict(protocol), "interval": interval}
    plain: dict[str, Any] = _plain({**head, **details})
    return plain


def results_markdown(evaluation: Evaluation, protocol: Mapping[str, object]) -> str:
    """The results as Markdown: overall, for each tumor type, what the numbers mean, the protocol."""
    match evaluation:
        case SegmentationEvaluation():
            lines = _segmentation_lines(evaluation)
        case ClassificationEvaluation():
            lines = _classification_lines(evaluation)
        case TrustEvaluation():
            lines = _trust_lines(evaluation)
    intervals = (
        f"Intervals: {_percent(evaluation.level)}, percentile bootstrap over patients "
        f"({evaluation.resamples} resamples, seed {evaluation.seed}): all slices of a drawn patient "
        f"come along. Paper: *{PAPER}*, on its own test split, without an interval."
    )
    table = _table(["", ""], [[name, in_words(value)] for name, value in protocol.items()])
    return "\n".join([*lines, intervals, "", "## Protocol", "", *table])


def _segmentation(evaluation: SegmentationEvaluation) -> dict[str, object]:
    per_class = {label.name.lower(): asdict(summary) for label, summary in evaluation.per_class.items()}
    return {
        "task": "segmentation",
        **asdict(evaluation.overall),
        "per_class": per_class,
        "paper": {"title": PAPER, "dice": PAPER_VALUES["dice"]},
        "averaging": AVERAGING,
        "empty_masks": EMPTY_MASK_POLICY,
    }


def _classification(evaluation: ClassificationEvaluation) -> dict[str, object]:
    metrics = evaluation.metrics
    return {
        "task": "classification",
        "slices": len(evaluation.slices),
        "patients": evaluation.patients,
        "scores": {name: asdict(getattr(metrics, name)) for name in _HEADLINES},
        "per_class": {label.name.lower(): asdict(scores) for label, scores in metrics.per_class.items()},
        "confusion": {"rows": "true", "columns": "predicted", "counts": metrics.confusion.tolist()},
        "paper": {"title": PAPER, "accuracy": PAPER_VALUES["accuracy"]},
        "undefined": UNDEFINED_POLICY,
    }


def _trust(evaluation: TrustEvaluation) -> dict[str, object]:
    return {
        "task": "trust",
        "slices": len(evaluation.slices),
        "patients": evaluation.patients,
        "scores": {name: asdict(estimate) for name, estimate in evaluation.scores.items()},
        "per_class": {
            label.name.lower(): {name: asdict(estimate) for name, estimate in scores.items()}
            for label, scores in evaluation.per_class.items()
        },
        "warnings": {str(kind): share for kind, share in evaluation.warnings.items()},
        "policy": POLICY,
    }


def _segmentation_lines(evaluation: SegmentationEvaluation) -> list[str]:
    overall = evaluation.overall
    groups = [(label.title, evaluation.per_class[label]) for label in TumorType]
    return [
        "# Segmentation results",
        "",
        _size(overall.slices, overall.patients)
        + f"; slices with nothing outlined: {overall.nothing_outlined}.",
        "",
        *_headline_table(overall.scores, evaluation.level),
        "## By tumor type",
        "",
        *_table(
            ["", *(title for title, _ in groups)], _segmentation_rows([summary for _, summary in groups])
        ),
        AVERAGING + " " + EMPTY_MASK_POLICY + f" HD95 leaves out {overall.hd95_undefined} slices here.",
        "",
    ]


def _segmentation_rows(groups: list[SegmentationSummary]) -> list[list[str]]:
    scores = [
        [_TITLES[name], *(_full(name, group.scores[name]) for group in groups)] for name in groups[0].scores
    ]
    return [
        ["Slices", *(str(group.slices) for group in groups)],
        ["Patients", *(str(group.patients) for group in groups)],
        ["Slices with nothing outlined", *(str(group.nothing_outlined) for group in groups)],
        *scores,
    ]


def _classification_lines(evaluation: ClassificationEvaluation) -> list[str]:
    metrics = evaluation.metrics
    titles = [label.title for label in TumorType]
    groups = [metrics.per_class[label] for label in TumorType]
    counts = [[title, *map(str, row)] for title, row in zip(titles, metrics.confusion.tolist(), strict=True)]
    return [
        "# Classification results",
        "",
        _size(len(evaluation.slices), evaluation.patients) + ".",
        "",
        *_headline_table({name: getattr(metrics, name) for name in _HEADLINES}, evaluation.level),
        "## By tumor type",
        "",
        *_table(["", *titles], _classification_rows(groups)),
        "## Confusion matrix",
        "",
        *_table(["true type, by row; predicted, by column", *titles], counts),
        UNDEFINED_POLICY,
        "",
    ]


def _trust_lines(evaluation: TrustEvaluation) -> list[str]:
    rows = [
        [_TITLES[name], *(_full(name, evaluation.per_class[label][name]) for label in TumorType)]
        for name in evaluation.scores
    ]
    warnings = [[str(kind), f"{share:.1%}"] for kind, share in evaluation.warnings.items()]
    return [
        "# Heatmaps and warnings",
        "",
        _size(len(evaluation.slices), evaluation.patients) + ".",
        "",
        *_headline_table(evaluation.scores, evaluation.level),
        "## By tumor type",
        "",
        *_table(["", *(label.title for label in TumorType)], rows),
        "## Warnings",
        "",
        *_table(["Kind", "Share of slices"], warnings),
        POLICY,
        "",
    ]


def _classification_rows(groups: list[ClassMetrics]) -> list[list[str]]:
    return [
        ["Slices", *(str(group.slices) for group in groups)],
        ["Patients", *(str(group.patients) for group in groups)],
        *(
            [_TITLES[name], *(_full(name, getattr(group, name)) for group in groups)]
            for name in _CLASS_SCORES
        ),
    ]


def _headline_table(scores: Mapping[str, Estimate], level: float) -> list[str]:
    rows = []
    for name, estimate in scores.items():
        value, interval = _value_and_interval(name, estimate)
        paper = format(PAPER_VALUES[name], "g") if name in PAPER_VALUES else ""
        rows.append([_TITLES[name], value, interval, paper])
    return _table(["Metric", "Value", f"{_percent(level)} interval", "Paper"], rows)


def _value_and_interval(name: str, estimate: Estimate) -> tuple[str, str]:
    value, _, interval = _full(name, estimate).partition(" ")
    return value, interval.strip("()")


def _full(name: str, estimate: Estimate) -> str:
    return format(estimate, ".1f" if name == "hd95_mm" else ".3f")


def _percent(level: float) -> str:
    return f"{100 * level:g}%"


def _size(slices: int, patients: int) -> str:
    return f"{slices} slices of {patients} patients"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(head), line(["---"] * len(head)), *map(line, rows), ""]


def in_words(value: object) -> str:
    """A protocol's value as a person reads it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {in_words(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value))
    return "none" if value is None else str(value)


def _plain(value: object) -> Any:
    """Only what JSON holds: numbers that aren't finite become None, others are rounded."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return round(value, _DECIMALS) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value
