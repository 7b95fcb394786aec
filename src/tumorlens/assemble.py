"""What was said of a scan's slices, made one finding."""

import math
import mmap
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tumorlens.ensemble import Opinion
from tumorlens.finding import Finding, FindingWarning, PackedMap, SliceMaps, WarningKind
from tumorlens.judgement import Judgement
from tumorlens.outline import OutlineStatistics, outline_statistics
from tumorlens.parallel import in_order
from tumorlens.parts import largest_part, without_small_parts
from tumorlens.preprocess import restore_region
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

_MOST_ASKED = 32  # slices of a stack whose strangeness is looked at
_MUCH = 1 << 20  # bytes; for less, asking for pages takes longer than filling them
_UNEVEN_ABOVE = 0.05  # of the median distance between slices


@dataclass(frozen=True, eq=False)
class SliceOpinion:
    """What was said of one slice.

    Attributes:
        tumor_probability: (size, size) in [0, 1]; packed for a stack's slices.
        class_logits: (3,), not yet calibrated.
        class_maps: (3, rows, columns).
        outline: What it outlines; None where no model outlines.
        strangeness: How unlike the slices trained on it looks; None where that wasn't looked at yet.
    """

    tumor_probability: NDArray[np.float32] | PackedMap | None
    class_logits: NDArray[np.float32] | None
    class_maps: NDArray[np.floating] | None
    outline: "SliceOutline | None"
    strangeness: float | None = None


@dataclass(frozen=True, eq=False)
class SliceOutline:
    """What is outlined on one slice.

    Attributes:
        mask: Of the part of the slice that holds all of it.
        place: That part's (rows, columns) in the slice.
        statistics: Its numbers.
    """

    mask: NDArray[np.bool_]
    place: tuple[slice, slice]
    statistics: OutlineStatistics


def outlined(
    opinion: Opinion,
    shape: tuple[int, int],
    judgement: Judgement,
    *,
    in_stack: bool,
    strangeness: float | None = None,
) -> SliceOpinion:
    """An opinion with its outline.

    In a stack an outline counts only where it is clear (`Judgement.is_faint`), since most slices of a stack
    show no tumor.

    Args:
        opinion: Of a batch of one.
        shape: The slice's own (rows, columns).
        judgement: The limits.
        in_stack: Whether the slice is one of several.
        strangeness: How unlike the slices trained on it looks, where that is known.
    """
    outline = _outline(opinion, shape, judgement, in_stack) if opinion.tumor_probability is not None else None
    tumor, logits, maps = (None if part is None else part[0] for part in vars(opinion).values())
    if in_stack and tumor is not None:
        tumor = PackedMap(tumor)
    return SliceOpinion(tumor, logits, maps, outline, strangeness)


def _outline(opinion: Opinion, shape: tuple[int, int], judgement: Judgement, in_stack: bool) -> SliceOutline:
    coarse = opinion.tumor_probability
    assert coarse is not None  # noqa: S101 - asked before
    threshold = float(judgement.thresholds(coarse)[0])
    probability, place = restore_region(coarse[0], shape, threshold)
    mask = probability >= threshold
    if judgement.smallest_part and not in_stack:
        mask = without_small_parts(mask, probability, judgement.smallest_part)
    statistics = outline_statistics(probability, mask, place, shape)
    if statistics.pixels and not (in_stack and judgement.is_faint(statistics)):
        return SliceOutline(mask, place, statistics)
    nothing = OutlineStatistics(0, 0.0, statistics.highest or float(coarse.max()), 0)
    return SliceOutline(np.zeros((0, 0), np.bool_), (slice(0, 0), slice(0, 0)), nothing)


def assemble(
    scan: Scan,
    slices: Sequence[SliceOpinion],
    judgement: Judgement,
    *,
    strangeness: Callable[[int], float] | None = None,
    model: str | None = None,
    largest_component: bool = False,
) -> Finding:
    """One finding of all slices.

    The probabilities of the types are the mean of the slices' weighted by the outlined area; the plain mean
    where nothing is outlined.

    Args:
        scan: What was looked at.
        slices: What was said of each of its slices, by `outlined`.
        judgement: The limits.
        strangeness: How unlike the slices trained on a slice looks, by its index, where the slice's opinion
            doesn't tell; None for no such check.
        model: Its name.
        largest_component: Whether to keep nothing but the largest connected part of the outline.
    """
    tumor = _tumor_probability(scan, slices)
    mask, outlines = None, None
    if tumor is not None:
        mask, outlines = _mask(scan, slices)
        if largest_component and mask.any():
            mask = largest_part(mask)
            outlines = _statistics(tumor, mask, outlines)
    weights = _weights(outlines, len(slices))
    probabilities = _probabilities(slices, judgement, weights)
    strange = None if strangeness is None else _typical(slices, strangeness, np.flatnonzero(weights))
    return Finding(
        scan=scan,
        mask=mask,
        probabilities=probabilities,
        tumor_probability=tumor,
        heatmap=None if probabilities is None else _heatmap(scan, slices, probabilities),
        confidence=None if probabilities is None else judgement.confidence(probabilities, strange),
        strangeness=strange,
        warnings=(*judgement.warnings(outlines, probabilities, strange), *_of_stack(scan, outlines)),
        model=model,
    )


def _tumor_probability(scan: Scan, slices: Sequence[SliceOpinion]) -> SliceMaps | None:
    coarse = [each.tumor_probability for each in slices if each.tumor_probability is not None]
    return SliceMaps(coarse, _size(scan)) if coarse else None


def _mask(scan: Scan, slices: Sequence[SliceOpinion]) -> tuple[NDArray[np.bool_], list[OutlineStatistics]]:
    """The outlines of all slices as one mask, and each one's numbers."""
    mask = _sparse(scan.shape)
    outlines = [each.outline for each in slices if each.outline is not None]
    for index, outline in enumerate(outlines):
        mask[index][outline.place] = outline.mask
    return mask, [outline.statistics for outline in outlines]


def _sparse(shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """An empty mask; where it is large, its memory is taken page by page, where something is outlined."""
    if sys.platform == "win32" or math.prod(shape) < _MUCH:
        return np.zeros(shape, np.bool_)
    memory = mmap.mmap(-1, math.prod(shape), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, np.bool_).reshape(shape)  # np.zeros would ask for pages of 2 MB


def _statistics(
    tumor: SliceMaps, mask: NDArray[np.bool_], before: Sequence[OutlineStatistics]
) -> list[OutlineStatistics]:
    """The outlines' numbers, anew where pixels were taken away."""
    return [
        known
        if known.pixels == np.count_nonzero(mask[index])
        else outline_statistics(tumor[index], mask[index])
        for index, known in enumerate(before)
    ]


def _weights(outlines: Sequence[OutlineStatistics] | None, count: int) -> NDArray[np.float64]:
    """How much each slice has to say of the tumor: its share of the outlined area."""
    pixels = np.array([outline.pixels for outline in outlines or ()], np.float64)
    return pixels / pixels.sum() if pixels.any() else np.full(count, 1 / count)


def _probabilities(
    slices: Sequence[SliceOpinion], judgement: Judgement, weights: NDArray[np.float64]
) -> dict[TumorType, float] | None:
    logits = [each.class_logits for each in slices if each.class_logits is not None]
    if not logits:
        return None
    mean = weights @ judgement.probabilities(np.stack(logits))
    return {tumor_type: float(mean[tumor_type.class_index]) for tumor_type in TumorType}


def _typical(
    slices: Sequence[SliceOpinion], strangeness: Callable[[int], float], shown: NDArray[np.intp]
) -> float:
    """The median of the slices that say something of the tumor; of many, some evenly among them."""
    chosen = shown[np.linspace(0, len(shown) - 1, min(len(shown), _MOST_ASKED)).round().astype(np.intp)]

    def of_slice(index: int) -> float:
        known = slices[index].strangeness
        return strangeness(index) if known is None else known

    return float(np.median(list(in_order(of_slice, chosen.tolist()))))


def _heatmap(
    scan: Scan, slices: Sequence[SliceOpinion], probabilities: dict[TumorType, float]
) -> SliceMaps | None:
    named = max(probabilities, key=probabilities.__getitem__).class_index
    evidence = [_evidence(each.class_maps, named) for each in slices if each.class_maps is not None]
    return SliceMaps(evidence, _size(scan), peaks_between=True, to_strongest=True) if evidence else None


def _evidence(maps: NDArray[np.floating], named: int) -> NDArray[np.floating]:
    """What each position of a slice adds to the named type's lead over the mean of all types.

    Softmax sees nothing but differences of logits, so this, and no single map, is what spoke for the name.
    """
    return np.asarray(maps[named] - maps.mean(axis=0))


def _of_stack(scan: Scan, outlines: Sequence[OutlineStatistics] | None) -> list[FindingWarning]:
    """What is to be known of a stack beyond its slices."""
    found = []
    if scan.unreadable:
        files = "1 file" if scan.unreadable == 1 else f"{scan.unreadable} files"
        message = f"{files} couldn't be read, so that slices may be missing"
        found.append(FindingWarning(WarningKind.INCOMPLETE, message, scan.unreadable, 1))
    if not scan.is_volume:
        return found
    if outlines is not None and (outlines[0].pixels or outlines[-1].pixels):
        pixels = outlines[0].pixels + outlines[-1].pixels
        message = "the outline reaches the first or last slice"
        found.append(FindingWarning(WarningKind.EDGE, message, pixels, 1))
    if scan.unevenness > _UNEVEN_ABOVE:
        message = "the slices lie unevenly, so that volume and place are approximate"
        found.append(FindingWarning(WarningKind.UNEVEN, message, scan.unevenness, _UNEVEN_ABOVE))
    return found


def _size(scan: Scan) -> tuple[int, int]:
    return scan.shape[1], scan.shape[2]
