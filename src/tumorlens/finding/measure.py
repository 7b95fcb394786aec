"""Measurements of an outline, as radiologists take them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from tumorlens.parts import slice_parts

Point = tuple[float, float]
Vectors = NDArray[np.float64]
"""(n, 2), rows and columns; in mm unless said otherwise."""

_EQUAL = 1 - 1e-9  # of a length, from which on another counts as long
_FINENESS = 16  # lines across, a pixel's width
_MOST_LINES = 20_000  # where one side of a pixel is hundreds of times the other


@dataclass(frozen=True)
class Diameters:
    """The two largest diameters in one slice, as RANO measures them (Wen et al., J Clin Oncol 28, 2010).

    Attributes:
        longest_mm: The outline's longest diameter in mm.
        perpendicular_mm: The longest one perpendicular to it in mm, never more than ``longest_mm``.
        slice_index: The slice they lie in, from 0.
        longest_ends: Its two ends as (row, column) in pixels, whole numbers at pixels' centers.
        perpendicular_ends: The other's.
    """

    longest_mm: float
    perpendicular_mm: float
    slice_index: int
    longest_ends: tuple[Point, Point]
    perpendicular_ends: tuple[Point, Point]


@dataclass(frozen=True)
class _Part:
    """A part of a slice's outline.

    Attributes:
        slice_index: Of the slice.
        corner: (row, column) of its bounding box.
        mask: What lies in this.
    """

    slice_index: int
    corner: tuple[int, int]
    mask: NDArray[np.bool_]

    def diagonal(self, size: Vectors) -> float:
        """Of its bounding box, in mm, where a pixel is as large as ``size``."""
        return float(np.linalg.norm(self.mask.shape * size))


@dataclass(frozen=True)
class _Cross:
    """Two lines perpendicular to each other: the ends of each, (2, 2) in mm."""

    part: _Part
    along: Vectors
    across: Vectors


def largest_diameters(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> Diameters | None:
    """The largest diameters of an outline: where, in one connected part of one slice, the longest is longest.

    Pixels count whole: a single pixel of 1 mm is as wide as its diagonal. Where several lines are the
    longest, the one with the longest perpendicular is taken.

    Args:
        mask: (slices, rows, columns), True on the tumor.
        spacing: Distance between pixel centers (rows, columns) in mm.

    Returns:
        None where nothing is outlined.
    """
    size = np.array(spacing, np.float64)
    longest, found = 0.0, list[tuple[_Part, float, list[Vectors]]]()
    boxes = [_boxed(mask, index) for index in np.flatnonzero(mask.any((1, 2))).tolist()]
    for box in sorted(boxes, key=lambda box: -box.diagonal(size)):
        if box.diagonal(size) < longest * _EQUAL:  # the diagonal of a box is the longest that a part can have
            break
        for part in _parts(box):
            if part.diagonal(size) >= longest * _EQUAL:
                length, lines = _longest(part.mask, size)
                longest = max(longest, length)
                found.append((part, length, lines))
    if not found:
        return None
    found.sort(key=lambda each: each[0].slice_index)
    tied = [(part, line) for part, length, lines in found if length >= longest * _EQUAL for line in lines]
    crosses = [_Cross(part, line, _perpendicular(part.mask, size, line[1] - line[0])) for part, line in tied]
    best = max(crosses, key=lambda cross: round(_length(cross.across), 6))
    return Diameters(
        longest_mm=_length(best.along),
        perpendicular_mm=min(_length(best.across), _length(best.along)),
        slice_index=best.part.slice_index,
        longest_ends=_pixels(best.along / size + best.part.corner),
        perpendicular_ends=_pixels(best.across / size + best.part.corner),
    )


def _parts(box: _Part) -> Iterator[_Part]:
    """The connected parts of what a slice's box holds."""
    labels = slice_parts(box.mask)
    boxes = cc3d.statistics(np.ascontiguousarray(labels[None]))["bounding_boxes"]
    for label, (_, rows, columns) in enumerate(boxes[1:], start=1):
        corner = (box.corner[0] + rows.start, box.corner[1] + columns.start)
        yield _Part(box.slice_index, corner, labels[rows, columns] == label)


def _boxed(mask: NDArray[np.bool_], index: int) -> _Part:
    """All that a slice's mask holds."""
    rows, columns = np.flatnonzero(mask[index].any(1)), np.flatnonzero(mask[index].any(0))
    top, left = int(rows[0]), int(columns[0])
    return _Part(index, (top, left), mask[index, top : rows[-1] + 1, left : columns[-1] + 1])


def _longest(mask: NDArray[np.bool_], size: Vectors) -> tuple[float, list[Vectors]]:
    """The length of the longest lines between corners, in mm, and the two ends of each."""
    corners = _hull(mask) * size
    apart = ((corners[:, None] - corners[None]) ** 2).sum(2)
    ends = np.argwhere(np.triu(apart) >= apart.max() * _EQUAL**2)
    return float(np.sqrt(apart.max())), [corners[pair] for pair in ends]


def _hull(mask: NDArray[np.bool_]) -> Vectors:
    """The corners of the convex hull of a connected part's pixels, (n, 2) in pixels."""
    left = mask.argmax(1)
    right = mask.shape[1] - mask[:, ::-1].argmax(1)
    left = np.minimum(np.append(left, left[-1]), np.append(left[0], left))  # of lines between rows
    right = np.maximum(np.append(right, right[-1]), np.append(right[0], right))
    corners = [*_bulge(right.tolist()), *((row, -column) for row, column in _bulge((-left).tolist()))]
    return np.unique(np.array(corners, np.float64), axis=0) - 0.5


def _bulge(reach: Iterable[int]) -> list[tuple[int, int]]:
    """The corners of the convex hull on one side (Andrew's monotone chain), as (line, reach)."""
    kept: list[tuple[int, int]] = []
    for line, far in enumerate(reach):
        while len(kept) > 1 and not _turns_in(kept[-2], kept[-1], (line, far)):
            kept.pop()
        kept.append((line, far))
    return kept


def _turns_in(first: tuple[int, int], middle: tuple[int, int], last: tuple[int, int]) -> bool:
    """Whether ``middle`` reaches farther than the straight line from ``first`` to ``last``."""
    before, after = middle[0] - first[0], last[0] - middle[0]
    return (middle[1] - first[1]) * after > (last[1] - middle[1]) * before


def _perpendicular(mask: NDArray[np.bool_], size: Vectors, along: Vectors) -> Vectors:
    """The ends, (2, 2) in mm, of the longest line across a part, perpendicular to a direction.

    Lines are drawn across at even distances, a sixteenth of a pixel or less; each reaches from the first edge
    between a pixel of the part and another that it meets to the last.
    """
    unit = along / np.linalg.norm(along)
    axes = np.stack([unit, [-unit[1], unit[0]]], axis=1)
    edges = (_edges(mask) * size) @ axes  # (n, 2 ends, along and aside)
    edges = np.take_along_axis(edges, edges[..., :1].argsort(axis=1), axis=1)
    start, end = edges[..., 0].min(), edges[..., 0].max()
    lines = min((end - start) * _FINENESS / size.min(), _MOST_LINES)
    count = 2 * int(lines / 2) + 1  # odd, so that one is in the middle
    step = (end - start) / count
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    first = np.ceil((edges[:, 0, 0] - start) / step - 0.5).astype(np.intp).clip(0)
    last = np.floor((edges[:, 1, 0] - start) / step - 0.5).astype(np.intp).clip(max=count - 1)
    slope = np.diff(edges, axis=1)[:, 0]
    for more in range(int((last - first).max(initial=0)) + 1):
        line = first + more
        met = line <= last
        at = line[met]
        share = (start + (at + 0.5) * step - edges[met, 0, 0]) / slope[met, 0]
        aside = edges[met, 0, 1] + share * slope[met, 1]
        np.minimum.at(lowest, at, aside)
        np.maximum.at(highest, at, aside)
    best = int((highest - lowest).argmax())
    at_best = start + (best + 0.5) * step
    ends: Vectors = np.array([[at_best, lowest[best]], [at_best, highest[best]]]) @ axes.T
    return ends


def _edges(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The sides that pixels share with what isn't outlined, each by its two ends: (n, 2, 2) in pixels."""
    padded = np.pad(mask, 1).astype(np.int8)
    level = np.argwhere(np.diff(padded, axis=0)[:, 1:-1]) - 0.5  # above a row, from its left end
    upright = np.argwhere(np.diff(padded, axis=1)[1:-1]) - 0.5
    sides = ((level, np.array([0, 1])), (upright, np.array([1, 0])))
    return np.concatenate([np.stack([begin, begin + way], axis=1) for begin, way in sides])


def _length(ends: Vectors) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _pixels(ends: Vectors) -> tuple[Point, Point]:
    (one_row, one_column), (other_row, other_column) = ends.tolist()
    return (one_row, one_column), (other_row, other_column)
