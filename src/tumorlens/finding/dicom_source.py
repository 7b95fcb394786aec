"""What a scan's DICOM headers say of the images that a finding refers to."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import MRImageStorage, generate_uid
from pydicom.valuerep import DA, TM

from tumorlens.errors import TumorlensError
from tumorlens.scan import Scan
from tumorlens.scan.dicom import Frame
from tumorlens.scan.geometry import turned_back
from tumorlens.scan.origin import DicomOrigin, value_of

# A file has to have these, though they may be empty.
_PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_SEXES = ("M", "F", "O")
_UIDS = {
    "StudyInstanceUID": "a study's UID",
    "SeriesInstanceUID": "a series' UID",
    "SOPClassUID": "the kind of object (SOPClassUID)",
    "SOPInstanceUID": "each image's UID (SOPInstanceUID)",
}
_LEFT_OUT = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_LAST_GROUP = 0x5000  # from here on curves, overlays and pixels


@dataclass(frozen=True)
class SourceImage:
    """One slice's image as other files refer to it.

    Attributes:
        sop_class_uid: Kind of the file.
        sop_instance_uid: Of the file.
        frame: In the file, from 1; None in a file of one image.
    """

    sop_class_uid: str
    sop_instance_uid: str
    frame: int | None

    def refer(self, item: Dataset) -> None:
        """Let an item of a sequence refer to this image."""
        item.ReferencedSOPClassUID = self.sop_class_uid
        item.ReferencedSOPInstanceUID = self.sop_instance_uid
        if self.frame is not None:
            item.ReferencedFrameNumber = self.frame


@dataclass(frozen=True)
class DicomSource:
    """The images of a scan.

    Attributes:
        header: Of the first slice's file, with everything that a file has to say of patient and study, if
            empty; a classic MR image's, whatever the file's kind, since highdicom knows not every kind.
        frames: Of each slice, in the scan's order.
        images: The same, to refer to.
    """

    header: Dataset
    frames: tuple[Frame, ...]
    images: tuple[SourceImage, ...]

    @property
    def frame_of_reference_uid(self) -> str:
        """The frame of reference's UID; one derived from the series' where the headers have none."""
        uid = self.header.get("FrameOfReferenceUID")
        return str(uid or generate_uid(entropy_srcs=["frame of reference", self.header.SeriesInstanceUID]))


def source_of(scan: Scan, wanted: str) -> DicomSource:
    """The images that a scan was read from.

    Args:
        scan: From DICOM.
        wanted: What is to be written, such as ``a segmentation``.

    Raises:
        TumorlensError: It didn't come as DICOM, or its headers can't be referred to.
    """
    origin = scan.origin
    if not isinstance(origin, DicomOrigin):
        raise TumorlensError(
            f"{scan.source.name}: expected a DICOM scan to write {wanted}, got another kind of file; "
            "write nifti, mask or overlay instead"
        )
    for header in origin.headers:
        for keyword, meaning in _UIDS.items():
            if not header.get(keyword):
                raise missing(scan, wanted, meaning)
    frames = _frames(scan, origin)
    images = tuple(
        SourceImage(
            str(frame.header.SOPClassUID),
            str(frame.header.SOPInstanceUID),
            frame.number + 1 if frame.multiframe else None,
        )
        for frame in frames
    )
    return DicomSource(_completed(origin.headers[0]), frames, images)


def missing(scan: Scan, wanted: str, what: str) -> TumorlensError:
    """The error of headers that lack something."""
    return TumorlensError(
        f"{scan.source.name}: expected DICOM headers with {what} to write {wanted}, got some without; "
        "export the series again and keep it, or write nifti instead"
    )


def in_source_order(mask: NDArray[np.bool_], origin: DicomOrigin) -> NDArray[np.bool_]:
    """A mask of a scan, each slice turned as its file has it; the slices stay in the scan's order.

    Args:
        mask: (slices, rows, columns) as the scan is looked at.
        origin: The scan's; its headers are in the scan's order, too.

    Returns:
        A view of the mask.
    """
    within_slices = origin.turned.copy()
    within_slices[0] = (0, 1)
    back: NDArray[np.bool_] = turned_back(mask, within_slices).astype(np.bool_, copy=False)
    return back


def _frames(scan: Scan, origin: DicomOrigin) -> tuple[Frame, ...]:
    if origin.frames is None:
        return tuple(Frame(scan.source, header, 0, multiframe=False) for header in origin.headers)
    return tuple(
        Frame(scan.source, origin.headers[0], number - 1, multiframe=True) for number in origin.frames
    )


def _completed(header: Dataset) -> Dataset:
    """A header's own attributes; those of patient and study that are missing or invalid are empty."""
    completed = Dataset()
    for element in _readable(header):
        completed.add(copy.deepcopy(element))
    completed.decode()  # by its own character set, since it will be written in another
    completed.pop("SpecificCharacterSet", None)
    completed.SOPClassUID = MRImageStorage
    for keyword in _PATIENT_AND_STUDY:
        setattr(completed, keyword, _valid(keyword, value_of(completed, keyword)))
    return completed


def _readable(header: Dataset) -> list[Any]:
    elements = []
    for tag in header.keys():  # noqa: SIM118 - iterating over the header itself decodes its elements
        if tag.is_private or tag.group >= _LAST_GROUP:
            continue
        try:
            element = header[tag]
        except Exception:  # noqa: S112 - an unreadable value raises whatever its converter does
            continue
        if element.keyword not in _LEFT_OUT:
            elements.append(element)
    return elements


def _valid(keyword: str, value: Any) -> Any:
    """A value that may be written, empty if it isn't one."""
    if isinstance(value, MultiValue):  # a stray backslash; none of these has several values
        value = value[0] if value else None
    if value is None or keyword == "PatientSex":
        sex = str(value or "").strip().upper()
        return sex if sex in _SEXES else ""
    if keyword.endswith(("Date", "Time")):
        try:
            (DA if keyword.endswith("Date") else TM)(str(value))
        except ValueError:
            return ""
    return value
