"""Intensities reach [0, 1], and geometry comes back where it was."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tumorlens.dataset import read_record
from tumorlens.preprocess import (
    prepare_image,
    prepare_mask,
    restore_map,
    restore_mask,
    restore_region,
    to_unit_range,
)

SIZE = 224
GRID_LIMITED = 2400  # pixels at 512 x 512; below, the 224 grid itself costs more than 3% of Dice
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
TYPES = st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float32, np.float64])


def centroid(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.argwhere(mask).mean(axis=0)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


@given(st.data())
def test_any_finite_slice_fills_the_unit_range(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(TYPES))
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    image = data.draw(hnp.arrays(dtype, data.draw(SHAPES), elements=hnp.from_dtype(dtype, **finite)))
    scaled = to_unit_range(image)
    assert scaled.dtype == np.float32
    assert scaled.shape == image.shape
    assert np.isfinite(scaled).all()
    assert scaled.min() == 0
    assert scaled.max() == (0 if (image.astype(np.float64) == np.float64(image.flat[0])).all() else 1)


@given(st.data())
def test_any_finite_slice_is_prepared_within_0_and_1(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(TYPES))
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    image = data.draw(hnp.arrays(dtype, data.draw(SHAPES), elements=hnp.from_dtype(dtype, **finite)))
    prepared = prepare_image(image, 16)
    assert (prepared.dtype, prepared.shape, prepared.flags.c_contiguous) == (np.float32, (16, 16), True)
    assert np.isfinite(prepared).all()
    assert prepared.min() >= 0
    assert prepared.max() <= 1


@pytest.mark.parametrize("offset", [0, 60_000, -1_000_000, 2**40])
def test_a_large_offset_costs_no_gray_levels(offset: int) -> None:
    image = np.random.default_rng(0).integers(0, 500, (300, 200))
    assert np.abs(prepare_image(image + offset, SIZE) - prepare_image(image, SIZE)).max() < 1e-6


def test_a_constant_slice_becomes_zeros() -> None:
    assert not to_unit_range(np.full((3, 4), 700, np.int16)).any()
    assert not prepare_image(np.full((3, 4), 700, np.int16), SIZE).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_slice_with_nan_or_infinity_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="expected finite pixel values"):
        to_unit_range(np.array([[0.0, bad]]))


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (0, 5)])
def test_what_is_not_one_slice_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected one slice"):
        to_unit_range(np.zeros(shape))


def test_negative_int16_values_scale_linearly_without_wrapping() -> None:
    image = np.array([[-32768, 0, 32767]], np.int16)
    assert to_unit_range(image) == pytest.approx(np.array([[0, 32768 / 65535, 1]]), abs=1e-6)


def test_scaling_ignores_gain_and_offset() -> None:
    image = np.random.default_rng(0).integers(0, 500, (20, 20)).astype(np.float64)
    assert to_unit_range(image * 3.7 - 900) == pytest.approx(to_unit_range(image), abs=1e-6)


@pytest.mark.parametrize("shape", [(100, 200), (200, 100)])
def test_a_slice_that_is_not_square_is_padded_alike_on_both_sides(shape: tuple[int, int]) -> None:
    image = np.ones(shape)
    image[50, 50] = 0
    prepared = prepare_image(image, 200) > 0
    rows, columns = prepared.any(axis=1), prepared.any(axis=0)
    assert (rows.argmax(), columns.argmax()) == ((50, 0) if shape[0] < shape[1] else (0, 50))
    assert (rows == rows[::-1]).all()
    assert (columns == columns[::-1]).all()


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (256, 256)])
def test_a_marker_is_neither_mirrored_nor_transposed(shape: tuple[int, int]) -> None:
    image = np.zeros(shape)
    image[30:40, 150:160] = 1
    side = max(shape)
    top, left = (side - shape[0]) / 2, (side - shape[1]) / 2
    found = centroid(prepare_image(image, SIZE) > 0.5)
    expected = (np.array([34.5 + top, 154.5 + left]) + 0.5) * SIZE / side - 0.5
    assert found == pytest.approx(expected, abs=0.5)
    assert centroid(prepare_mask(image > 0, SIZE)) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (224, 224)])
def test_a_map_of_one_value_comes_back_as_that_value(shape: tuple[int, int]) -> None:
    back = restore_map(np.full((SIZE, SIZE), 0.25, np.float32), shape)
    assert back.shape == shape
    assert back == pytest.approx(np.full(shape, 0.25))


def test_restoring_keeps_probabilities_between_0_and_1() -> None:
    values = np.random.default_rng(0).random((SIZE, SIZE)).astype(np.float32).round()
    back = restore_map(values, (512, 300))
    assert back.min() >= 0
    assert back.max() <= 1


def test_real_masks_come_back_with_their_centroid_and_no_common_shift(slice_paths: list[Path]) -> None:
    shifts = []
    for path in slice_paths:
        mask = read_record(path).mask
        back = restore_mask(prepare_mask(mask, SIZE), mask.shape)
        shift = centroid(back) - centroid(mask)
        assert np.abs(shift).max() < 0.5 * max(mask.shape) / SIZE, path.name
        shifts.append(shift)
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.2


def test_real_masks_of_larger_tumors_come_back_with_dice_above_097(slice_paths: list[Path]) -> None:
    masks = [read_record(path).mask for path in slice_paths]
    larger = [mask for mask in masks if mask.sum() * (512 / max(mask.shape)) ** 2 >= GRID_LIMITED]
    assert len(larger) >= 6
    for mask in larger:
        assert dice(mask, restore_mask(prepare_mask(mask, SIZE), mask.shape)) > 0.97


@settings(deadline=None, max_examples=60)
@given(
    shape=st.sampled_from([(512, 512), (256, 256), (512, 400), (300, 512)]),
    place=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
    radius=st.floats(0.05, 0.15),
)
def test_a_disc_comes_back_where_it_was(
    shape: tuple[int, int], place: tuple[float, float], radius: float
) -> None:
    mask = disc(shape, place[0] * shape[0], place[1] * shape[1], radius * max(shape))
    back = restore_mask(prepare_mask(mask, SIZE), shape)
    assert back.shape == shape
    assert np.abs(centroid(back) - centroid(mask)).max() < 0.5 * max(shape) / SIZE
    assert dice(mask, back) > 0.95


def test_a_peak_between_two_positions_of_a_coarse_map_may_come_to_lie_there() -> None:
    coarse = np.zeros((8, 8), np.float32)
    coarse[3, 2:4] = 1, 0.9
    fine = restore_map(coarse, (64, 64), peaks_between=True)
    row, column = np.unravel_index(fine.argmax(), fine.shape)
    assert 26 <= row <= 29
    assert 21 <= column <= 25  # positions lie at 19.5 and 27.5
    on_position = restore_map(coarse, (64, 64))
    assert np.unravel_index(on_position.argmax(), on_position.shape)[1] in (19, 20)


@given(
    st.integers(3, 40),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.floats(0.05, 0.95),
    st.integers(0, 2**32 - 1),
)
def test_a_region_holds_every_pixel_that_is_high_enough(
    size: int, shape: tuple[int, int], lowest: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    values = random.random((size, size), np.float32) ** 3
    values[random.random((size, size)) < 0.9] = 0
    whole = restore_map(values, shape)
    part, place = restore_region(values, shape, lowest)
    np.testing.assert_allclose(part, whole[place], atol=1e-5)
    outside = whole.copy()
    outside[place] = 0
    assert outside.max() < lowest + 1e-5


def test_a_region_is_no_larger_than_it_has_to_be() -> None:
    values = np.zeros((192, 192), np.float32)
    values[60:70, 100:120] = 1
    part, (rows, columns) = restore_region(values, (512, 512), 0.5)
    assert part.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert part.shape[0] < 10 * 512 / 192 + 8
    assert part.shape[1] < 20 * 512 / 192 + 8
