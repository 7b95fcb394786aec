"""Masks made smaller or larger all around, by squares of pixels."""

import numpy as np
from numpy.typing import NDArray

from tumorlens.parts import box_of

Mask = NDArray[np.bool_]


def shrunk(mask: Mask, by: int) -> Mask:
    """A mask without its pixels within ``by`` rows and columns of its outside or of the picture's edge.

    Args:
        mask: (rows, columns).
        by: At least 0.
    """
    kept = np.zeros_like(mask)
    if mask.any():
        box = box_of(mask)  # often small beside the picture
        kept[box] = _over_squares(np.logical_and, mask[box], by)
    return kept


def grown(mask: Mask, by: int) -> Mask:
    """A mask with all pixels within ``by`` rows and columns of it.

    Args:
        mask: (rows, columns).
        by: At least 0.
    """
    return _over_squares(np.logical_or, mask, by)


def _over_squares(combine: np.ufunc, mask: Mask, by: int) -> Mask:
    """Of each pixel, all those in a square around it, combined."""
    padded = np.pad(mask, by)
    rows, columns = mask.shape
    level = combine.reduce([padded[at : at + rows] for at in range(2 * by + 1)])
    return np.asarray(combine.reduce([level[:, at : at + columns] for at in range(2 * by + 1)]))
