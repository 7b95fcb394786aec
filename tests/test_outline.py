"""The threshold promises the highest Dice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tumorlens.outline import expected_dice, expected_dice_threshold

LOWEST = 0.001
STEPS = st.integers(0, 1000).map(lambda step: np.float32(step / 1000))
MAPS = hnp.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=STEPS)


def promised(probability: np.ndarray, threshold: float) -> float:
    """The expected Dice of a threshold's mask, to first order."""
    probability = probability.astype(np.float64)
    mask = probability >= threshold - 1e-6
    return float(2 * probability[mask].sum() / max(mask.sum() + probability.sum(), 1e-12))


@given(MAPS)
def test_no_other_threshold_promises_more(probability: np.ndarray) -> None:
    found = promised(probability, expected_dice_threshold(probability, LOWEST))
    others = [promised(probability, threshold) for threshold in np.unique(probability) if threshold >= LOWEST]
    assert found >= max(others, default=0) - 0.01  # a level is a thousandth wide


def test_many_random_maps_lose_next_to_nothing_against_a_search() -> None:
    generator = np.random.default_rng(0)
    for sharpness in (0.2, 1, 5):
        probability = generator.beta(sharpness / 4, sharpness, (40, 9, 9)).astype(np.float32)
        for each in probability:
            found = promised(each, expected_dice_threshold(each, LOWEST))
            best = max(promised(each, threshold) for threshold in np.unique(each))
            assert found >= best - 0.005


@given(MAPS, st.floats(0.01, 0.5))
def test_a_threshold_lies_between_the_lowest_and_a_half(probability: np.ndarray, lowest: float) -> None:
    threshold = expected_dice_threshold(probability, lowest)
    assert isinstance(threshold, float)
    assert lowest <= threshold <= 0.5


@pytest.mark.parametrize("inside", [0.95, 0.999, 1.0])
def test_a_sharp_outline_stays_as_it_is(inside: float) -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[10:20, 5:30] = True
    probability = np.where(mask, inside, 1 - inside).astype(np.float32) * np.where(mask, 1, 0.01)
    threshold = expected_dice_threshold(probability.astype(np.float32), 0.1)
    assert 0.45 <= threshold <= 0.5
    assert ((probability >= threshold) == mask).all()


def test_a_faint_lesion_is_outlined_where_a_half_would_outline_nothing() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[10:20, 5:30] = True
    probability = np.where(mask, 0.3, 0).astype(np.float32)
    assert ((probability >= expected_dice_threshold(probability, 0.1)) == mask).all()
    assert expected_dice_threshold(probability, 0.4) == 0.4


def test_a_likely_rim_is_taken_in_and_an_unlikely_one_is_not() -> None:
    probability = np.zeros((30, 30), np.float32)
    probability[5:25, 5:25] = 0.1
    probability[8:22, 8:22] = 0.45
    probability[12:18, 12:18] = 0.98
    mask = probability >= expected_dice_threshold(probability, 0.05)
    assert mask.sum() == 14 * 14


def test_half_of_the_best_score_is_the_best_threshold() -> None:
    """Lipton et al. 2014: what is likelier than half of the best score belongs inside."""
    generator = np.random.default_rng(3)
    probability = generator.beta(0.3, 1, (200, 200)).astype(np.float32)
    best = max(promised(probability, threshold) for threshold in np.linspace(0.01, 0.99, 99))
    assert expected_dice_threshold(probability, 0.01) == pytest.approx(best / 2, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 1e-7])
def test_where_nothing_is_likely_the_lowest_threshold_is_given(value: float) -> None:
    assert expected_dice_threshold(np.full((5, 7), value, np.float32), 0.2) == 0.2


@pytest.mark.parametrize("value", [0.05, 0.25, 0.5, 0.75, 1.0])
def test_a_map_of_one_value_is_inside_or_outside_as_a_whole(value: float) -> None:
    probability = np.full((5, 7), value, np.float32)
    mask = probability >= np.float32(expected_dice_threshold(probability, 0.2))
    assert mask.all() == (value >= 0.2)
    assert mask.any() == mask.all()


def test_single_and_double_precision_agree() -> None:
    probability = np.random.default_rng(1).random((50, 50)).astype(np.float32)
    assert expected_dice_threshold(probability, 0.1) == pytest.approx(
        expected_dice_threshold(probability.astype(np.float64), 0.1), abs=0.002
    )


def test_expected_dice_is_what_the_best_threshold_promises() -> None:
    probability = np.zeros((20, 20), np.float32)
    assert expected_dice(probability) == 0
    probability[5:10, 5:10] = 1
    assert expected_dice(probability) == 1
    probability[5:10, 10:15] = 0.5  # taking all 50 promises 2·37.5 / (50 + 37.5), leaving half 2·25 / 62.5
    assert expected_dice(probability) == pytest.approx(75 / 87.5, abs=2e-3)
