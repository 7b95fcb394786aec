"""Slices without their tumor: the sick half becomes the mirror image of the healthy one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from odd_pictures import resized

from tumorlens.preprocess import to_unit_range


def without_tumor(pixels: NDArray[Any], tumor: NDArray[np.bool_]) -> NDArray[Any] | None:
    """A slice whose sick half is replaced by the mirror image of the healthy one.

    Args:
        pixels: (rows, columns), axial or coronal.
        tumor: The expert's outline, the same shape.

    Returns:
        The same shape; None where the tumor reaches across the axis of symmetry or that isn't found.
    """
    axis = symmetry_axis(to_unit_range(pixels))
    columns = np.flatnonzero(tumor.any(axis=0)) + 0.5
    if axis is None or (columns.min() < axis + 2 and columns.max() > axis - 2):
        return None
    sick_is_left = columns.max() < axis
    places = np.arange(pixels.shape[1])
    opposite = np.round(2 * axis - 1 - places).astype(int)
    sick = places + 0.5 < axis if sick_is_left else places + 0.5 > axis
    healthy = np.where(sick, opposite, places)
    inside = (healthy >= 0) & (healthy < pixels.shape[1])
    values = pixels[:, healthy.clip(0, pixels.shape[1] - 1)].copy()
    values[:, ~inside] = pixels.min()
    return values


def symmetry_axis(unit: NDArray[np.float32], least: float = 0.8) -> float | None:
    """The column, in pixels from the left edge, about which a slice is most symmetric.

    Args:
        unit: (rows, columns) in [0, 1].
        least: Correlation with the mirror image that is asked.
    """
    side = 128
    small = resized(unit, side)
    best, found = least, None
    for shift in range(-side // 5, side // 5 + 1):  # the mirror image moved by so many columns
        width = side - abs(shift)
        first = small[:, max(shift, 0) : max(shift, 0) + width]
        second = first[:, ::-1]
        correlation = float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
        if correlation > best:
            best, found = correlation, (side + shift) / 2
    return None if found is None else found * unit.shape[1] / side
