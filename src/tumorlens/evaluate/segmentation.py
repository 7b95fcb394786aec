"""How well outlines agree: Dice, IoU, precision, recall and the 95th percentile Hausdorff distance."""

import math
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd
import torch
from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.meaniou import compute_iou
from numpy.typing import NDArray

from tumorlens.evaluate.bootstrap import LEVEL, RESAMPLES, Estimate, PatientBootstrap
from tumorlens.tumor_type import TumorType

EMPTY_MASK_POLICY = (
    "Slices where neither mask holds a pixel score Dice, IoU, precision and recall 1 and HD95 0 mm. "
    "Slices where one of the two masks is empty score Dice, IoU, precision and recall 0; their HD95 isn't "
    "defined, stays out of the mean HD95, and they are counted separately."
)
AVERAGING = "Every score is the mean over slices, so that a large tumor weighs no more than a small one."


@dataclass(frozen=True)
class SliceScores:
    """How well one outline agrees with the expert's.

    Attributes:
        dice: Dice coefficient, twice the overlap over the sum of both areas, 0 to 1 (Dice, Ecology
            26(3), 1945).
        iou: Overlap over the area that either covers, 0 to 1 (Jaccard, New Phytologist 11(2), 1912).
        precision: Share of the predicted pixels that are tumor, 0 to 1.
        recall: Share of the tumor's pixels that are predicted, 0 to 1.
        hd95_mm: 95th percentile Hausdorff distance between the outlines in mm: the larger of the two
            directed 95th percentiles; NaN where one mask is empty.
    """

    dice: float
    iou: float
    precision: float
    recall: float
    hd95_mm: float


SCORES: tuple[str, ...] = tuple(field.name for field in fields(SliceScores))


@dataclass(frozen=True)
class SegmentationCase:
    """A slice with both outlines, to be scored.

    Attributes:
        file: Name of the slice.
        patient: Whose slice it is; intervals are over patients.
        label: The tumor type.
        spacing_mm: Distance between pixel centers in mm.
        true: The expert's outline, bool (rows, columns).
        predicted: The model's outline, bool (rows, columns).
        fold: The fold that the slice belongs to, or None.
    """

    file: str
    patient: str
    label: TumorType
    spacing_mm: float
    true: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    fold: int | None = None


@dataclass(frozen=True)
class SegmentationSummary:
    """The scores of a group of slices.

    Attributes:
        slices: How many slices.
        patients: How many patients they come from.
        nothing_outlined: Slices with a tumor on which the model outlined nothing.
        hd95_undefined: Slices that the mean HD95 leaves out, because one of the masks is empty.
        scores: For each field of `SliceScores`, its mean over slices with the interval over patients.
    """

    slices: int
    patients: int
    nothing_outlined: int
    hd95_undefined: int
    scores: dict[str, Estimate]


@dataclass(frozen=True)
class SegmentationEvaluation:
    """The scores of every slice, and what they come to.

    Attributes:
        slices: A row a slice: file, patient, label (``glioma``), fold, spacing_mm, true_area_mm2,
            predicted_area_mm2 and the fields of `SliceScores`.
        overall: All slices together.
        per_class: The slices of each tumor type; undefined scores where there are none.
        resamples: Bootstrap resamples behind each interval.
        seed: Seed of the bootstrap.
        level: Coverage of the intervals.
    """

    slices: pd.DataFrame
    overall: SegmentationSummary
    per_class: dict[TumorType, SegmentationSummary]
    resamples: int
    seed: int
    level: float


def score_slice(predicted: NDArray[np.bool_], true: NDArray[np.bool_], spacing_mm: float) -> SliceScores:
    """Score one outline against the expert's, with MONAI's metrics.

    Empty masks: both empty scores 1 (Dice, IoU, precision, recall) and 0 mm (HD95), since the model rightly
    found nothing. One of the two empty scores 0, and its HD95 is NaN: there is no distance to an outline
    that doesn't exist.

    Args:
        predicted: The model's outline, bool (rows, columns).
        true: The expert's outline, bool (rows, columns).
        spacing_mm: Distance between pixel centers in mm, the same in both directions.

    Raises:
        TypeError: A mask isn't bool.
        ValueError: The masks aren't two-dimensional and of one shape, or the spacing isn't positive.
    """
    _check_masks(predicted, true, spacing_mm)
    if not predicted.any() and not true.any():
        return SliceScores(dice=1.0, iou=1.0, precision=1.0, recall=1.0, hd95_mm=0.0)
    if not predicted.any() or not true.any():
        return SliceScores(dice=0.0, iou=0.0, precision=0.0, recall=0.0, hd95_mm=math.nan)
    p, t = _one_channel(predicted), _one_channel(true)
    matrix = get_confusion_matrix(p, t)
    return SliceScores(
        dice=compute_dice(p, t, ignore_empty=False).item(),
        iou=compute_iou(p, t, ignore_empty=False).item(),
        precision=compute_confusion_matrix_metric("precision", matrix).item(),
        recall=compute_confusion_matrix_metric("recall", matrix).item(),
        hd95_mm=_hd95(p, t, spacing_mm),
    )


def evaluate_segmentation(
    cases: Iterable[SegmentationCase], *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> SegmentationEvaluation:
    """Score every slice, and average overall and for each tumor type.

    Args:
        cases: The slices, taken one at a time: a generator keeps a single pair of masks in memory.
        resamples: Bootstrap resamples of the patients.
        seed: Seed of the bootstrap.
        level: Coverage of the intervals.

    Raises:
        TypeError: A mask isn't bool.
        ValueError: There are no cases, or masks that don't fit each other; the slice is named.
    """
    slices = pd.DataFrame([_row(case) for case in cases])
    if slices.empty:
        raise ValueError(
            "expected at least one slice to evaluate, got none; check the folds that were selected"
        )
    slices["fold"] = slices["fold"].astype("Int64")

    def summary(rows: pd.DataFrame) -> SegmentationSummary:
        return _summary(rows, resamples, seed, level)

    per_class = {label: summary(slices[slices["label"] == label.name.lower()]) for label in TumorType}
    return SegmentationEvaluation(slices, summary(slices), per_class, resamples, seed, level)


def _row(case: SegmentationCase) -> dict[str, object]:
    try:
        scores = score_slice(case.predicted, case.true, case.spacing_mm)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{case.file}: {error}") from error
    pixel_mm2 = case.spacing_mm**2
    return {
        "file": case.file,
        "patient": str(case.patient),
        "label": case.label.name.lower(),
        "fold": case.fold,
        "spacing_mm": case.spacing_mm,
        "true_area_mm2": float(case.true.sum()) * pixel_mm2,
        "predicted_area_mm2": float(case.predicted.sum()) * pixel_mm2,
        **asdict(scores),
    }


def _summary(rows: pd.DataFrame, resamples: int, seed: int, level: float) -> SegmentationSummary:
    if rows.empty:
        return SegmentationSummary(0, 0, 0, 0, {name: Estimate.undefined() for name in SCORES})
    bootstrap = PatientBootstrap(rows["patient"].tolist(), resamples=resamples, seed=seed, level=level)
    missed = (rows["predicted_area_mm2"] == 0) & (rows["true_area_mm2"] > 0)
    return SegmentationSummary(
        slices=len(rows),
        patients=bootstrap.patients,
        nothing_outlined=int(missed.sum()),
        hd95_undefined=int(rows["hd95_mm"].isna().sum()),
        scores={name: bootstrap.mean(rows[name].to_numpy(dtype=np.float64)) for name in SCORES},
    )


def _check_masks(predicted: NDArray[np.bool_], true: NDArray[np.bool_], spacing_mm: float) -> None:
    for name, mask in (("predicted", predicted), ("true", true)):
        if mask.dtype != np.bool_:
            raise TypeError(f"expected the {name} mask as bool, got {mask.dtype}; threshold it first")
    if predicted.ndim != 2 or predicted.shape != true.shape:
        raise ValueError(
            f"expected two masks (rows, columns) of one shape, got {predicted.shape} predicted and "
            f"{true.shape} true; bring the prediction back to the slice's own pixels"
        )
    if not (math.isfinite(spacing_mm) and spacing_mm > 0):
        raise ValueError(f"expected a positive spacing in mm, got {spacing_mm}; read it from the slice")


def _one_channel(mask: NDArray[np.bool_]) -> torch.Tensor:
    """(rows, columns) to the (1, 1, rows, columns) that MONAI takes."""
    return torch.from_numpy(np.ascontiguousarray(mask))[None, None].float()


def _hd95(predicted: torch.Tensor, true: torch.Tensor, spacing_mm: float) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.5 and 1.6 warn of an argument of their own
        distance = compute_hausdorff_distance(
            predicted, true, include_background=True, percentile=95, spacing=spacing_mm
        )
    return float(distance.item())
