"""Intensities to [0, 1], slices to the model's input size, and the way back for masks and maps.

Training and analysis both call these functions and no others, so that the two cannot drift apart.

Geometry: a slice is padded symmetrically to a square and the square is resized by pixel centers, so
neither direction shifts the picture. Images are resized by area-aware bilinear interpolation, masks by
nearest neighbour.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.resample import resized

Shape = tuple[int, int]
T = TypeVar("T", bound=np.generic)


def to_unit_range(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """Scale a slice linearly so that its smallest value becomes 0 and its largest 1.

    Args:
        image: (rows, columns), any real type and range.

    Returns:
        (rows, columns) in [0, 1]; all zeros where the slice is constant.

    Raises:
        ValueError: ``image`` isn't two-dimensional, is empty, or holds NaN or infinity.
    """
    image, low, span = _with_range(image)
    unit = image.astype(low.dtype)  # the one copy: fresh memory costs more than arithmetic
    unit -= low
    unit /= span
    return unit.astype(np.float32, copy=False)


def _with_range(
    image: NDArray[np.generic],
) -> tuple[NDArray[np.generic], np.floating, np.floating]:
    """A slice that can be reckoned with, its smallest value, and the largest less that, 1 where it is 0.

    The two have the type in which to reckon.
    """
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"expected one slice (rows, columns), got shape {image.shape}")
    kind = np.dtype(np.float32 if np.can_cast(image.dtype, np.float32) else np.float64)
    ends: NDArray[np.floating] = np.array([image.min(), image.max()]).astype(kind)
    if not np.isfinite(ends).all():
        raise ValueError("expected finite pixel values, got NaN or infinity")
    if float(ends[1]) - float(ends[0]) > np.finfo(ends.dtype).max / 4:  # sums are to stay below, too
        image, ends = image.astype(kind) / 4, ends / 4
    return image, ends[0], ends[1] - ends[0] or ends.dtype.type(1)


def prepare_image(image: NDArray[np.generic], size: int) -> NDArray[np.float32]:
    """A slice as the models see it.

    Args:
        image: (rows, columns), any real type and range.
        size: Width and height of the model's input, in pixels.

    Returns:
        (size, size) in [0, 1].
    """
    image, low, span = _with_range(image)
    small = resized(_pad_to_square(image, image.min()), size, low)
    small /= span
    return small.clip(0, 1).astype(np.float32, copy=False)


def prepare_mask(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """A mask in the geometry of `prepare_image`, by nearest neighbour: (rows, columns) to (size, size)."""
    picture = Image.fromarray(_pad_to_square(mask).astype(np.uint8))
    return np.asarray(picture.resize((size, size), Image.Resampling.NEAREST)).astype(np.bool_)


def restore_mask(mask: NDArray[np.bool_], shape: Shape) -> NDArray[np.bool_]:
    """The inverse of `prepare_mask`: (size, size) to ``shape``, the slice's own (rows, columns).

    The mask's edge is interpolated, which follows the true outline more closely than repeating pixels does.
    """
    return restore_map(mask.astype(np.float32), shape) >= 0.5


def restore_map(
    values: NDArray[np.float32], shape: Shape, *, peaks_between: bool = False
) -> NDArray[np.float32]:
    """Bring a map of probabilities back to the slice's own pixels, by bilinear interpolation.

    Args:
        values: (size, size), in the geometry of `prepare_image`.
        shape: The slice's own (rows, columns).
        peaks_between: Whether a coarse map's peak may come to lie between its positions, where those around
            speak for it (Lanczos interpolation); bilinear interpolation puts every peak on a position.

    Returns:
        ``shape``, within the range of ``values`` but for a little where peaks may lie between.
    """
    side = max(shape)
    way = Image.Resampling.LANCZOS if peaks_between else Image.Resampling.BILINEAR
    resized = Image.fromarray(values).resize((side, side), way)
    return _crop_from_square(np.asarray(resized, dtype=np.float32), shape)


def restore_region(
    values: NDArray[np.float32], shape: Shape, lowest: float
) -> tuple[NDArray[np.float32], tuple[slice, slice]]:
    """The part of `restore_map` that holds every pixel of at least ``lowest``; the rest isn't worked out.

    Args:
        values: (size, size), in the geometry of `prepare_image`.
        shape: The slice's own (rows, columns).
        lowest: Must be greater than the smallest value.

    Returns:
        The part, and the (rows, columns) of the slice that it is; empty where no value is that large.
    """
    side, size = max(shape), len(values)
    high = values >= lowest
    if not high.any():
        return np.zeros((0, 0), np.float32), (slice(0, 0), slice(0, 0))
    reach = max(1.0, size / side)  # a pixel is made of values no farther away than this
    spans, box = [], []
    for axis, margin in enumerate(_margins(shape)):
        places = np.flatnonzero(high.any(axis=1 - axis))
        begin = int(np.floor((places[0] + 0.5 - reach) * side / size))
        end = int(np.ceil((places[-1] + 0.5 + reach) * side / size))
        begin, end = max(begin, margin), min(end, margin + shape[axis])
        if begin >= end:  # all of it lies in the margins
            return np.zeros((0, 0), np.float32), (slice(0, 0), slice(0, 0))
        spans.append(slice(begin - margin, end - margin))
        box.append((begin * size / side, end * size / side))
    (top, bottom), (left, right) = box
    rows, columns = spans
    part = Image.fromarray(values).resize(
        (columns.stop - columns.start, rows.stop - rows.start),
        Image.Resampling.BILINEAR,
        box=(left, top, right, bottom),
    )
    return np.asarray(part, dtype=np.float32), (rows, columns)


def _margins(shape: Shape) -> Shape:
    side = max(shape)
    return (side - shape[0]) // 2, (side - shape[1]) // 2


def _pad_to_square(array: NDArray[T], margin: np.generic | int = 0) -> NDArray[T]:
    rows, columns = array.shape
    if rows == columns:
        return array
    top, left = _margins((rows, columns))
    square = np.full((max(array.shape),) * 2, margin, dtype=array.dtype)
    square[top : top + rows, left : left + columns] = array
    return square


def _crop_from_square(square: NDArray[T], shape: Shape) -> NDArray[T]:
    top, left = _margins(shape)
    return square[top : top + shape[0], left : left + shape[1]]
