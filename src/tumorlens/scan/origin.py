"""Where a scan came from: the source's own headers, and the way back to its own geometry."""

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag


@dataclass(frozen=True)
class Identity:
    """What a source says of whose scan it is; every text may be empty.

    Attributes:
        patient_name: As in the source.
        patient_id: The hospital's number.
        birth_date: YYYYMMDD.
        sex: ``M``, ``F`` or ``O``.
        study_date: YYYYMMDD.
        accession_number: The order's number.
        study_uid: Of the study.
        series_uid: Of the series.
    """

    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    study_date: str = ""
    accession_number: str = ""
    study_uid: str = ""
    series_uid: str = ""


@dataclass(frozen=True)
class DicomOrigin:
    """A stack of DICOM frames.

    Attributes:
        headers: Without pixels: one for each slice of the scan, in the scan's order, or a single one of a
            multi-frame file.
        frames: Of a multi-frame file, the number (from 1) of each slice's frame; None for single frames.
        turned: Of each slice, (axis, direction) for rows and columns: see `tumorlens.scan.geometry`.
    """

    headers: tuple["Dataset", ...]
    frames: tuple[int, ...] | None
    turned: NDArray[np.float64]
    identity: Identity = field(default_factory=Identity)


@dataclass(frozen=True)
class NiftiOrigin:
    """A NIfTI volume.

    Attributes:
        affine: (4, 4), of the source's own array, to RAS in the source's own unit: its sform or, without
            one, its qform.
        shape: Of the source's own array.
        turned: (3, 2), from the source's axes to the scan's (`nibabel.orientations`).
        codes: Its sform's and its qform's, as the source has them.
        qform: (4, 4), the source's qform, which need not agree with its sform; None without one.
        unit: Of lengths: ``mm``, ``meter``, ``micron`` or ``unknown`` (taken for mm).
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    turned: NDArray[np.float64]
    codes: tuple[int, int]
    qform: NDArray[np.float64] | None = None
    unit: str = "mm"


Origin = DicomOrigin | NiftiOrigin


def value_of(dataset: Any, keyword: str) -> Any:
    """An attribute of a DICOM header; None where it is missing or can't be understood."""
    tag = _tag(keyword)
    if tag not in dataset.keys():  # noqa: SIM118 - the dataset itself makes a tag of the tag again
        return None
    try:
        return dataset[tag].value
    except Exception:  # pydicom's converters raise whatever they do
        return None


@cache
def _tag(keyword: str) -> "BaseTag":
    """What a keyword stands for; pydicom looks it up anew each time."""
    from pydicom.tag import Tag

    return Tag(keyword)


def of_dataset(dataset: Any) -> Identity:
    """What a DICOM header says of whose scan it is."""

    def text(keyword: str) -> str:
        value = value_of(dataset, keyword)
        return "" if value is None else str(value)

    return Identity(
        patient_name=text("PatientName"),
        patient_id=text("PatientID"),
        birth_date=text("PatientBirthDate"),
        sex=text("PatientSex"),
        study_date=text("StudyDate"),
        accession_number=text("AccessionNumber"),
        study_uid=text("StudyInstanceUID"),
        series_uid=text("SeriesInstanceUID"),
    )
