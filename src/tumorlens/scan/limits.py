"""What is too large or too small to be a scan, said before memory is spent on it."""

import math
from collections.abc import Sequence

from tumorlens.errors import TumorlensError

LARGEST_SIDE = 8192
"""Rows or columns of a slice."""
SMALLEST_SIDE = 2
MOST_SLICES = 1 << 15
"""Of one scan."""
MOST_VALUES = 1 << 29
"""Pixels of all slices together: two thousand slices of 512 x 512."""


def check_size(name: str, slices: int, rows: int, columns: int) -> None:
    """Refuse a scan of impossible size.

    Args:
        name: What to call it in the message.
        slices: How many.
        rows: Of a slice.
        columns: Of a slice.

    Raises:
        TumorlensError: A side or the whole is too small or too large.
    """
    if min(rows, columns) < SMALLEST_SIDE or max(rows, columns) > LARGEST_SIDE:
        raise TumorlensError(
            f"{name}: expected slices of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side, "
            f"got {rows} x {columns}; scale the picture"
        )
    if slices > MOST_SLICES:
        raise TumorlensError(f"{name}: expected at most {MOST_SLICES:,} slices, got {slices:,}; split it")
    check_values(name, (slices, rows, columns))


def check_values(name: str, shape: Sequence[int]) -> None:
    """Refuse a volume with more values than a scan can have.

    Raises:
        TumorlensError: It has more.
    """
    if math.prod(shape) > MOST_VALUES:
        size = " x ".join(map(str, shape))
        raise TumorlensError(f"{name}: expected at most {MOST_VALUES:,} voxels, got {size}; crop or split it")
