"""Studies for a PACS: real slices and made ones, and an analysis that costs nothing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import BasicTextSRStorage, SegmentationStorage, generate_uid

from tests.dicom_files import header, write_series
from tumorlens import read_scan


def write_study(folder: Path, seed: str = "1", slices: int = 2, **tags: object) -> tuple[str, list[Path]]:
    """Write an MR series of tiny slices; gives the StudyInstanceUID and the files."""
    study = generate_uid(entropy_srcs=["study", seed])
    values = np.arange(slices * 8 * 9, dtype=np.uint16).reshape(slices, 8, 9)
    tags = {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series", seed]),
        **tags,
    }
    return study, write_series(folder, values, **tags)


def write_real_study(folder: Path, slice_file: Path, seed: str, **tags: object) -> tuple[str, list[Path]]:
    """Write a real slice with a tumor as an MR series."""
    pixels = read_scan(slice_file).pixels
    study = generate_uid(entropy_srcs=["study", seed])
    series = generate_uid(entropy_srcs=["series", seed])
    return study, write_series(folder, pixels, StudyInstanceUID=study, SeriesInstanceUID=series, **tags)


def quick_analysis(scan: Path, out: Path) -> Sequence[Path]:
    """A segmentation and a report in form only, of new UIDs each time."""
    first = pydicom.dcmread(min(scan.rglob("*.dcm")))
    written = []
    for modality, kind in (("SEG", SegmentationStorage), ("SR", BasicTextSRStorage)):
        dataset = header(
            SOPInstanceUID=generate_uid(),
            SOPClassUID=kind,
            Modality=modality,
            StudyInstanceUID=first.StudyInstanceUID,
            SeriesInstanceUID=generate_uid(),
            PatientID=first.PatientID,
        )
        dataset.file_meta.MediaStorageSOPClassUID = kind
        path = out / f"result-{modality.lower()}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        written.append(path)
    return written
