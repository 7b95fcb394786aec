"""DICOM series as stacks: which frames belong together, and in what order.

A series is divided into stacks: slices of one size and one direction, each at a place of its own.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.scan.dicom import Frame
from tumorlens.scan.stack import Stack

_SAME_DIRECTION = 1e-3  # by how much direction cosines of one stack's slices may differ
_SAME_SPACING = 1e-3  # by which share the spacing of one stack's slices may differ
_SAME_PLACE_MM = 0.01
# What tells volumes apart that lie in one place, the likeliest first.
_DISTINGUISHING = (
    "EchoNumbers",
    "EffectiveEchoTime",
    "EchoTime",
    "InversionTime",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "ImageType",
    "FrameType",
    "ComplexImageComponent",
    "AcquisitionNumber",
    "AcquisitionTime",
    "FrameAcquisitionDateTime",
    "TriggerTime",
    "ContentTime",
)
_LAST = 1 << 31


@dataclass(frozen=True)
class _Placed:
    """A frame and the number of its place along the slice normal."""

    frame: Frame
    place: int


def stacks_of(frames: Sequence[Frame]) -> list[Stack]:
    """Frames of any number of series as stacks, series by series, in the series' order of numbers."""
    if len(frames) == 1:
        return [Stack(tuple(frames))]
    series: dict[Any, list[Frame]] = {}
    for frame in frames:
        series.setdefault(_series_key(frame), []).append(frame)
    stacks = [
        Stack(tuple(volume))
        for together in series.values()
        for alike in _alike(together)
        for volume in _volumes(alike)
    ]
    return sorted(stacks, key=_rank)


def _rank(stack: Stack) -> tuple[Any, ...]:
    return _as_number(stack.number), stack.uid, -len(stack.frames), min(map(_number, stack.frames))


def _once(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Each image once, even where a folder has copies of its file."""
    seen = set()
    for frame in frames:
        uid = frame.find("SOPInstanceUID")
        position = None if frame.position is None else tuple(frame.position)
        # Some software gives all images one UID: only what agrees in number and place, too, is a copy.
        key = (str(uid), frame.number, str(frame.find("InstanceNumber")), position)
        if uid and key in seen:
            continue
        seen.add(key)
        yield frame


def _series_key(frame: Frame) -> tuple[Any, ...]:
    # Careless anonymisers give several patients' series one UID.
    said = [
        str(frame.find(keyword) or "") for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "PatientID")
    ]
    place = "" if said[0] else str(frame.path.parent)
    return *said, place, frame.shape, frame.is_gray, frame.multiframe and frame.path


def _alike(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames by direction and spacing; those that don't say where they lie on their own."""
    groups: list[list[Frame]] = []
    for frame in frames:
        fitting = (group for group in groups if _is_alike(group[0], frame))
        group = next(fitting, None)
        if group is None:
            groups.append([frame])
        else:
            group.append(frame)
    return groups


def _is_alike(one: Frame, other: Frame) -> bool:
    if (one.position is None) != (other.position is None):
        return False
    return _close(one.orientation, other.orientation, _SAME_DIRECTION) and _close(
        one.spacing, other.spacing, _SAME_SPACING * min(one.spacing or (1.0,))
    )


def _close(
    one: NDArray[np.float64] | tuple[float, ...] | None,
    other: NDArray[np.float64] | tuple[float, ...] | None,
    tolerance: float,
) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.abs(np.subtract(one, other)).max() <= tolerance)


def _volumes(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    """The volumes in frames of one size, direction and spacing, each in its order."""
    placed = _placed(frames)
    if placed is None:  # nothing says where they lie: as they are numbered
        yield sorted(_once(frames), key=_number)
        return
    if _crowd(placed) > 1:
        once = {id(frame) for frame in _once(each.frame for each in placed)}
        placed = [each for each in placed if id(each.frame) in once]
    for volume in _apart(placed, _DISTINGUISHING):
        yield [each.frame for each in volume]


def _placed(frames: Sequence[Frame]) -> list[_Placed] | None:
    """Frames in their order along the slice normal, those of one place in that of their numbers."""
    if frames[0].orientation is None:
        return None
    normal = np.cross(*frames[0].orientation)
    positions = [frame.position for frame in frames]
    heights = [float(normal @ position) for position in positions if position is not None]
    if len(heights) < len(frames):
        return None
    pairs = sorted(zip(heights, frames, strict=True), key=lambda pair: pair[0])
    places = [0]
    for (before, _), (after, _) in itertools.pairwise(pairs):
        places.append(places[-1] + (after - before > _SAME_PLACE_MM))
    placed = [_Placed(frame, place) for (_, frame), place in zip(pairs, places, strict=True)]
    return sorted(placed, key=lambda each: (each.place, _number(each.frame)))


def _apart(placed: Sequence[_Placed], keywords: Sequence[str]) -> Iterator[Sequence[_Placed]]:
    """Volumes that lie in one place, told apart by what their headers say differently.

    A keyword counts only where it thins out the most crowded place and makes no more volumes than that holds
    slices: times, for one, are often different for every slice.
    """
    crowd = _crowd(placed)
    if crowd == 1:
        yield placed
        return
    for tried, keyword in enumerate(keywords, start=1):
        parts: dict[str, list[_Placed]] = {}
        for each in placed:
            parts.setdefault(str(each.frame.find(keyword)), []).append(each)
        if 1 < len(parts) <= crowd and max(map(_crowd, parts.values())) < crowd:
            for part in parts.values():
                yield from _apart(part, keywords[tried:])
            return
    yield from _by_number(placed, crowd)


def _by_number(placed: Sequence[_Placed], crowd: int) -> Iterator[Sequence[_Placed]]:
    """As many volumes as each place has slices, by their numbers; else the first slice of each place."""
    counts = Counter(each.place for each in placed)
    numbers = {(each.place, _number(each.frame)[0]) for each in placed}
    ordered = itertools.groupby(placed, key=lambda each: each.place)
    columns = [list(group) for _, group in ordered]
    whole = set(counts.values()) == {crowd} and len(numbers) == len(placed)
    for index in range(crowd if whole else 1):  # where not whole, the same slice was sent twice
        yield [column[index] for column in columns]


def _crowd(placed: Sequence[_Placed]) -> int:
    """How many slices lie in the most crowded place."""
    return max(Counter(each.place for each in placed).values())


def _number(frame: Frame) -> tuple[int, int, Path]:
    return _as_number(frame.find("InstanceNumber")), frame.number, frame.path


def _as_number(value: Any) -> int:
    try:
        return int(str(value))
    except ValueError:
        return _LAST
