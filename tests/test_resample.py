"""A picture at another size is the one that Pillow makes, whatever the sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tumorlens.resample import resized


def by_pillow(square: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))


@settings(max_examples=150, deadline=None)
@given(side=st.integers(1, 700), size=st.integers(1, 300), seed=st.integers(0, 9))
def test_it_is_what_pillow_makes(side: int, size: int, seed: int) -> None:
    square = np.random.default_rng(seed).random((side, side)).astype(np.float32)
    assert np.abs(resized(square, size) - by_pillow(square, size)).max() < 1e-6


@pytest.mark.parametrize("side", [1023, 2048, 3001])
def test_a_large_picture_worked_on_in_strips_is_the_same(side: int) -> None:
    square = np.random.default_rng(0).random((side, side)).astype(np.float32)
    assert np.abs(resized(square, 192) - by_pillow(square, 192)).max() < 1e-6


@given(st.integers(1, 200), st.integers(1, 200))
def test_one_value_stays_that_value(side: int, size: int) -> None:
    assert np.abs(resized(np.full((side, side), 7.0, np.float32), size) - 7).max() < 1e-5


def test_64_bits_stay() -> None:
    assert resized(np.ones((50, 50)), 20, np.float64(0)).dtype == np.float64
