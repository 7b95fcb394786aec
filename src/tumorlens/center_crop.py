"""The center of prepared slices, enlarged to all of a model's input, and the way back for what it said.

Seen larger, and mirrored, a network errs elsewhere than on the whole slice, so that both together outline
better (`docs/experiments.md`). Where in the head the tumor lies is harder to tell there.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]


def center_crop(batch: Array, share: float) -> Array:
    """The center of each slice at the slice's own size.

    Args:
        batch: (n, 1, size, size), as `preprocess.prepare_image` gives them.
        share: Of the slice's width and height, in (0, 1], that is kept; rounded to whole pixels.

    Returns:
        (n, 1, size, size), within the range of ``batch``.
    """
    size = batch.shape[-1]
    inner = _inner(size, share)
    box = (inner.start, inner.start, inner.stop, inner.stop)
    return np.stack([_resized(image, size, box) for image in batch[:, 0]])[:, None]


def restore_center(maps: Array, share: float) -> Array:
    """The inverse of `center_crop`, for maps of its pixels.

    Args:
        maps: (n, size, size).
        share: As given to `center_crop`.

    Returns:
        (n, size, size), NaN outside of the center.
    """
    size = maps.shape[-1]
    inner = _inner(size, share)
    restored = np.full(maps.shape, np.nan, np.float32)
    for values, whole in zip(maps, restored, strict=True):
        whole[inner, inner] = _resized(values, inner.stop - inner.start)
    return restored


def _inner(size: int, share: float) -> slice:
    """Which rows, and columns, of ``size`` are kept; as many are left out before as behind."""
    margin = min(round((1 - share) / 2 * size), (size - 1) // 2)
    return slice(margin, size - margin)


def _resized(values: Array, size: int, box: tuple[int, int, int, int] | None = None) -> Array:
    resized = Image.fromarray(values).resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized, dtype=np.float32)
