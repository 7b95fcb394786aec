"""The connected parts of masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from tumorlens.parts import largest_part, slice_parts, without_small_parts

PLANES = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=14))
VOLUMES = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, max_side=9))


@given(PLANES)
def test_a_slice_s_parts_are_those_of_another_library(mask: np.ndarray) -> None:
    mine = slice_parts(mask)
    theirs, count = ndimage.label(mask, np.ones((3, 3)))
    assert mine.shape == mask.shape
    assert ((mine > 0) == mask).all()
    assert (
        len({*zip(mine[mask].tolist(), theirs[mask].tolist(), strict=True)}) == count == mine.max(initial=0)
    )


@given(VOLUMES)
def test_the_largest_part_is_one_of_those_of_most_voxels(mask: np.ndarray) -> None:
    kept = largest_part(mask)
    theirs, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(theirs.ravel(), minlength=1)[1:]
    assert (kept.dtype, kept.shape) == (np.bool_, mask.shape)
    assert not (kept & ~mask).any()
    if count:
        [label] = np.unique(theirs[kept])
        assert kept.sum() == sizes.max() == sizes[label - 1]
    else:
        assert not kept.any()


@pytest.mark.parametrize("columns", [1, 2])
def test_a_volume_may_be_a_column_or_two_wide(columns: int) -> None:
    """cc3d alone gives up on some of these."""
    generator = np.random.default_rng(0)
    for _ in range(300):
        mask = generator.random((generator.integers(1, 4), generator.integers(1, 40), columns)) < 0.4
        sizes = np.bincount(ndimage.label(mask, np.ones((3, 3, 3)))[0].ravel(), minlength=2)[1:]
        assert largest_part(mask).sum() == sizes.max()


def test_what_promises_too_little_next_to_the_best_is_left_out() -> None:
    mask, probability = np.zeros((9, 20), bool), np.full((9, 20), 0.05, np.float32)
    for columns, value in (
        (slice(0, 4), 0.5),
        (slice(6, 10), 0.9),
        (slice(12, 14), 0.8),
        (slice(17, 18), 0.9),
    ):
        mask[2:6, columns], probability[2:6, columns] = True, value
    promised = [8.0, 14.4, 6.4, 3.6]
    kept = without_small_parts(mask, probability, 0.5)
    assert kept[2, [0, 6, 12, 17]].tolist() == [each >= 7.2 for each in promised]
    assert not kept[~mask].any()
    assert (without_small_parts(mask, probability, 0.25) == mask).all()
    assert (without_small_parts(mask, probability, 0.2501)[2, [12, 17]] == [True, False]).all()


@given(mask=PLANES, share=st.floats(0, 1), seed=st.integers(0, 99))
def test_the_best_part_always_stays_and_parts_stay_whole(mask: np.ndarray, share: float, seed: int) -> None:
    probability = np.random.default_rng(seed).random(mask.shape, np.float32)
    kept = without_small_parts(mask, probability, share)
    parts = ndimage.label(mask, np.ones((3, 3)))[0]
    promised = np.bincount(parts.ravel(), np.where(mask, probability, 0).ravel(), minlength=1)
    for part in range(1, len(promised)):
        inside = kept[parts == part]
        assert inside.all() or not inside.any()
        assert inside.all() or promised[part] < promised[1:].max()
    assert not (kept & ~mask).any()
    assert kept.any() == mask.any()
