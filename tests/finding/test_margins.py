"""Masks shrink and grow by what SciPy's erosion and dilation say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage

from tumorlens.finding.margins import grown, shrunk

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24))


def square(by: int) -> NDArray[np.bool_]:
    return np.ones((2 * by + 1, 2 * by + 1), np.bool_)


@given(masks, st.integers(0, 5))
def test_shrunk_is_erosion(mask: NDArray[np.bool_], by: int) -> None:
    assert (shrunk(mask, by) == ndimage.binary_erosion(mask, square(by))).all()


@given(masks, st.integers(0, 5))
def test_grown_is_dilation(mask: NDArray[np.bool_], by: int) -> None:
    assert (grown(mask, by) == ndimage.binary_dilation(mask, square(by))).all()


def test_a_blob_in_a_wide_picture_is_shrunk_where_it_lies() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[10:20, 33:50] = True
    expected = np.zeros_like(mask)
    expected[12:18, 35:48] = True
    assert (shrunk(mask, 2) == expected).all()
