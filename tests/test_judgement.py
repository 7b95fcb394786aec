"""What the models say becomes calibrated probabilities, words and warnings, exactly at their limits."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from tumorlens.finding import Confidence, FindingWarning, WarningKind
from tumorlens.judgement import ConfidenceBand, Judgement
from tumorlens.outline import OutlineStatistics, outline_statistics
from tumorlens.tumor_type import TumorType

# Eighths, so that no two of them fall together when they are divided by a temperature.
LOGITS = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.integers(-8000, 8000)
).map(lambda eighths: (eighths / 8).astype(np.float32))
TEMPERATURES = st.floats(0.01, 100)
SHAPE = (2, 9, 11)


def types(first: float, second: float, third: float) -> dict[TumorType, float]:
    return dict(zip(TumorType, (first, second, third), strict=True))


def kinds(warnings: tuple[FindingWarning, ...]) -> list[WarningKind]:
    return [warning.kind for warning in warnings]


def outlined(mask: np.ndarray, inside: float = 0.9) -> list[OutlineStatistics]:
    return statistics(np.where(mask, inside, 0).astype(np.float32), mask)


def statistics(probability: np.ndarray, mask: np.ndarray) -> list[OutlineStatistics]:
    return [outline_statistics(*each) for each in zip(probability, mask, strict=True)]


def middle() -> np.ndarray:
    mask = np.zeros(SHAPE, np.bool_)
    mask[:, 1:-1, 1:-1] = True
    return mask


# --- Probabilities ----------------------------------------------------------------------------------------


@given(LOGITS, TEMPERATURES)
def test_probabilities_sum_to_one_and_no_temperature_changes_the_name(
    logits: np.ndarray, temperature: float
) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        probabilities = Judgement(temperature=temperature).probabilities(logits)
    assert probabilities.dtype == np.float64
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(logits)))
    assert (probabilities >= 0).all()
    assert (probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()


@given(LOGITS, st.floats(0.1, 10), st.floats(1.01, 5))
def test_a_higher_temperature_is_less_sure(logits: np.ndarray, temperature: float, times: float) -> None:
    sure = Judgement(temperature=temperature).probabilities(logits).max(axis=1)
    less = Judgement(temperature=temperature * times).probabilities(logits).max(axis=1)
    assert (less <= sure + 1e-12).all()


def test_without_a_temperature_probabilities_are_the_softmax() -> None:
    logits = np.float32([[1, 3, 2], [0, 0, 0]])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert Judgement().probabilities(logits) == pytest.approx(expected)


def test_extreme_logits_overflow_nothing() -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        probabilities = Judgement(temperature=0.01).probabilities(np.float32([[1e30, -1e30, 0]]))
    assert probabilities.tolist() == [[1, 0, 0]]


# --- Words ------------------------------------------------------------------------------------------------

FLOORS = st.lists(st.floats(0, 1, exclude_min=True), max_size=4, unique=True).map(
    lambda floors: [*sorted(floors, reverse=True), 0.0]
)


@given(FLOORS, st.floats(0, 1))
def test_every_probability_has_the_word_of_its_band(floors: list[float], top: float) -> None:
    words = itertools.cycle(("high", "moderate", "low"))
    bands = tuple(
        ConfidenceBand(word=word, from_probability=floor, slices=number)
        for number, (word, floor) in enumerate(zip(words, floors, strict=False))
    )
    confidence = Judgement(bands=bands).confidence(types(top, 0, 0))
    index = next(index for index, floor in enumerate(floors) if top >= floor)
    assert confidence == Confidence(bands[index].word, top, None, index)


@pytest.mark.parametrize(
    ("top", "word"), [(1, "high"), (0.9, "high"), (math.nextafter(0.9, 0), "moderate"), (0.7, "moderate"),
                      (math.nextafter(0.7, 0), "low"), (1 / 3, "low")]
)  # fmt: skip
def test_the_default_words_begin_at_their_floors(top: float, word: str) -> None:
    assert Judgement().confidence(types(0, top, 0)).word == word


def test_confidence_tells_how_often_its_word_was_right() -> None:
    bands = (
        ConfidenceBand(word="high", from_probability=0.5, accuracy=0.9876, slices=123),
        ConfidenceBand(word="low", from_probability=0),
    )
    judgement = Judgement(bands=bands)
    assert str(judgement.confidence(types(0.1, 0.2, 0.7))) == "high confidence (right in 98.8% of 123 slices)"
    assert str(judgement.confidence(types(0.4, 0.3, 0.3))) == "low confidence"


@pytest.mark.parametrize(
    "floors", [(), (0.5,), (0.5, 0.7, 0), (0.5, 0.5, 0), (0, 0.5), (0.5, 0, 0), (1.5, 0)]
)
def test_bands_that_leave_a_probability_without_a_word_are_refused(floors: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Judgement(bands=tuple(ConfidenceBand(word="low", from_probability=floor) for floor in floors))


@pytest.mark.parametrize(
    "values",
    [{"temperature": 0}, {"temperature": -1}, {"temperature": math.nan}, {"temperature": 1e-320},
     {"threshold": 0}, {"threshold": 1}, {"lowest_threshold": 0}, {"lowest_threshold": 0.51},
     {"faint_below": 1.1},
     {"unsure_margin": -0.1}, {"strange_above": math.inf}, {"thresold": 0.5}],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Judgement(**values)  # type: ignore[arg-type]


# --- Warnings ---------------------------------------------------------------------------------------------


def test_without_limits_a_clear_finding_has_no_warning() -> None:
    assert Judgement().warnings(outlined(middle(), 0.51), types(0.34, 0.33, 0.33), 99.0) == ()


def test_nothing_told_is_nothing_to_warn_of() -> None:
    strict = Judgement(unsure_margin=1, faint_below=1, strange_above=0)
    assert strict.warnings(None, None, None) == ()


def test_a_name_on_a_strange_picture_is_never_sure() -> None:
    bands = (ConfidenceBand(word="high", from_probability=0, accuracy=0.9, slices=7),)
    judgement = Judgement(bands=bands, strange_above=0.7)
    sure = types(0.99, 0.005, 0.005)
    assert judgement.confidence(sure, 0.71) == Confidence("low", 0.99, None, 0)
    for strangeness in (0.7, 0.0, None):
        assert judgement.confidence(sure, strangeness) == Confidence("high", 0.99, 0.9, 7)
    assert Judgement(bands=bands).confidence(sure, 9.0).word == "high"


@pytest.mark.parametrize(("strangeness", "told"), [(0.7, False), (math.nextafter(0.7, 1), True), (0, False)])
def test_a_picture_stranger_than_the_limit_is_unfamiliar(strangeness: float, told: bool) -> None:
    warnings = Judgement(strange_above=0.7).warnings(None, None, strangeness)
    assert kinds(warnings) == [WarningKind.UNFAMILIAR] * told
    if told:
        assert (warnings[0].score, warnings[0].limit) == (strangeness, 0.7)


@pytest.mark.parametrize(
    ("limit", "told"), [(0.25, False), (math.nextafter(0.25, 1), True), (0, False), (1, True)]
)
def test_two_types_nearer_than_the_margin_are_named_both(limit: float, told: bool) -> None:
    warnings = Judgement(unsure_margin=limit).warnings(None, types(0.25, 0.25, 0.5), None)
    assert kinds(warnings) == [WarningKind.UNSURE] * told
    if told:
        assert warnings[0].message == "unsure between pituitary tumor and meningioma"
        assert (warnings[0].score, warnings[0].limit) == (0.25, limit)


@pytest.mark.parametrize(
    ("limit", "told"), [(0.75, False), (math.nextafter(0.75, 1), True), (0, False), (1, True)]
)
def test_an_outline_fainter_than_the_limit_is_not_clear(limit: float, told: bool) -> None:
    warnings = Judgement(faint_below=limit).warnings(outlined(middle(), 0.75), None, None)
    assert kinds(warnings) == [WarningKind.NO_TUMOR] * told
    if told:
        assert warnings[0].message == "no tumor clearly outlined"
        assert (warnings[0].score, warnings[0].limit) == (0.75, limit)


def test_faintness_is_that_of_the_outlined_pixels_alone() -> None:
    mask = middle()
    outlines = statistics(np.where(mask, np.float32(0.75), np.float32(0.4)), mask)
    assert Judgement(faint_below=0.75).warnings(outlines, None, None) == ()


@pytest.mark.parametrize(("lowest", "limit"), [(None, 0.6), (0.2, 0.2)])
def test_no_outline_is_told_whatever_the_limits(lowest: float | None, limit: float) -> None:
    probability = np.full(SHAPE, 0.125, np.float32)
    probability[1, 3, 4] = 0.1875
    judgement = Judgement(threshold=0.6, lowest_threshold=lowest)
    [warning] = judgement.warnings(statistics(probability, np.zeros(SHAPE, np.bool_)), None, None)
    assert warning == FindingWarning(WarningKind.NO_TUMOR, "no tumor outlined", 0.1875, limit)


@pytest.mark.parametrize(
    ("place", "pixels"),
    [((0, 4), 1), ((-1, 4), 1), ((4, 0), 1), ((4, -1), 1), ((0, 0), 1), ((-1, -1), 1), ((slice(None), 0), 9),
     ((0, slice(None)), 11), ((slice(None), slice(None)), 36), ((slice(0, 2), 0), 2)],
)  # fmt: skip
def test_an_outline_on_any_edge_is_told_with_its_pixels_there(
    place: tuple[object, object], pixels: int
) -> None:
    mask = middle()
    mask[(1, *place)] = True  # type: ignore[index]
    [warning] = Judgement().warnings(outlined(mask), None, None)
    assert (warning.kind, warning.score, warning.limit) == (WarningKind.EDGE, pixels, 1)
    assert "edge" in warning.message


def test_an_outline_one_pixel_from_every_edge_is_not_told() -> None:
    assert Judgement().warnings(outlined(middle()), None, None) == ()


def test_a_narrow_picture_counts_each_pixel_once() -> None:
    for shape in ((1, 1, 6), (1, 6, 1), (1, 1, 1), (1, 2, 2)):
        [warning] = Judgement().warnings(outlined(np.ones(shape, np.bool_)), None, None)
        assert warning.score == math.prod(shape)


def test_all_warnings_come_together_and_in_one_line_each() -> None:
    strict = Judgement(unsure_margin=1, faint_below=1, strange_above=0.5)
    mask = np.ones(SHAPE, np.bool_)
    warnings = strict.warnings(outlined(mask), types(0.4, 0.35, 0.25), 0.6)
    assert kinds(warnings) == [
        WarningKind.UNFAMILIAR,
        WarningKind.NO_TUMOR,
        WarningKind.EDGE,
        WarningKind.UNSURE,
    ]
    for warning in warnings:
        assert str(warning) == warning.message
        assert warning.message.isprintable()
        assert not warning.message.endswith(".")


# --- Thresholds -------------------------------------------------------------------------------------------


def test_each_slice_may_have_a_threshold_of_its_own() -> None:
    probability = np.zeros((3, 20, 20), np.float32)
    probability[0, 5:15, 5:15] = 0.3
    probability[1, 5:15, 5:15] = 0.99
    thresholds = Judgement(lowest_threshold=0.1).thresholds(probability)
    assert thresholds.shape == (3,)
    assert thresholds.dtype == np.float32
    assert thresholds == pytest.approx([0.15, 0.5, 0.1], abs=0.16)
    assert ((probability >= thresholds[:, None, None]).sum((1, 2)) == [100, 100, 0]).all()
    assert (Judgement(threshold=0.4).thresholds(probability) == np.float32(0.4)).all()
