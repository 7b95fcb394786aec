"""Where to draw the line, the outline that promises the highest Dice, and an outline's numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEVELS = 1000


@dataclass(frozen=True)
class OutlineStatistics:
    """An outline's numbers on one slice.

    Attributes:
        pixels: How many are outlined.
        inside: Mean probability of the outlined pixels; 0 where there are none.
        highest: The largest probability of any pixel.
        at_edge: How many outlined pixels lie at the slice's edge.
    """

    pixels: int
    inside: float
    highest: float
    at_edge: int


def outline_statistics(
    probability: NDArray[np.floating],
    mask: NDArray[np.bool_],
    place: tuple[slice, slice] | None = None,
    shape: tuple[int, int] | None = None,
) -> OutlineStatistics:
    """The numbers of a mask made from probabilities of the same shape.

    Args:
        probability: (rows, columns) in [0, 1].
        mask: (rows, columns).
        place: Of which (rows, columns) of a slice these are; None for all of them.
        shape: The slice's own (rows, columns); needed with ``place``.
    """
    pixels = int(np.count_nonzero(mask))
    rows, columns = place or (slice(0, mask.shape[0]), slice(0, mask.shape[1]))
    height, width = shape or mask.shape
    inner = mask[
        max(1 - rows.start, 0) : height - 1 - rows.start,
        max(1 - columns.start, 0) : width - 1 - columns.start,
    ]
    return OutlineStatistics(
        pixels=pixels,
        inside=float(probability[mask].mean(dtype=np.float64)) if pixels else 0.0,
        highest=float(probability.max()) if probability.size else 0.0,
        at_edge=pixels - int(np.count_nonzero(inner)),
    )


def expected_dice_threshold(probability: NDArray[np.floating], lowest: float) -> float:
    """The threshold whose mask has the highest expected Dice, were every pixel's probability right.

    Where the outline is clear it comes close to a half. Where much of a lesion is only likely to be tumor it
    lies lower: leaving out what is there then costs more Dice than taking in what isn't (Lipton et al., ECML
    2014, show that the best threshold is half of the best score). The expectation is approximated by that of
    the numerator over that of the denominator.

    Args:
        probability: (rows, columns) in [0, 1].
        lowest: Smallest threshold allowed; also what is returned where nothing is likely at all.

    Returns:
        Between ``lowest`` and 0.5, in steps of 0.001.
    """
    centers, expected = _expected_dice(probability)
    return float(np.clip(centers[expected.argmax()], lowest, 0.5)) if expected.any() else lowest


def expected_dice(probability: NDArray[np.floating]) -> float:
    """The highest Dice that any threshold promises, were every pixel's probability right.

    Args:
        probability: (rows, columns) in [0, 1].

    Returns:
        In [0, 1]; 0 where nothing is likely at all.
    """
    return float(_expected_dice(probability)[1].max())


def _expected_dice(probability: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Thresholds from 1 down to 0 in steps of 0.001, and what Dice each promises."""
    likely = probability[probability >= 1 / _LEVELS]  # few pixels of a slice; the rest is at level 0
    levels = (likely * np.float32(_LEVELS)).astype(np.intp)
    counts = np.bincount(levels, minlength=_LEVELS + 1)[::-1]
    counts[-1] += probability.size - likely.size
    centers = np.arange(_LEVELS, -1, -1) / _LEVELS
    gained = (counts * centers).cumsum()
    if not gained[-1]:
        return centers, np.zeros_like(centers)
    return centers, 2 * gained / (counts.cumsum() + gained[-1])
