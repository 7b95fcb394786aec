import math
import warnings
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tumorlens.evaluate.segmentation import SegmentationCase, SliceScores, evaluate_segmentation, score_slice
from tumorlens.tumor_type import TumorType

Mask = NDArray[np.bool_]
MASKS = arrays(np.bool_, (7, 9))


def square(row: int, column: int, side: int = 10, size: int = 40) -> Mask:
    mask = np.zeros((size, size), dtype=np.bool_)
    mask[row : row + side, column : column + side] = True
    return mask


def case(
    file: str,
    predicted: Mask,
    true: Mask,
    label: TumorType = TumorType.GLIOMA,
    patient: str | None = None,
    fold: int | None = None,
) -> SegmentationCase:
    return SegmentationCase(file, patient or file, label, 0.5, true, predicted, fold)


def test_two_squares_with_a_known_overlap_score_what_a_hand_gets() -> None:
    # 100 and 200 pixels, of which 50 are common.
    predicted = np.zeros((40, 40), dtype=np.bool_)
    predicted[5:25, 15:25] = True
    scores = score_slice(predicted, square(10, 10), 1.0)
    common, union = 50, 250
    assert scores.dice == pytest.approx(2 * common / 300)
    assert scores.iou == pytest.approx(common / union)
    assert scores.precision == pytest.approx(common / 200)
    assert scores.recall == pytest.approx(common / 100)


@pytest.mark.parametrize("spacing_mm", [1.0, 0.49, 2.5])
def test_hd95_is_in_mm(spacing_mm: float) -> None:
    # 3 columns apart: 36 edge pixels, at least 10 of them (the far column) lie 3 pixels from the other edge.
    scores = score_slice(square(10, 13), square(10, 10), spacing_mm)
    assert scores.hd95_mm == pytest.approx(3 * spacing_mm, rel=1e-6)


def test_hd95_of_two_single_pixels_is_their_distance() -> None:
    scores = score_slice(square(3, 4, side=1), square(6, 8, side=1), 2.0)
    assert scores.hd95_mm == pytest.approx(2.0 * 5)


def test_hd95_disregards_one_stray_pixel_in_a_hundred() -> None:
    true = square(10, 10, side=26, size=100)  # an edge of 100 pixels
    predicted = true.copy()
    predicted[99, 99] = True
    assert score_slice(predicted, true, 1.0).hd95_mm == 0


def test_equal_masks_score_one_and_zero_mm() -> None:
    assert score_slice(square(3, 5), square(3, 5), 0.49) == SliceScores(1.0, 1.0, 1.0, 1.0, 0.0)


def test_two_empty_masks_score_one_and_zero_mm() -> None:
    nothing = np.zeros((8, 8), dtype=np.bool_)
    assert score_slice(nothing, nothing, 1.0) == SliceScores(1.0, 1.0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize("predicted_is_empty", [True, False])
def test_one_empty_mask_scores_zero_and_has_no_distance(predicted_is_empty: bool) -> None:
    nothing, something = np.zeros((40, 40), dtype=np.bool_), square(2, 2)
    masks = (nothing, something) if predicted_is_empty else (something, nothing)
    scores = score_slice(masks[0], masks[1], 1.0)
    assert (scores.dice, scores.iou, scores.precision, scores.recall) == (0, 0, 0, 0)
    assert math.isnan(scores.hd95_mm)


def test_disjoint_masks_score_zero_but_have_a_distance() -> None:
    scores = score_slice(square(0, 0), square(20, 20), 1.0)
    assert scores.dice == scores.precision == scores.recall == 0
    assert scores.hd95_mm > 10


@pytest.mark.parametrize("spoil", [lambda mask: np.roll(mask, 4, axis=1), np.fliplr, np.flipud, np.transpose])
def test_a_shifted_mirrored_or_transposed_mask_scores_worse(spoil: Callable[[Mask], Mask]) -> None:
    true = np.zeros((40, 40), dtype=np.bool_)
    true[4:14, 8:30] = True
    good, bad = score_slice(true, true, 1.0), score_slice(spoil(true), true, 1.0)
    assert bad.dice < good.dice
    assert bad.hd95_mm > good.hd95_mm


def test_precision_falls_with_too_much_and_recall_with_too_little() -> None:
    small, large = square(15, 15, side=5), square(10, 10, side=20)
    assert score_slice(large, small, 1.0).recall == 1 > score_slice(large, small, 1.0).precision
    assert score_slice(small, large, 1.0).precision == 1 > score_slice(small, large, 1.0).recall


@settings(max_examples=40, deadline=None)
@given(MASKS, MASKS)
def test_scores_keep_their_order_and_range(predicted: Mask, true: Mask) -> None:
    scores, swapped = score_slice(predicted, true, 0.7), score_slice(true, predicted, 0.7)
    assert scores.dice == pytest.approx(swapped.dice)
    assert scores.precision == pytest.approx(swapped.recall)
    assert scores.iou <= scores.dice + 1e-6
    assert scores.dice == pytest.approx(2 * scores.iou / (1 + scores.iou), abs=1e-6)
    assert all(0 <= value <= 1 for value in (scores.dice, scores.iou, scores.precision, scores.recall))
    assert math.isnan(scores.hd95_mm) or scores.hd95_mm == pytest.approx(swapped.hd95_mm)


def test_scoring_gives_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score_slice(square(3, 3), square(4, 4), 1.0)


@pytest.mark.parametrize(
    ("predicted", "true", "spacing", "error", "message"),
    [
        (square(0, 0).astype(np.uint8), square(0, 0), 1.0, TypeError, "predicted mask as bool, got uint8"),
        (square(0, 0), square(0, 0).astype(float), 1.0, TypeError, "true mask as bool, got float64"),
        (square(0, 0, size=20), square(0, 0), 1.0, ValueError, r"\(20, 20\) predicted and \(40, 40\) true"),
        (square(0, 0)[None], square(0, 0)[None], 1.0, ValueError, r"\(1, 40, 40\)"),
        (square(0, 0), square(0, 0), 0.0, ValueError, "positive spacing in mm, got 0.0"),
        (square(0, 0), square(0, 0), math.nan, ValueError, "positive spacing in mm, got nan"),
    ],
)
def test_what_cannot_be_scored_is_refused(predicted, true, spacing, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        score_slice(predicted, true, spacing)


def test_an_evaluation_averages_over_slices_and_keeps_them() -> None:
    full, half = square(10, 10), square(10, 15)
    evaluation = evaluate_segmentation(
        [
            case("1.mat", full, full, TumorType.GLIOMA, "a", 5),
            case("2.mat", half, full, TumorType.GLIOMA, "a", 5),
            case("3.mat", half, full, TumorType.PITUITARY, "b", 5),
        ]
    )
    assert evaluation.overall.scores["dice"].value == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert evaluation.per_class[TumorType.GLIOMA].scores["dice"].value == pytest.approx(0.75)
    assert evaluation.per_class[TumorType.PITUITARY].slices == 1
    assert (evaluation.overall.slices, evaluation.overall.patients) == (3, 2)
    assert evaluation.slices["file"].tolist() == ["1.mat", "2.mat", "3.mat"]
    assert evaluation.slices["label"].tolist() == ["glioma", "glioma", "pituitary"]
    assert evaluation.slices["fold"].tolist() == [5, 5, 5]
    assert evaluation.slices["true_area_mm2"].tolist() == [25.0] * 3


def test_a_type_without_slices_has_undefined_scores() -> None:
    evaluation = evaluate_segmentation([case("1.mat", square(1, 1), square(1, 1))])
    assert evaluation.per_class[TumorType.MENINGIOMA].slices == 0
    assert str(evaluation.per_class[TumorType.MENINGIOMA].scores["dice"]) == "n/a"


def test_slices_with_nothing_outlined_are_counted_and_stay_out_of_the_mean_distance() -> None:
    nothing = np.zeros((40, 40), dtype=np.bool_)
    evaluation = evaluate_segmentation(
        [
            case("1.mat", square(10, 13), square(10, 10)),
            case("2.mat", nothing, square(10, 10)),
            case("3.mat", square(10, 10), nothing),
        ]
    )
    assert evaluation.overall.nothing_outlined == 1
    assert evaluation.overall.hd95_undefined == 2
    assert evaluation.overall.scores["hd95_mm"].value == pytest.approx(1.5)
    assert evaluation.overall.scores["recall"].value == pytest.approx(0.7 / 3)


def test_the_cases_are_taken_one_at_a_time() -> None:
    alive = []

    def cases() -> Iterator[SegmentationCase]:
        for number in range(5):
            mask = square(number, number)
            alive.append(weakref.ref(mask))
            yield case(f"{number}.mat", mask, square(0, 0))
            del mask
            assert sum(reference() is not None for reference in alive) <= 2

    evaluate_segmentation(cases())
    assert len(alive) == 5


def test_no_slices_are_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="expected at least one slice to evaluate, got none"):
        evaluate_segmentation([])


def test_a_bad_slice_is_named() -> None:
    with pytest.raises(ValueError, match=r"^7\.mat: expected two masks"):
        evaluate_segmentation([case("7.mat", square(0, 0, size=20), square(0, 0))])
