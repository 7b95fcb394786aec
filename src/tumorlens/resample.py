"""A square picture at another size, by area-aware bilinear interpolation.

What Pillow's `resize` with `BILINEAR` does, but for rounding, as products of matrices: less than half of its
time, which counts where every slice of an archive goes through it. An output pixel is the mean of inputs
around its center, weighted by a triangle as wide as two output pixels, or two inputs where those are larger.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_TOGETHER = 8  # rows of the result that one product makes
_MOST = 100_000  # inputs of all products of a strip, so that they stay in the processor's caches

Rows = NDArray[np.intp]
Weights = NDArray[np.float32]
Plane = NDArray[np.floating]
_ZERO = np.float32(0)


def resized(square: NDArray[np.generic], size: int, zero: np.floating = _ZERO) -> Plane:
    """A square picture at another size.

    Args:
        square: (n, n), n ≥ 1, of any real type.
        size: Width and height of the result, at least 1.
        zero: What is subtracted from every pixel first; its type, of 32 or 64 bits, is that of the result.

    Returns:
        (size, size), within the range of what is left of ``square`` but for rounding.
    """
    turned = _rows_resized_and_turned(square, size, zero)
    return _rows_resized_and_turned(turned, size, turned.dtype.type(0))


def _rows_resized_and_turned(plane: NDArray[np.generic], size: int, zero: np.floating) -> Plane:
    """(n, columns) to (columns, size)."""
    rows, weights = _bands(len(plane), size)
    columns = plane.shape[1]
    turned = np.empty((columns, size), zero.dtype)
    strip = max(_TOGETHER, _MOST // len(plane))
    for at in range(0, columns, strip):
        inputs = plane[:, at : at + strip][rows].astype(zero.dtype, copy=False)  # a copy already, by `rows`
        if zero:
            inputs -= zero
        few = np.matmul(weights, inputs).reshape(-1, inputs.shape[-1])[:size]
        turned[at : at + strip] = few.T  # narrow strips: their rows share no places in a cache
    return turned


@lru_cache(maxsize=64)
def _bands(count: int, size: int) -> tuple[Rows, Weights]:
    """Which inputs make each few outputs, and how much: (bands, inputs) and (bands, few, inputs)."""
    step = count / size
    reach = max(step, 1.0)
    centers = (np.arange(-(-size // _TOGETHER) * _TOGETHER).reshape(-1, _TOGETHER) + 0.5) * step
    first = np.floor(centers[:, 0] - reach).astype(np.intp)
    width = min(int(np.ceil(centers[0, -1] - centers[0, 0] + 2 * reach)) + 1, count)
    rows = first.clip(0, count - width)[:, None] + np.arange(width)
    weights = np.maximum(reach - np.abs(rows[:, None, :] + 0.5 - centers[:, :, None]), 0)
    sums = weights.sum(axis=2, keepdims=True)
    weights = np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0)  # none beyond the last
    return rows, weights.astype(np.float32)
