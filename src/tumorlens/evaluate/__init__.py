"""Metrics with confidence intervals, the figures of an evaluation, and the files that hold its results."""

from tumorlens.evaluate.bootstrap import Estimate, clustered_interval
from tumorlens.evaluate.classification import (
    ClassificationEvaluation,
    classification_metrics,
    evaluate_classification,
)
from tumorlens.evaluate.report import write_report
from tumorlens.evaluate.segmentation import (
    SegmentationCase,
    SegmentationEvaluation,
    SliceScores,
    evaluate_segmentation,
    score_slice,
)

__all__ = [
    "ClassificationEvaluation",
    "Estimate",
    "SegmentationCase",
    "SegmentationEvaluation",
    "SliceScores",
    "classification_metrics",
    "clustered_interval",
    "evaluate_classification",
    "evaluate_segmentation",
    "score_slice",
    "write_report",
]
