"""DICOM frames: what a header says of them, and their pixels."""

import contextlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset, Sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from tumorlens.errors import TumorlensError
from tumorlens.scan.decode import (
    PixelPlace,
    check_length,
    decoded,
    find_pixels,
    inverted,
    looked_up,
    refuse_deflated_bomb,
    rescaled,
    syntax_of,
    without_padding,
)
from tumorlens.scan.limits import check_size
from tumorlens.scan.origin import value_of

_LARGEST_PRIVATE = 1 << 10  # bytes of a private element that is kept
_IMAGE = "Image Storage"  # ends the names of kinds that have a picture
_NOT_PERPENDICULAR = 0.01  # cosine between rows and columns from which on a direction makes no sense


@dataclass(frozen=True)
class Frame:
    """One slice of a DICOM file.

    Attributes:
        path: The file.
        header: Of the whole file, without pixels.
        number: Of the frame in its file, from 0.
        multiframe: Whether the file has several.
        place: Of the pixels in the file; None where the file has to be read as a whole.
    """

    path: Path
    header: Dataset
    number: int
    multiframe: bool
    place: PixelPlace | None = None

    def find(self, keyword: str) -> Any:
        """An attribute of this frame: its own, the file's shared one or the header's.

        None where it is missing or can't be understood.
        """
        for item in self._macros:
            if keyword in item:
                return value_of(item, keyword)
        return value_of(self.header, keyword)

    @cached_property
    def _macros(self) -> tuple[Dataset, ...]:
        """The items of this frame's functional groups, its own before the shared ones."""
        own = _items(self.header, "PerFrameFunctionalGroupsSequence")[self.number : self.number + 1]
        shared = _items(self.header, "SharedFunctionalGroupsSequence")[:1]
        # Over the tags, since iterating over a group itself would read every value.
        return tuple(
            item for group in (*own, *shared) for tag in tuple(group.keys()) for item in _items(group, tag)
        )

    @cached_property
    def orientation(self) -> NDArray[np.float64] | None:
        """Directions of a row and of a column in the patient (LPS), (2, 3) and of length 1; or None."""
        directions = _numbers(self.find("ImageOrientationPatient"), (2, 3))
        if directions is None:
            return None
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        if not (lengths > 0).all():
            return None
        directions = directions / lengths
        return directions if abs(directions[0] @ directions[1]) < _NOT_PERPENDICULAR else None

    @cached_property
    def position(self) -> NDArray[np.float64] | None:
        """Center of the first pixel in the patient (LPS), mm, (3,); or None.

        Where a file has several frames, its header's own position is none of theirs.
        """
        if not self.multiframe:
            return _numbers(self.find("ImagePositionPatient"), (3,))
        stated = [item for item in self._macros if "ImagePositionPatient" in item]
        return _numbers(value_of(stated[0], "ImagePositionPatient"), (3,)) if stated else None

    @cached_property
    def spacing(self) -> tuple[float, float] | None:
        """Distance between pixel centers (rows, columns) in mm; or None."""
        for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
            values = _numbers(self.find(keyword), (2,))
            if values is not None and (values > 0).all():
                return float(values[0]), float(values[1])
        return None

    @property
    def between(self) -> float | None:
        """Distance to a neighbouring slice's center, mm; or None."""
        return self._length("SpacingBetweenSlices")

    @property
    def own_thickness(self) -> float | None:
        """The slice's own thickness, mm; or None."""
        return self._length("SliceThickness")

    @property
    def thickness(self) -> float | None:
        """Distance to a neighbouring slice's center, or the slice's own thickness, mm; or None."""
        return self.between or self.own_thickness

    def _length(self, keyword: str) -> float | None:
        value = _numbers(self.find(keyword), ())
        return float(value) if value is not None and value > 0 else None

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.header.get("Rows") or 0), int(self.header.get("Columns") or 0)

    @cached_property
    def is_gray(self) -> bool:
        """Whether a pixel is one number that says how bright it is."""
        interpretation = value_of(self.header, "PhotometricInterpretation") or "MONOCHROME2"
        samples = value_of(self.header, "SamplesPerPixel") or 1
        return str(interpretation).startswith("MONOCHROME") and samples == 1

    def check(self) -> None:
        """Refuse what can be told to be cut short without being decoded.

        Raises:
            TumorlensError: It is.
        """
        try:
            if self.place is not None and not syntax_of(self.header).is_encapsulated:
                check_length(self.path.stat().st_size, self.header, self.place)
        except Exception as error:  # as in `pixels`
            raise TumorlensError(f"{self.path.name}: {_undecodable(self.header, error)}") from error

    def pixels(self) -> NDArray[np.generic]:
        """The slice (rows, columns): decoded, rescaled as the header says, the brighter the larger.

        Raises:
            TumorlensError: The pixels are cut short, damaged, in color, or in a form that isn't known here.
        """
        if not self.is_gray:
            raise TumorlensError(f"{self.path.name}: expected gray slices, got color; choose another series")
        try:
            values = decoded(self.path, self.header, self.place, self.number)
            values = self._with_meaning(values)
        except Exception as error:  # the decoders raise whatever their libraries do
            raise TumorlensError(f"{self.path.name}: {_undecodable(self.header, error)}") from error
        if values.shape != self.shape or values.dtype.kind not in "iuf":
            raise TumorlensError(
                f"{self.path.name}: expected gray slices of {self.shape[0]} x {self.shape[1]} numbers, got "
                f"{values.dtype} of shape {values.shape}; get the file again"
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise TumorlensError(
                f"{self.path.name}: expected finite pixel values, got NaN or infinity; set them to 0"
            )
        return values

    def _with_meaning(self, stored: NDArray[np.generic]) -> NDArray[np.generic]:
        """Stored values without padding, as the header says what they mean, the brighter the larger."""
        dark = self.header.get("PhotometricInterpretation") == "MONOCHROME1"
        values = without_padding(stored, self.header, dark=dark)
        slope, intercept = self.find("RescaleSlope"), self.find("RescaleIntercept")
        if slope is None and intercept is None and self.header.get("ModalityLUTSequence"):
            values = looked_up(values, self.header)
            return inverted(values, 8 * values.dtype.itemsize) if dark else values
        values = inverted(values, int(self.header.BitsStored)) if dark else values
        return rescaled(values, slope, intercept)


class NoPictureError(TumorlensError):
    """A DICOM file of a kind that has no picture, such as a report."""


def read_frames(path: Path) -> list[Frame]:
    """The frames of a DICOM file, in their order, without pixels.

    Raises:
        NoPictureError: It is none that has a picture.
        TumorlensError: It is damaged.
    """
    try:
        with path.open("rb") as file:
            header = _header(path, file)
            place = find_pixels(file, header)
        rows, columns, count = (int(header.get(key) or 0) for key in ("Rows", "Columns", "NumberOfFrames"))
        syntax = syntax_of(header)
    except TumorlensError:
        raise
    except Exception as error:  # pydicom raises what its parsers do
        raise TumorlensError(
            f"{path.name}: expected a whole DICOM file, but {_reason(error)}; get it again"
        ) from error
    if not rows or not columns or (place is None and syntax != DeflatedExplicitVRLittleEndian):
        refusal = NoPictureError if _is_other(header) else TumorlensError
        raise refusal(
            f"{path.name}: expected a DICOM file with a picture, got {_kind(header)}; "
            "choose the MR series itself"
        )
    frames = max(count, 1)
    check_size(path.name, frames, rows, columns)
    _drop_large_private(header)
    return [Frame(path, header, number, frames > 1, place) for number in range(frames)]


def study_of(path: Path) -> str:
    """The StudyInstanceUID of a DICOM file; empty where it has none or is damaged."""
    with contextlib.suppress(Exception), path.open("rb") as file:
        return str(_header(path, file, ["StudyInstanceUID"]).get("StudyInstanceUID") or "")
    return ""


def _header(path: Path, file: BinaryIO, tags: list[str] | None = None) -> Dataset:
    """All before the pixels, or some tags of it; the file is then at the pixels."""
    refuse_deflated_bomb(path, file)
    return pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=tags)


def _is_other(header: Dataset) -> bool:
    """Whether it says to be of a kind that has no picture."""
    uid = value_of(header, "SOPClassUID") or value_of(
        getattr(header, "file_meta", {}), "MediaStorageSOPClassUID"
    )
    return bool(uid) and not UID(str(uid)).name.endswith(_IMAGE)


def _kind(header: Dataset) -> str:
    uid = value_of(header, "SOPClassUID")
    name = getattr(uid, "name", None) or value_of(header, "Modality") or "one without"
    return " ".join(str(name).split())


def _drop_large_private(header: Dataset) -> None:
    """Leave out what only the scanner's maker understands: of each slice, up to megabytes."""
    large = [
        tag
        for tag in tuple(header.keys())  # over the header itself, every value would be read
        if tag.is_private and len(getattr(header.get_item(tag), "value", None) or b"") > _LARGEST_PRIVATE
    ]
    for tag in large:
        del header[tag]


def _items(dataset: Dataset, key: Any) -> list[Dataset]:
    """Those of a sequence, by its keyword or tag; none where it is no sequence."""
    with contextlib.suppress(Exception):  # as in _value
        value = dataset[key].value
        return list(value) if isinstance(value, Sequence) else []
    return []


def _numbers(value: Any, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    try:
        numbers = np.asarray(value, np.float64).reshape(shape)
    except (TypeError, ValueError):
        return None
    return numbers if np.isfinite(numbers).all() else None


def _undecodable(header: Dataset, error: Exception) -> str:
    name = " ".join(str(syntax_of(header).name).split())  # a damaged one may have line breaks
    return f"expected pixels that can be decoded ({name}), but {_reason(error)}; get the file again"


def _reason(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
