"""The center crop of a slice, and the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from PIL import Image

from tests.stand_ins import block, overlap
from tumorlens.center_crop import center_crop, restore_center

SHARES = st.floats(0.25, 1)
SIZES = st.integers(32, 97)


def smooth(size: int, seed: int, count: int = 1) -> np.ndarray:
    """Pictures (count, 1, size, size) that change by some hundredths from pixel to pixel."""
    coarse = np.random.default_rng(seed).random((count, 3, 3), np.float32)
    way = Image.Resampling.BICUBIC
    pictures = [np.asarray(Image.fromarray(each).resize((size, size), way)) for each in coarse]
    return np.stack(pictures)[:, None]


@given(size=SIZES, seed=st.integers(0, 99))
def test_all_of_a_slice_is_the_slice(size: int, seed: int) -> None:
    batch = smooth(size, seed, 2)
    assert (center_crop(batch, 1) == batch).all()
    assert (restore_center(batch[:, 0], 1) == batch[:, 0]).all()


@given(size=SIZES, share=SHARES, seed=st.integers(0, 99))
def test_there_and_back_every_pixel_of_the_center_is_where_it_was(size: int, share: float, seed: int) -> None:
    batch = smooth(size, seed, 2)
    cropped = center_crop(batch, share)
    assert (cropped.shape, cropped.dtype) == (batch.shape, np.float32)
    back = restore_center(cropped[:, 0], share)
    seen = ~np.isnan(back)
    kept = seen[0].sum(axis=1).max()
    assert kept == pytest.approx(share * size, abs=1.001)
    margin = (size - kept) // 2
    inside = np.zeros((size, size), bool)
    inside[margin : size - margin, margin : size - margin] = True
    assert (seen == inside).all()
    assert np.abs(back - batch[:, 0])[seen].max() < 0.7 / size


@given(size=SIZES, share=SHARES, seed=st.integers(0, 99))
def test_mirrored_turned_or_transposed_before_is_the_same_as_after(
    size: int, share: float, seed: int
) -> None:
    batch = smooth(size, seed)
    for change in (np.fliplr, np.flipud, np.transpose, np.rot90):
        changed = np.ascontiguousarray(change(batch[0, 0]))[None, None]
        cropped, restored = center_crop(changed, share)[0, 0], restore_center(changed[:, 0], share)[0]
        assert_allclose(cropped, change(center_crop(batch, share)[0, 0]), rtol=0, atol=1e-5)
        assert_allclose(restored, change(restore_center(batch[:, 0], share)[0]), rtol=0, atol=1e-5)


@given(share=SHARES, seed=st.integers(0, 99))
def test_nothing_leaves_the_range_of_what_was_given(share: float, seed: int) -> None:
    batch = np.random.default_rng(seed).random((1, 1, 48, 48), np.float32)
    back = restore_center(batch[:, 0], share)
    for values in (center_crop(batch, share), back[~np.isnan(back)]):
        assert values.min() >= batch.min()
        assert values.max() <= batch.max()


def test_what_is_seen_is_the_center_enlarged() -> None:
    """Of 96 pixels 76: a mask that lies there is 96 / 76 times as large, about the same center."""
    mask = block((96, 96))[::-1, ::-1]
    seen = center_crop(mask.astype(np.float32)[None, None], 0.8)[0, 0] >= 0.5
    rows, columns = np.indices((96, 96))
    source = [np.floor((at + 0.5) * 76 / 96 + 10).astype(int) for at in (rows, columns)]
    assert overlap(seen, mask[source[0], source[1]]) > 0.97
    assert seen.sum() / mask.sum() == pytest.approx((96 / 76) ** 2, rel=0.03)
