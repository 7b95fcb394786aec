"""A stack: DICOM slices that make a volume, and how they become a scan."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Sequence
from pydicom.multival import MultiValue

from tumorlens.errors import TumorlensError
from tumorlens.scan import geometry
from tumorlens.scan.dicom import Frame
from tumorlens.scan.limits import check_size
from tumorlens.scan.origin import DicomOrigin, of_dataset
from tumorlens.scan.scan import Scan
from tumorlens.scan.slices import StackSlices

# By values of ImageType from the third on, of FrameType and of ComplexImageComponent, as makers write them.
_COMPONENTS = {
    name: re.compile(pattern).fullmatch
    for name, pattern in {
        "phase": r"P|P_.*|PHASE|PHASE MAP",
        "real": r"R|R_.*|REAL",
        "imaginary": r"I|I_.*|IMAGINARY",
        "fat": r"F|FAT|FF|FAT_FRACTION",
        "opposed-phase": r"OP|OPP_PHASE|OUT_PHASE|OPPOSED_PHASE",
    }.items()
}
_LONGEST_TEXT = 128  # characters; the standard allows at most 64 of a description
GRAY_KINDS = ("MR", "OT", "SC", "")
"""Modalities that can hold an MR slice."""


@dataclass(frozen=True)
class Stack:
    """Slices of one series that make a volume, in their order along the slice normal.

    Attributes:
        frames: In order.
    """

    frames: tuple[Frame, ...]

    def text(self, keyword: str) -> str:
        """An attribute of the first slice as text in one line; empty where it is missing."""
        value = self.frames[0].find(keyword)
        words = "" if value is None else " ".join(str(value).split())
        return "".join(letter for letter in words if letter.isprintable())[:_LONGEST_TEXT]

    def values(self, keyword: str) -> tuple[str, ...]:
        """The values of an attribute of the first slice, in capitals; none where it is missing."""
        found = self.frames[0].find(keyword)
        several = found if isinstance(found, list | tuple | MultiValue) else () if found is None else (found,)
        return tuple(str(value).strip().upper() for value in several)

    @cached_property
    def component(self) -> str:
        """What of the signal its images show where that isn't its strength, such as ``phase``; else empty."""
        said = (*self.values("ImageType")[2:], *self.values("FrameType")[2:])
        said += self.values("ComplexImageComponent")
        return next((name for name, is_meant in _COMPONENTS.items() if any(map(is_meant, said))), "")

    @property
    def uid(self) -> str:
        """SeriesInstanceUID."""
        return self.text("SeriesInstanceUID")

    @property
    def number(self) -> str:
        """SeriesNumber."""
        return self.text("SeriesNumber")

    @cached_property
    def modality(self) -> str:
        """As in the header: MR, CT, ..."""
        return self.text("Modality")

    @cached_property
    def description(self) -> str:
        """SeriesDescription, or the protocol's name."""
        return self.text("SeriesDescription") or self.text("ProtocolName")

    @property
    def body_part(self) -> str:
        """BodyPartExamined and the anatomic region; empty where the header has neither."""
        regions = self.frames[0].find("AnatomicRegionSequence")
        named = [item.get("CodeMeaning") for item in regions] if isinstance(regions, Sequence) else []
        return " ".join([self.text("BodyPartExamined"), *(str(name) for name in named if name)]).strip()

    @property
    def contrast_agent(self) -> str:
        """The agent's name, or that one was given; empty where the header has none."""
        given = bool(self.frames[0].find("ContrastBolusAgentSequence"))
        return self.text("ContrastBolusAgent") or ("given" if given else "")

    @cached_property
    def plane(self) -> geometry.Plane | None:
        """Along which plane its slices lie; None where the header doesn't say."""
        affine = self.affine
        return None if affine is None else geometry.plane_of(affine)

    @cached_property
    def affine(self) -> NDArray[np.float64] | None:
        """(4, 4), from an index (slice, row, column, 1) to LPS in mm; None where the header doesn't say."""
        first, last = self.frames[0], self.frames[-1]
        if first.orientation is None or first.spacing is None:
            return None
        if first.position is None or last.position is None:
            return None
        row, column = first.orientation
        step = np.cross(row, column) * (first.thickness or 1.0)
        if len(self.frames) > 1:
            step = (last.position - first.position) / (len(self.frames) - 1)
        affine = np.eye(4)
        affine[:3, 0] = step
        affine[:3, 1] = column * first.spacing[0]  # the next row lies along a column
        affine[:3, 2] = row * first.spacing[1]
        affine[:3, 3] = first.position
        return affine if np.linalg.matrix_rank(affine) == len(affine) else None

    @property
    def slice_spacing(self) -> float | None:
        """Distance between neighbouring slices in mm; None where the header doesn't say."""
        if self.affine is None:  # of several slices the thickness alone doesn't tell how far apart they are
            return self.frames[0].thickness if len(self.frames) == 1 else self.frames[0].between
        if len(self.frames) == 1:
            return self.frames[0].thickness
        return geometry.slice_distance(self.affine)

    @property
    def unevenness(self) -> float:
        """By which share of their median the steps from slice to slice differ from it at most."""
        places = [frame.position for frame in self.frames if frame.position is not None]
        if len(places) <= 2 or self.affine is None:
            return 0.0
        steps = np.diff(places, axis=0)
        median = np.median(steps, axis=0)
        return float(np.linalg.norm(steps - median, axis=1).max() / np.linalg.norm(median))

    def __str__(self) -> str:
        count = len(self.frames)
        parts = [
            self.modality or "no modality",
            self.description or "no description",
            *([f"{self.component} images"] if self.component else []),
            *([self.plane.value] if self.plane else []),
            f"{count} slice{'s' if count != 1 else ''}",
            f"contrast agent: {self.contrast_agent or 'not stated'}",
        ]
        return ", ".join(parts)

    def read(self, source: Path, reason: str | None = None, unreadable: int = 0) -> Scan:
        """As a scan, turned the way it is looked at; slices of several are decoded when asked for.

        Args:
            source: Where it comes from.
            reason: Why it was taken of several.
            unreadable: How many files beside its own can't be read.

        Raises:
            TumorlensError: It isn't MR or a gray picture, too large, or its only slice can't be decoded.
        """
        self._check(source)
        affine, shape = self.affine, (len(self.frames), *self.frames[0].shape)
        turn = np.array([[0, 1], [1, 1], [2, 1]], np.float64)
        if affine is not None:
            turn = _turn_within_slices(affine)
            affine = geometry.turned_affine(affine, turn, shape)
        return Scan(
            self._pixels(turn),
            source=source,
            spacing=_spacing(affine) if affine is not None else self.frames[0].spacing,
            slice_spacing=self.slice_spacing,
            affine=affine,
            unevenness=self.unevenness,
            unreadable=unreadable,
            series=str(self),
            reason=reason,
            origin=self._origin(turn),
        )

    def _check(self, source: Path) -> None:
        name = source.name
        gray = self.frames[0].is_gray
        if self.modality not in GRAY_KINDS or not gray:
            color = "" if gray else " in color"
            raise TumorlensError(
                f"{name}: expected an MR series in gray, got {self.modality or 'a picture'}{color} "
                f"({self.description or 'no description'}); choose a T1 series with contrast"
            )
        check_size(name, len(self.frames), *self.frames[0].shape)

    def _pixels(self, turn: NDArray[np.float64]) -> NDArray[np.generic] | StackSlices:
        """Its slices, (slices, rows, columns), in the scan's order."""
        frames = self._in_scan_order(turn)

        def decode(index: int) -> NDArray[np.generic]:
            return np.asarray(geometry.turned(frames[index].pixels()[None], turn)[0])

        if len(frames) == 1:
            return decode(0)[None]
        for frame in frames[:1] if frames[0].multiframe else frames:
            frame.check()  # the commonest damage by far shows before any slice is analysed
        rows, columns = self.frames[0].shape
        turned_rows = rows if turn[1, 0] == 1 else columns
        return StackSlices(decode, (len(frames), turned_rows, rows + columns - turned_rows))

    def _in_scan_order(self, turn: NDArray[np.float64]) -> tuple[Frame, ...]:
        return self.frames if turn[0, 1] > 0 else self.frames[::-1]

    def _origin(self, turn: NDArray[np.float64]) -> DicomOrigin:
        first = self.frames[0]
        order = self._in_scan_order(turn)
        identity = of_dataset(first.header)
        if first.multiframe:
            return DicomOrigin((first.header,), tuple(frame.number + 1 for frame in order), turn, identity)
        return DicomOrigin(tuple(frame.header for frame in order), None, turn, identity)


def _turn_within_slices(affine_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    return geometry.turn_to(geometry.LPS_RAS @ affine_lps, geometry.plane_of(affine_lps))


def _spacing(affine: NDArray[np.float64]) -> tuple[float, float]:
    rows, columns = np.linalg.norm(affine[:3, 1:3], axis=0).tolist()
    return rows, columns
