"""A patient with one bright place, seen by any scanner: what a reader must find again, and in which view."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MARKER = np.array([17.0, -9.0, 12.0])
"""Center of the bright place in the patient (LPS, mm): left, anterior and superior."""
_RADIUS_MM = 9.0

# Directions (slice, row, column) in LPS of the views that are asked for.
VIEWS = {
    "axial": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float),
    "coronal": np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]], float),
    "sagittal": np.array([[-1, 0, 0], [0, 0, -1], [0, 1, 0]], float),
}


def seen(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.int16]:
    """What a scanner measures: 1000 at the marker, about 100 elsewhere, different at every place.

    Args:
        affine: (4, 4), from an index of any three axes to LPS in mm.
        shape: Of those axes.
    """
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    blob = 900 * np.exp(-(((places - MARKER) / _RADIUS_MM) ** 2).sum(-1))
    slope = places @ np.array([0.31, 0.17, 0.23])
    return np.asarray(np.round(100 + blob + slope), np.int16)


def centroid(pixels: NDArray[np.generic], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the bright place lies by an affine, mm."""
    bright = np.clip(np.asarray(pixels, float) - 500, 0, None)
    index = np.argwhere(bright > 0)
    weights = bright[bright > 0]
    assert weights.size, "the marker is not there"
    mean = (index * weights[:, None]).sum(0) / weights.sum()
    return np.asarray((affine @ [*mean, 1])[:3])


def around_marker(
    directions: NDArray[np.float64],
    spacing: tuple[float, float, float],
    shape: tuple[int, int, int],
    off: tuple[float, float, float] = (-11.0, 6.0, 5.0),
) -> NDArray[np.float64]:
    """The affine of a volume whose middle lies near the marker.

    Args:
        directions: (3, 3), of its three axes, one a row.
        spacing: Along its axes, mm.
        shape: Of its axes.
        off: From the marker to the middle, mm.
    """
    affine = np.eye(4)
    affine[:3, :3] = directions.T * spacing
    affine[:3, 3] = MARKER + off - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def turns_within_slices() -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The eight ways to lay a slice into rows and columns, each with both orders of slices: (3, 3) turns."""
    for swap, flip_rows, flip_columns, flip_slices in itertools.product((False, True), repeat=4):
        turn = np.zeros((3, 3))
        turn[0, 0] = -1 if flip_slices else 1
        rows, columns = (2, 1) if swap else (1, 2)
        turn[1, rows] = -1 if flip_rows else 1
        turn[2, columns] = -1 if flip_columns else 1
        name = f"{'swapped ' * swap}{'rows ' * flip_rows}{'columns ' * flip_columns}{'slices ' * flip_slices}"
        yield name.strip() or "as wanted", turn
