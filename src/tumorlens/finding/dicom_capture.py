"""A finding's overlay as a DICOM secondary capture, for viewers that show no segmentations."""

from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from tumorlens.finding.dicom_output import DISCLAIMER, Output, new_series, save
from tumorlens.finding.dicom_source import DicomSource, source_of
from tumorlens.finding.finding import Finding
from tumorlens.finding.picture import captioned_overlay

_LEAST_SHARE = 0.05  # of a direction, about 3 degrees
_TOWARDS = (("L", "R"), ("P", "A"), ("H", "F"))  # of each axis of LPS: along it, and against it


def write_capture(finding: Finding, path: Path) -> hd.sc.SCImage:
    """Write the overlay as a DICOM secondary capture; see `capture`.

    Returns:
        What was written.

    Raises:
        TumorlensError: See `capture`.
        OSError: The file can't be written.
    """
    made = capture(finding)
    save(made, path)
    return made


def capture(finding: Finding) -> hd.sc.SCImage:
    """The overlay of the slice with the largest outline as a DICOM secondary capture, in RGB.

    It is turned as the slice is looked at, and belongs to the source's study. Its text names the tumor, never
    the patient.

    Raises:
        TumorlensError: The scan isn't DICOM, or its headers don't say which images these are.
    """
    source = source_of(finding.scan, "a secondary capture")
    made = hd.sc.SCImage(
        pixel_array=np.asarray(captioned_overlay(finding, finding.key_slice)),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=source.header.StudyInstanceUID,
        patient_orientation=("L", "P"),
        pixel_spacing=finding.scan.spacing,
        **new_series(Output.OVERLAY, finding),
    )
    made.PatientOrientation = _sides(finding)
    made.copy_patient_and_study_information(source.header)
    _describe(made, finding, source)
    return made


def _describe(made: hd.sc.SCImage, finding: Finding, source: DicomSource) -> None:
    """Say what it was derived from."""
    made.BodyPartExamined = source.header.get("BodyPartExamined") or "HEAD"
    made.BurnedInAnnotation = "NO"  # none that tells whose image it is
    made.LossyImageCompression = source.header.get("LossyImageCompression") or "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if made.LossyImageCompression == "01" and source.header.get(keyword):
            setattr(made, keyword, source.header.get(keyword))
    made.DerivationDescription = f"Outline drawn over slice {finding.key_slice + 1}. {DISCLAIMER}"
    made.ImageComments = DISCLAIMER
    item = Dataset()
    source.images[finding.key_slice].refer(item)
    made.SourceImageSequence = [item]


def _sides(finding: Finding) -> list[str]:
    """Which side of the patient rows and columns run to, such as L and PF; empty where nothing says."""
    affine = finding.scan.affine
    return [] if affine is None else [_side(affine[:3, axis]) for axis in (2, 1)]


def _side(direction: NDArray[np.float64]) -> str:
    """A letter for each of the patient's axes that count, most first (PS3.3, C.7.6.1.1.1)."""
    shares = direction / np.linalg.norm(direction)
    axes = [axis for axis in np.abs(shares).argsort()[::-1] if abs(shares[axis]) > _LEAST_SHARE]
    return "".join(_TOWARDS[axis][int(shares[axis] < 0)] for axis in axes)
