"""What was said of a scan's slices, made one finding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

from tumorlens.ensemble import Opinion
from tumorlens.finding import Finding, FindingWarning, SliceMaps, WarningKind
from tumorlens.judgement import Judgement
from tumorlens.outline import OutlineStatistics, outline_statistics
from tumorlens.parallel import in_order
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

_UNEVEN_ABOVE = 0.05  # of the median distance between slices
_TOUCHING: Literal[26] = 26  # voxels that share a face, an edge or a corner are connected


@dataclass(frozen=True)
class SliceOpinion:
    """What was said of one slice.

    Attributes:
        opinion: Of a batch of one.
        strangeness: How unlike the slices trained on it looks; None where that wasn't asked.
    """

    opinion: Opinion
    strangeness: float | None


def assemble(
    scan: Scan,
    slices: Sequence[SliceOpinion],
    judgement: Judgement,
    *,
    model: str | None = None,
    largest_component: bool = False,
) -> Finding:
    """One finding of all slices.

    In a stack an outline counts only on slices where it is clear (`Judgement.is_faint`), since most slices of
    a stack show no tumor. The probabilities of the types are the mean of the slices' weighted by the
    outlined area; the plain mean where nothing is outlined.

    Args:
        scan: What was looked at.
        slices: What was said of each of its slices.
        judgement: The limits.
        model: Its name.
        largest_component: Whether to keep nothing but the largest connected part of the outline.
    """
    opinions = [each.opinion for each in slices]
    tumor = _tumor_probability(scan, opinions)
    mask, outlines = None, None
    if tumor is not None:
        mask, outlines = _outlined(tumor, opinions, judgement)
        if largest_component and mask.any():
            mask = cc3d.largest_k(mask, k=1, connectivity=_TOUCHING) > 0
            outlines = _statistics(tumor, mask, outlines)
    weights = _weights(outlines, len(slices))
    probabilities = _probabilities(opinions, judgement, weights)
    strangeness = _strangeness(slices, weights)
    return Finding(
        scan=scan,
        mask=mask,
        probabilities=probabilities,
        tumor_probability=tumor,
        heatmap=None if probabilities is None else _heatmap(scan, opinions, probabilities),
        confidence=None if probabilities is None else judgement.confidence(probabilities, strangeness),
        strangeness=strangeness,
        warnings=(*judgement.warnings(outlines, probabilities, strangeness), *_of_stack(scan, outlines)),
        model=model,
    )


def _tumor_probability(scan: Scan, opinions: Sequence[Opinion]) -> SliceMaps | None:
    coarse = [opinion.tumor_probability[0] for opinion in opinions if opinion.tumor_probability is not None]
    return SliceMaps(coarse, _size(scan)) if coarse else None


def _outlined(
    tumor: SliceMaps, opinions: Sequence[Opinion], judgement: Judgement
) -> tuple[NDArray[np.bool_], list[OutlineStatistics]]:
    """The outline of every slice, and its numbers."""
    is_stack = len(opinions) > 1
    mask = np.zeros(tumor.shape, np.bool_)

    def outline(index: int) -> OutlineStatistics:
        coarse = opinions[index].tumor_probability
        assert coarse is not None  # noqa: S101 - there are as many as slices
        threshold = judgement.thresholds(coarse)[0]
        if coarse.max() < threshold:  # and so is every pixel, which lies between its neighbours
            return OutlineStatistics(0, 0.0, float(coarse.max()), 0)
        probability = tumor[index]
        np.greater_equal(probability, threshold, out=mask[index])
        statistics = outline_statistics(probability, mask[index])
        if is_stack and judgement.is_faint(statistics):
            mask[index] = False
            return OutlineStatistics(0, 0.0, statistics.highest, 0)
        return statistics

    return mask, list(in_order(outline, range(len(opinions))))


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
    opinions: Sequence[Opinion], judgement: Judgement, weights: NDArray[np.float64]
) -> dict[TumorType, float] | None:
    logits = [opinion.class_logits for opinion in opinions if opinion.class_logits is not None]
    if not logits:
        return None
    mean = weights @ judgement.probabilities(np.concatenate(logits))
    return {tumor_type: float(mean[tumor_type.class_index]) for tumor_type in TumorType}


def _strangeness(slices: Sequence[SliceOpinion], weights: NDArray[np.float64]) -> float | None:
    """The median of the slices that say something of the tumor."""
    shown = [each.strangeness for each, weight in zip(slices, weights, strict=True) if weight > 0]
    known = [value for value in shown if value is not None]
    return float(np.median(known)) if known else None


def _heatmap(
    scan: Scan, opinions: Sequence[Opinion], probabilities: dict[TumorType, float]
) -> SliceMaps | None:
    named = max(probabilities, key=probabilities.__getitem__).class_index
    evidence = [_evidence(opinion, named) for opinion in opinions]
    given = [each[0] for each in evidence if each is not None]
    return SliceMaps(given, _size(scan), peaks_between=True, to_strongest=True) if given else None


def _evidence(opinion: Opinion, named: int) -> NDArray[np.float32] | None:
    """What each position of a slice adds to the named type's lead over the mean of all types.

    Softmax sees nothing but differences of logits, so this, and no single map, is what spoke for the name.
    """
    maps = opinion.class_maps
    return None if maps is None else maps[:, named] - maps.mean(axis=1)


def _of_stack(scan: Scan, outlines: Sequence[OutlineStatistics] | None) -> list[FindingWarning]:
    """What is to be known of a stack beyond its slices."""
    if not scan.is_volume:
        return []
    found = []
    if outlines is not None and (outlines[0].pixels or outlines[-1].pixels):
        pixels = outlines[0].pixels + outlines[-1].pixels
        message = "the outline reaches the first or last slice"
        found.append(FindingWarning(WarningKind.EDGE, message, pixels, 1))
    if scan.unevenness > _UNEVEN_ABOVE:
        message = "the slices lie unevenly, so that volume and place are approximate"
        found.append(FindingWarning(WarningKind.UNEVEN, message, scan.unevenness, _UNEVEN_ABOVE))
    return found


def _size(scan: Scan) -> tuple[int, int]:
    return scan.pixels.shape[1], scan.pixels.shape[2]
