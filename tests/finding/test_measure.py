"""Diameters are those that a radiologist would draw, in millimetres, however the tumor lies."""

import math
import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tumorlens.finding import Diameters, largest_diameters

Mask = NDArray[np.bool_]
SPACINGS = st.sampled_from([(1.0, 1.0), (0.5, 0.5), (0.49, 0.9), (3.0, 1.0)])
MASKS = arrays.arrays(
    np.bool_, st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)), fill=st.just(value=False)
)


def measured(mask: Mask, spacing: tuple[float, float] = (1.0, 1.0)) -> Diameters:
    found = largest_diameters(mask if mask.ndim == 3 else mask[None], spacing)
    assert found is not None
    return found


def ellipse(
    half_long: float, half_short: float, degrees: float, spacing: tuple[float, float] = (0.5, 0.5)
) -> Mask:
    """An ellipse of these half axes in mm, its long one turned from the rows' direction."""
    shape = (200, 240)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    y, x = (rows - 96.3) * spacing[0], (columns - 121.7) * spacing[1]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    along, aside = cosine * y + sine * x, cosine * x - sine * y
    return np.asarray((along / half_long) ** 2 + (aside / half_short) ** 2 <= 1)


def ends_apart(ends: tuple[tuple[float, float], tuple[float, float]], spacing: tuple[float, float]) -> float:
    return float(np.linalg.norm((np.array(ends[1]) - ends[0]) * spacing))


# --- Known shapes -----------------------------------------------------------------------------------------


def test_nothing_outlined_has_no_diameters() -> None:
    assert largest_diameters(np.zeros((3, 5, 5), np.bool_), (1, 1)) is None


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 2.0)])
def test_a_single_pixel_is_as_wide_as_its_diagonal(spacing: tuple[float, float]) -> None:
    mask = np.zeros((4, 7, 9), np.bool_)
    mask[2, 3, 5] = True
    found = measured(mask, spacing)
    assert found.longest_mm == pytest.approx(math.hypot(*spacing))
    assert found.slice_index == 2
    assert sorted(map(sorted, zip(*found.longest_ends, strict=True))) == [[2.5, 3.5], [4.5, 5.5]]
    if spacing == (1.0, 1.0):
        assert found.perpendicular_mm == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (1, 6), (12, 5), (40, 40)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.49, 0.49), (0.9, 0.3)])
def test_a_rectangle_is_measured_along_its_diagonal(
    rows: int, columns: int, spacing: tuple[float, float]
) -> None:
    mask = np.zeros((60, 70), np.bool_)
    mask[5 : 5 + rows, 9 : 9 + columns] = True
    height, width = rows * spacing[0], columns * spacing[1]
    diagonal = math.hypot(height, width)
    found = measured(mask, spacing)
    assert found.longest_mm == pytest.approx(diagonal)
    across = min(height, width) * diagonal / max(height, width)
    assert found.perpendicular_mm == pytest.approx(across, abs=min(spacing) / 8)


@pytest.mark.parametrize("degrees", [0, 17, 30, 45, 60, 90, 120, 163])
@pytest.mark.parametrize(("half_long", "half_short"), [(30, 30), (40, 15), (20, 18), (12, 4)])
def test_an_ellipse_has_its_axes_for_diameters(degrees: float, half_long: float, half_short: float) -> None:
    found = measured(ellipse(half_long, half_short, degrees), (0.5, 0.5))
    assert found.longest_mm == pytest.approx(2 * half_long, abs=0.8)  # a pixel's diagonal is 0.7
    assert found.perpendicular_mm == pytest.approx(2 * half_short, abs=0.8)


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_pixels_that_are_not_square_are_measured_in_millimetres(degrees: float) -> None:
    spacing = (0.9, 0.45)
    found = measured(ellipse(24, 10, degrees, spacing), spacing)
    assert found.longest_mm == pytest.approx(48, abs=1.2)
    assert found.perpendicular_mm == pytest.approx(20, abs=1.2)


def test_the_perpendicular_keeps_to_the_outline_where_that_is_bent() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[0:12, 0:2] = mask[10:12, 0:12] = True  # an L: from tip to tip is farthest, its corner lies aside
    found = measured(mask)
    assert found.longest_mm == pytest.approx(12 * math.sqrt(2))
    assert found.perpendicular_mm == pytest.approx(2 * math.sqrt(2), abs=0.1)


def test_a_speck_within_a_bend_widens_nothing() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[0:12, 0:2] = mask[10:12, 0:12] = True
    alone = measured(mask)
    mask[0, 11] = True
    assert measured(mask) == alone


# --- Which part, which slice ------------------------------------------------------------------------------


def test_a_distant_speck_lengthens_nothing() -> None:
    mask = ellipse(20, 10, 30)
    alone = measured(mask, (0.5, 0.5))
    mask[2, 2] = mask[199, 239] = True
    assert measured(mask, (0.5, 0.5)) == alone


def test_pixels_that_share_a_corner_are_one_part() -> None:
    assert measured(np.eye(6, dtype=np.bool_)).longest_mm == pytest.approx(6 * math.sqrt(2))


def test_the_slice_is_the_one_with_the_longest_diameter_not_the_largest_area() -> None:
    mask = np.zeros((3, 40, 40), np.bool_)
    mask[0, 10:20, 10:20] = True
    mask[1, 5, 2:38] = True
    mask[2, 10:20, 10:20] = True
    assert measured(mask).slice_index == 1


def test_of_equally_long_diameters_the_one_with_the_longer_perpendicular_is_taken() -> None:
    mask = np.zeros((2, 30, 30), np.bool_)
    mask[:, 4:25, 10] = True
    mask[1, 12:16, 10:13] = True
    assert measured(mask[0]).longest_mm == measured(mask[1]).longest_mm
    assert measured(mask).slice_index == 1


# --- What holds for every outline -------------------------------------------------------------------------


@given(mask=MASKS, spacing=SPACINGS)
def test_the_two_lines_are_as_long_as_said_and_perpendicular(
    mask: Mask, spacing: tuple[float, float]
) -> None:
    assume(mask.any())
    found = measured(mask, spacing)
    assert 0 < found.perpendicular_mm <= found.longest_mm
    assert ends_apart(found.longest_ends, spacing) == pytest.approx(found.longest_mm)
    assert ends_apart(found.perpendicular_ends, spacing) == pytest.approx(found.perpendicular_mm)
    along, across = (
        (np.array(ends[1]) - ends[0]) * spacing for ends in (found.longest_ends, found.perpendicular_ends)
    )
    assert along @ across == pytest.approx(0, abs=1e-6)
    assert mask[found.slice_index].any()


@given(mask=MASKS, spacing=SPACINGS)
def test_no_two_points_of_a_part_lie_farther_apart(mask: Mask, spacing: tuple[float, float]) -> None:
    assume(mask.any())
    source = mask[0] if mask[0].any() else mask[-1]
    plane = np.zeros_like(source)
    flood(source, plane, tuple(np.argwhere(source)[0]))
    corners = (np.argwhere(plane)[:, None] + [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]) * spacing
    points = corners.reshape(-1, 2)
    farthest = np.linalg.norm(points[:, None] - points, axis=2).max()
    assert measured(plane, spacing).longest_mm == pytest.approx(farthest)


def flood(source: Mask, into: Mask, place: tuple[int, ...]) -> None:
    """Mark the part that a pixel belongs to, slowly and surely."""
    waiting = [place]
    while waiting:
        row, column = waiting.pop()
        inside = 0 <= row < len(source) and 0 <= column < source.shape[1]
        if inside and source[row, column] and not into[row, column]:
            into[row, column] = True
            waiting += [(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


@given(mask=MASKS, spacing=SPACINGS)
def test_flipped_or_turned_it_measures_the_same(mask: Mask, spacing: tuple[float, float]) -> None:
    assume(mask.any())
    expected = measured(mask, spacing)
    ways = [
        measured(mask[:, ::-1], spacing),
        measured(mask[:, :, ::-1], spacing),
        measured(np.rot90(mask, 1, (1, 2)), spacing[::-1]),
        measured(np.rot90(mask, 3, (1, 2)), spacing[::-1]),
    ]
    for found in ways:
        assert found.longest_mm == pytest.approx(expected.longest_mm)
        assert found.perpendicular_mm == pytest.approx(expected.perpendicular_mm, abs=1e-5)


@given(mask=MASKS, spacing=SPACINGS, factor=st.sampled_from([0.5, 2.0, 7.5]))
def test_twice_the_spacing_is_twice_the_diameters(
    mask: Mask, spacing: tuple[float, float], factor: float
) -> None:
    assume(mask.any())
    one, other = measured(mask, spacing), measured(mask, (spacing[0] * factor, spacing[1] * factor))
    assert other.longest_mm == pytest.approx(factor * one.longest_mm)
    assert other.perpendicular_mm == pytest.approx(factor * one.perpendicular_mm)


def test_a_huge_slice_is_measured_without_much_memory() -> None:
    mask = np.zeros((1, 8192, 8192), np.bool_)
    mask[0, 50:8100, 60] = mask[0, 8099, 60:8000] = True
    mask[0, ::2, 61] = True
    assert measured(mask).longest_mm > 8000


@pytest.mark.parametrize("spacing", [(0.001, 10.0), (1e7, 1e7), (1e-9, 1e9)])
def test_odd_spacings_take_no_time(spacing: tuple[float, float]) -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:14, 8:24] = True
    began = time.monotonic()
    assert measured(mask, spacing).longest_mm > 0
    assert time.monotonic() - began < 20
