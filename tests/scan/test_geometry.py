"""Turning a volume and turning it back are exact, and affines go along."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import dicom_files
from tumorlens.scan.geometry import (
    LPS_RAS,
    Plane,
    best_plane,
    plane_of,
    slice_distance,
    turn_to,
    turned,
    turned_affine,
    turned_back,
    turned_back_affine,
)

turns = st.tuples(st.permutations(range(3)), st.tuples(*[st.sampled_from([-1, 1])] * 3)).map(
    lambda pair: np.array([*zip(*pair, strict=True)], float)
)
shapes = st.tuples(*[st.integers(1, 5)] * 3)


def affine_of(numbers: list[float]) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3] = np.reshape(numbers, (3, 4))
    return affine


affines = st.lists(st.floats(-9, 9, width=32), min_size=12, max_size=12).map(affine_of)
axes = st.sampled_from([np.eye(3)[list(order)] for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (1, 0, 2))])


@given(shapes, turns)
def test_turned_back_is_the_inverse_of_turned(shape: tuple[int, ...], turn: NDArray[np.float64]) -> None:
    values = np.arange(np.prod(shape)).reshape(shape)
    assert np.array_equal(turned_back(turned(values, turn), turn), values)


@given(shapes, turns, affines)
def test_every_voxel_keeps_its_place_when_turned(
    shape: tuple[int, ...], turn: NDArray[np.float64], affine: NDArray[np.float64]
) -> None:
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    moved = np.stack([turned(places[..., axis], turn) for axis in range(3)], -1)
    after = turned_affine(affine, turn, shape)
    index = np.stack(np.meshgrid(*map(np.arange, moved.shape[:3]), indexing="ij"), -1)
    assert index @ after[:3, :3].T + after[:3, 3] == pytest.approx(moved, abs=1e-6)
    assert turned_back_affine(after, turn, shape) == pytest.approx(affine, abs=1e-6)


@given(axes, st.tuples(*[st.sampled_from([-1, 1])] * 3), st.sampled_from(Plane))
def test_a_volume_is_turned_to_slices_of_the_wanted_plane(
    directions: NDArray[np.float64], signs: tuple[int, int, int], plane: Plane
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = directions * signs
    after = turned_affine(affine, turn_to(affine, plane), (4, 5, 6))
    assert plane_of(LPS_RAS @ after) is plane


def test_the_plane_is_that_across_the_thickest_voxels() -> None:
    assert best_plane(np.diag([1.0, 1.0, 1.0, 1.0]), (9, 9, 9)) is Plane.AXIAL
    assert best_plane(np.diag([1.0, 1.0, 3.0, 1.0]), (9, 9, 9)) is Plane.AXIAL
    assert best_plane(np.diag([1.0, 3.0, 1.0, 1.0]), (9, 9, 9)) is Plane.CORONAL
    assert best_plane(np.diag([3.0, 1.0, 1.0, 1.0]), (9, 9, 9)) is Plane.SAGITTAL


def test_the_plane_is_that_of_a_single_slice() -> None:
    assert best_plane(np.diag([1.0, 1.0, 3.0, 1.0]), (1, 9, 9)) is Plane.SAGITTAL
    assert best_plane(np.diag([1.0, 1.0, 3.0, 1.0]), (9, 1, 9)) is Plane.CORONAL
    assert best_plane(np.diag([1.0, 3.0, 1.0, 1.0]), (1, 1, 9)) is Plane.CORONAL


@given(angle=st.floats(-40, 40), spacing=st.floats(0.5, 8), pixel=st.floats(0.3, 2))
def test_slices_moved_sideways_are_as_far_apart_as_their_planes(
    angle: float, spacing: float, pixel: float
) -> None:
    """A volume is the determinant of its affine times its voxels."""
    affine = dicom_files.affine_of(spacing=(spacing, pixel, pixel * 1.3))
    affine[1, 0] += spacing * np.tan(np.deg2rad(angle))
    assert slice_distance(affine) == pytest.approx(spacing)
    assert slice_distance(affine) * pixel * pixel * 1.3 == pytest.approx(abs(np.linalg.det(affine[:3, :3])))
