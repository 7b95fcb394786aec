"""How well tumor types are named: accuracy, F1, AUROC and calibration, with intervals over patients."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from tumorlens.evaluate.bootstrap import LEVEL, RESAMPLES, Estimate, PatientBootstrap, divide
from tumorlens.evaluate.calibration import CALIBRATION_BINS, calibration_sums, error_of_sums
from tumorlens.tumor_type import TumorType

CLASSES = len(TumorType)
_ClassStatistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
UNDEFINED_POLICY = (
    "Precision isn't defined for a type that is never predicted, recall and AUROC not for a type without "
    "slices; such numbers are left empty. Balanced accuracy is the mean recall of the types with slices. "
    "Expected calibration error: 15 bins of equal width on the confidence in the predicted type."
)


class LabelledSlice(Protocol):
    """What must be known of a slice to judge its classification."""

    @property
    def file(self) -> str:
        """Name of the slice."""

    @property
    def patient(self) -> str:
        """Whose slice it is."""

    @property
    def label(self) -> TumorType:
        """The true tumor type."""

    @property
    def fold(self) -> int | None:
        """The fold that the slice belongs to, or None."""


@dataclass(frozen=True)
class ClassMetrics:
    """How well one tumor type is told from the other two; every number is 0 to 1.

    Attributes:
        slices: How many slices have this type.
        patients: How many patients they come from.
        precision: Share of the slices called this type that are; NaN if none is called so.
        recall: Share of the slices of this type that are called so; NaN if there are none.
        f1: Harmonic mean of precision and recall; NaN if the type neither occurs nor is predicted.
        auroc: Area under the ROC curve of this type against the rest; NaN if either has no slices.
    """

    slices: int
    patients: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    auroc: Estimate


@dataclass(frozen=True)
class ClassificationMetrics:
    """How well the tumor types are named; every number is 0 to 1.

    Attributes:
        accuracy: Share of slices named correctly.
        balanced_accuracy: Mean recall of the types that have slices.
        calibration_error: Expected calibration error, see `tumorlens.evaluate.calibration`.
        per_class: The metrics of each tumor type.
        confusion: Slices by true (rows) and predicted type (columns), int (3, 3), in class index order.
    """

    accuracy: Estimate
    balanced_accuracy: Estimate
    calibration_error: Estimate
    per_class: dict[TumorType, ClassMetrics]
    confusion: NDArray[np.int64]


@dataclass(frozen=True)
class ClassificationEvaluation:
    """The judgement of every slice, and what they come to.

    Attributes:
        slices: A row a slice: file, patient, label (``glioma``), fold, predicted (``glioma``), correct,
            confidence, and probability_meningioma, probability_glioma, probability_pituitary.
        metrics: The headline numbers.
        patients: How many patients the slices come from.
        resamples: Bootstrap resamples behind each interval.
        seed: Seed of the bootstrap.
        level: Coverage of the intervals.
    """

    slices: pd.DataFrame
    metrics: ClassificationMetrics
    patients: int
    resamples: int
    seed: int
    level: float

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The class probabilities, (n, 3), in class index order."""
        columns = [_probability_column(label) for label in TumorType]
        return self.slices[columns].to_numpy(dtype=np.float64)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The true class indices, (n,), 0 to 2."""
        return np.asarray(
            [TumorType[name.upper()].class_index for name in self.slices["label"]], dtype=np.int64
        )


def evaluate_classification(
    cases: Iterable[LabelledSlice],
    probabilities: NDArray[np.floating],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> ClassificationEvaluation:
    """Judge the class probabilities of many slices.

    Args:
        cases: What is known of each slice, in the order of ``probabilities``.
        probabilities: (n, 3), in class index order, rows summing to 1.
        resamples: Bootstrap resamples of the patients.
        seed: Seed of the bootstrap.
        level: Coverage of the intervals.

    Raises:
        ValueError: There are no slices, or the probabilities don't fit them or aren't probabilities.
    """
    known = list(cases)
    labels = np.asarray([case.label.class_index for case in known], dtype=np.int64)
    patients = [str(case.patient) for case in known]
    metrics = classification_metrics(
        probabilities, labels, patients, resamples=resamples, seed=seed, level=level
    )
    predicted = probabilities.argmax(axis=1)
    table = {
        "file": [case.file for case in known],
        "patient": patients,
        "label": [case.label.name.lower() for case in known],
        "fold": pd.array([case.fold for case in known], dtype="Int64"),
        "predicted": [TumorType.from_class_index(int(index)).name.lower() for index in predicted],
        "correct": predicted == labels,
        "confidence": probabilities.max(axis=1),
        **{_probability_column(label): probabilities[:, label.class_index] for label in TumorType},
    }
    return ClassificationEvaluation(pd.DataFrame(table), metrics, len(set(patients)), resamples, seed, level)


def classification_metrics(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    patients: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> ClassificationMetrics:
    """The headline numbers of a classifier: values from torchmetrics, intervals over patients.

    The intervals' resamples use sums a patient (confusion matrix, calibration bins) and ranks (AUROC) in
    place of torchmetrics, which would take minutes; the tests hold the two equal.

    Args:
        probabilities: (n, 3), in class index order, rows summing to 1.
        labels: True class indices, (n,), 0 to 2.
        patients: The patient of each slice, (n,).
        resamples: Bootstrap resamples of the patients.
        seed: Seed of the bootstrap.
        level: Coverage of the intervals.

    Raises:
        ValueError: There are no slices, lengths differ, or the values are out of range.
    """
    _check(probabilities, labels, patients)
    exact = np.clip(probabilities.astype(np.float64), 0.0, 1.0)  # torchmetrics takes 1.0000001 for a logit
    judged = _Judged(exact, exact.argmax(axis=1), labels.astype(np.int64), patients)
    bootstrap = PatientBootstrap(patients, resamples=resamples, seed=seed, level=level)
    named, truth = torch.from_numpy(judged.named), torch.from_numpy(judged.labels)
    accuracy = multiclass_accuracy(named, truth, CLASSES, average="micro")
    recall = multiclass_recall(named, truth, CLASSES, average=None)
    error = multiclass_calibration_error(torch.from_numpy(exact), truth, CLASSES, n_bins=CALIBRATION_BINS)
    sums = calibration_sums(exact, judged.labels)
    return ClassificationMetrics(
        accuracy=_at(accuracy, bootstrap.interval_of_sums(judged.cells, _accuracy)),
        balanced_accuracy=_at(
            recall[np.unique(judged.labels)].mean(),
            bootstrap.interval_of_sums(judged.cells, _balanced_accuracy),
        ),
        calibration_error=_at(error, bootstrap.interval_of_sums(sums, error_of_sums)),
        per_class={label: _class_metrics(label.class_index, judged, bootstrap) for label in TumorType},
        confusion=multiclass_confusion_matrix(named, truth, CLASSES).numpy(),
    )


def area_under_roc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve from ranks, ties counting half (Hanley and McNeil, Radiology 143, 1982).

    Args:
        scores: (n,), larger meaning more likely positive.
        positive: (n,).

    Returns:
        0 to 1; NaN where all slices are positive or all are negative.
    """
    hits, misses = np.sort(scores[positive]), scores[~positive]
    if hits.size == 0 or misses.size == 0:
        return math.nan
    above = hits.size - np.searchsorted(hits, misses, side="right")
    tied = hits.size - np.searchsorted(hits, misses, side="left") - above
    return float((above + 0.5 * tied).mean() / hits.size)


@dataclass(frozen=True)
class _Judged:
    """Slices with what the model said of them: probabilities (n, 3), class indices (n,), patients (n,)."""

    probabilities: NDArray[np.float64]
    named: NDArray[np.int64]
    labels: NDArray[np.int64]
    patients: Sequence[str]

    @property
    def cells(self) -> NDArray[np.float64]:
        """Each slice's place in the flattened confusion matrix, (n, 9)."""
        places: NDArray[np.float64] = np.eye(CLASSES**2)[self.labels * CLASSES + self.named]
        return places


def _class_metrics(index: int, judged: _Judged, bootstrap: PatientBootstrap) -> ClassMetrics:
    named, truth = torch.from_numpy(judged.named), torch.from_numpy(judged.labels)

    def estimate(metric: Callable[..., torch.Tensor], of_sums: _ClassStatistic) -> Estimate:
        value = metric(named, truth, CLASSES, average=None)[index]
        return _at(value, bootstrap.interval_of_sums(judged.cells, lambda sums: of_sums(sums)[:, index]))

    mine = judged.labels == index
    return ClassMetrics(
        slices=int(mine.sum()),
        patients=len(set(np.asarray(judged.patients)[mine].tolist())),
        precision=estimate(multiclass_precision, _precision),
        recall=estimate(multiclass_recall, _recall),
        f1=estimate(multiclass_f1_score, _f1),
        auroc=_auroc(judged.probabilities[:, index], mine, bootstrap),
    )


def _auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_], bootstrap: PatientBootstrap) -> Estimate:
    if positive.all() or not positive.any():
        return Estimate.undefined()
    value = binary_auroc(torch.from_numpy(scores), torch.from_numpy(positive.astype(np.int64)))
    return _at(value, bootstrap.interval(lambda index: area_under_roc(scores[index], positive[index])))


def _at(value: torch.Tensor, estimate: Estimate) -> Estimate:
    """Put torchmetrics' value in place of the bootstrap's; what isn't defined (0 there) stays NaN."""
    return estimate if math.isnan(estimate.value) else replace(estimate, value=float(value))


def _matrix(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, 9) to confusion matrices (m, true, predicted)."""
    return sums.reshape(-1, CLASSES, CLASSES)


def _hits(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    hits: NDArray[np.float64] = np.diagonal(_matrix(sums), axis1=1, axis2=2)
    return hits


def _accuracy(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return divide(_hits(sums).sum(axis=1), sums.sum(axis=1))


def _precision(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return divide(_hits(sums), _matrix(sums).sum(axis=1))


def _recall(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return divide(_hits(sums), _matrix(sums).sum(axis=2))


def _f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = _matrix(sums)
    return divide(2 * _hits(sums), matrix.sum(axis=1) + matrix.sum(axis=2))


def _balanced_accuracy(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    present = _matrix(sums).sum(axis=2) > 0
    recall = np.where(present, _recall(sums), 0.0)
    return divide(recall.sum(axis=1), present.sum(axis=1).astype(np.float64))


def _probability_column(label: TumorType) -> str:
    return f"probability_{label.name.lower()}"


def _check(probabilities: NDArray[np.floating], labels: NDArray[np.integer], patients: Sequence[str]) -> None:
    n = len(patients)
    if n == 0:
        raise ValueError(
            "expected at least one slice to evaluate, got none; check the folds that were selected"
        )
    if probabilities.shape != (n, CLASSES) or labels.shape != (n,):
        raise ValueError(
            f"expected probabilities ({n}, {CLASSES}) and labels ({n},) for {n} patients' entries, got "
            f"{probabilities.shape} and {labels.shape}; give one of each for every slice"
        )
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise ValueError(
            f"expected class indices 0 to 2, got {labels.min()} to {labels.max()}; subtract 1 from labels"
        )
    total = probabilities.sum(axis=1)
    if not (np.all(probabilities >= -1e-6) and np.all(np.abs(total - 1) < 1e-3)):
        raise ValueError(
            "expected probabilities of at least 0 that sum to 1 for each slice, got sums from "
            f"{total.min():g} to {total.max():g}; apply the softmax first"
        )
