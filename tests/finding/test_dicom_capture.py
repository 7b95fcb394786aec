"""A DICOM secondary capture is the overlay picture, in the patient's study."""

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.debian import program
from tests.dicom_files import header, set_pixels
from tests.finding.dicom_cases import (
    DIRECTIONS,
    MAKERS,
    SPACING,
    brain,
    complaints,
    found,
    headers_of,
    series_case,
    slice_case,
    with_headers,
)
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding, write_overlay
from tumorlens.finding.dicom_capture import capture, write_capture
from tumorlens.scan import Scan, read_scan
from tumorlens.scan.origin import DicomOrigin


def overlay(finding: Finding, folder: Path) -> NDArray[np.uint8]:
    write_overlay(finding, folder / "overlay.png", finding.key_slice)
    with Image.open(folder / "overlay.png") as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_capture_is_the_overlay_of_the_key_slice(tmp_path: Path, kind: str) -> None:
    finding = MAKERS[kind](tmp_path / "source").finding
    write_capture(finding, tmp_path / "capture.dcm")
    pixels = pydicom.dcmread(tmp_path / "capture.dcm").pixel_array
    assert np.array_equal(pixels, overlay(finding, tmp_path))
    assert np.ptp(pixels.astype(int), axis=2).any()  # the outline has a color


def test_dcmtk_shows_the_same_picture(tmp_path: Path) -> None:
    finding = slice_case(tmp_path / "source").finding
    write_capture(finding, tmp_path / "capture.dcm")
    command = [program("dcmj2pnm"), "--write-png", tmp_path / "capture.dcm", tmp_path / "dcmtk.png"]
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(tmp_path / "dcmtk.png") as picture:
        assert np.array_equal(np.asarray(picture.convert("RGB")), overlay(finding, tmp_path))


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_capture_refers_to_the_image_that_it_shows(tmp_path: Path, name: str) -> None:
    case = series_case(tmp_path, DIRECTIONS[name])
    (source,) = capture(case.finding).SourceImageSequence
    (shown,) = [index for index, (uid, _) in enumerate(case.files) if uid == source.ReferencedSOPInstanceUID]
    assert case.marked[shown].sum() == case.marked.sum((1, 2)).max()
    assert case.finding.scan.affine is not None
    place = (case.finding.scan.affine @ [case.finding.key_slice, 0, 0, 1])[:3]
    normal = case.affine[:3, 0] / SPACING[0]
    assert normal @ place == pytest.approx(normal @ (case.affine @ [shown, 0, 0, 1])[:3])


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("axial", ["L", "P"]),
        ("axial from above", ["L", "P"]),
        ("oblique axial", ["LPF", "PHR"]),
        ("coronal", ["L", "F"]),
        ("sagittal", ["P", "F"]),
    ],
)
def test_a_capture_says_which_side_of_the_patient_is_which(
    tmp_path: Path, name: str, sides: list[str]
) -> None:
    made = capture(series_case(tmp_path, DIRECTIONS[name]).finding)
    assert made.PatientOrientation == sides


def test_a_capture_keeps_the_pixel_spacing_of_a_turned_slice(tmp_path: Path) -> None:
    made = capture(series_case(tmp_path, DIRECTIONS["axial turned by 90 degrees"]).finding)
    assert made.PixelSpacing == [SPACING[2], SPACING[1]]


def test_a_capture_is_a_derived_series_of_its_own_in_the_patients_study(tmp_path: Path) -> None:
    finding = slice_case(tmp_path).finding
    assert isinstance(finding.scan.origin, DicomOrigin)
    source = finding.scan.origin.headers[0]
    made = capture(finding)
    for keyword in (
        "StudyInstanceUID",
        "PatientID",
        "PatientName",
        "AccessionNumber",
        "StudyDate",
        "StudyID",
    ):
        assert made.get(keyword) == source.get(keyword)
    assert made.SeriesInstanceUID not in (source.SeriesInstanceUID, capture(finding).SeriesInstanceUID)
    assert made.SOPInstanceUID != source.SOPInstanceUID
    assert (made.SeriesNumber, made.SeriesDescription) == (303, "tumorlens overlay (research use only)")
    assert made.BurnedInAnnotation == "NO"
    assert made.ImageType[0] == "DERIVED"
    assert "Research use only; not a diagnosis." in made.DerivationDescription


@pytest.mark.parametrize("kind", MAKERS)
def test_dciodvfy_finds_no_error_in_a_capture(tmp_path: Path, kind: str) -> None:
    write_capture(MAKERS[kind](tmp_path / "source").finding, tmp_path / "capture.dcm")
    assert complaints(tmp_path / "capture.dcm") == []


def test_a_capture_needs_neither_an_outline_nor_a_place(tmp_path: Path) -> None:
    dataset = header(Modality="OT", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    for keyword in ("PatientID", "StudyDate", "StudyTime", "PatientName", "SeriesNumber"):
        delattr(dataset, keyword)
    set_pixels(dataset, brain((20, 30)))
    dataset.save_as(tmp_path / "source.dcm", enforce_file_format=True)
    finding = found(read_scan(tmp_path / "source.dcm"), None)
    write_capture(finding, tmp_path / "capture.dcm")
    assert not pydicom.dcmread(tmp_path / "capture.dcm").PatientOrientation
    assert complaints(tmp_path / "capture.dcm") == []


def test_a_capture_of_lossy_images_says_so(tmp_path: Path) -> None:
    finding = slice_case(tmp_path).finding
    assert isinstance(finding.scan.origin, DicomOrigin)
    finding.scan.origin.headers[0].LossyImageCompression = "01"
    assert capture(finding).LossyImageCompression == "01"


def test_a_scan_that_isnt_dicom_is_refused() -> None:
    with pytest.raises(TumorlensError, match="expected a DICOM scan to write a secondary capture"):
        capture(found(Scan(brain((1, 9, 9)), Path("scan.png")), None))


def test_a_capture_of_a_tumor_without_a_name_has_no_name(tmp_path: Path) -> None:
    finding = dataclasses.replace(slice_case(tmp_path / "source").finding, probabilities=None, warnings=())
    write_capture(finding, tmp_path / "capture.dcm")
    assert complaints(tmp_path / "capture.dcm") == []


@pytest.mark.parametrize(("stated", "expected"), [("BRAIN", "BRAIN"), ("", "HEAD")])
def test_a_capture_says_of_the_body_what_its_source_says(tmp_path: Path, stated: str, expected: str) -> None:
    finding = series_case(tmp_path).finding
    headers = headers_of(finding.scan)
    for each in headers:
        each.BodyPartExamined = stated
    made = capture(dataclasses.replace(finding, scan=with_headers(finding.scan, headers)))
    assert made.BodyPartExamined == expected
