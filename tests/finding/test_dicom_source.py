"""DICOM outputs say whose scan it is as far as its headers say it, and never fail over what they say."""

import copy
import dataclasses
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from tests.dicom_files import AXIAL, affine_of, write_series
from tests.finding.dicom_cases import (
    SPACING,
    Case,
    brain,
    complaints,
    enhanced_case,
    found,
    headers_of,
    series_case,
    slice_case,
    with_headers,
)
from tumorlens.finding import Finding
from tumorlens.finding.dicom_capture import capture, write_capture
from tumorlens.finding.dicom_seg import segmentation, write_seg
from tumorlens.finding.dicom_sr import report, write_sr
from tumorlens.scan import read_scan

EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID")
ODD = (
    "female",
    "u",
    "1964-08-12",
    "20241301",
    "10:15:00",
    "2024.03.01",
    "9" * 40,
    "-3",
    "Doe",
    "^",
    "A\\B",
    " ",
)


def write_all(finding: Finding, folder: Path) -> list[Path]:
    """The segmentation, the report and the capture."""
    paths = [folder / name for name in ("seg.dcm", "sr.dcm", "capture.dcm")]
    write_sr(finding, paths[1], write_seg(finding, paths[0]))
    write_capture(finding, paths[2])
    return paths


def without(finding: Finding, *keywords: str) -> Finding:
    headers = headers_of(finding.scan)
    for header in headers:
        for keyword in keywords:
            delattr(header, keyword)
    return dataclasses.replace(finding, scan=with_headers(finding.scan, headers))


def test_what_the_headers_dont_say_of_the_patient_stays_empty(tmp_path: Path) -> None:
    finding = without(
        series_case(tmp_path / "source").finding,
        *EMPTY,
        *("AccessionNumber", "ReferringPhysicianName", "SliceThickness", "SeriesNumber"),
    )
    for path in write_all(finding, tmp_path):
        dataset = pydicom.dcmread(path)
        assert all(keyword in dataset and not dataset.get(keyword) for keyword in EMPTY)
        assert complaints(path) == []


def test_a_frame_of_reference_is_made_up_where_the_headers_have_none(tmp_path: Path) -> None:
    finding = without(series_case(tmp_path / "source").finding, "FrameOfReferenceUID")
    write_seg(finding, tmp_path / "seg.dcm")
    assert complaints(tmp_path / "seg.dcm") == []
    assert segmentation(finding).FrameOfReferenceUID == segmentation(finding).FrameOfReferenceUID


@cache
def one_case() -> Case:
    """One case for all examples."""
    with tempfile.TemporaryDirectory() as folder:
        return slice_case(Path(folder))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from((*EMPTY, "AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "PatientAge")),
    st.one_of(st.sampled_from(ODD), st.text(max_size=70)),
    st.sampled_from(("ISO_IR 100", "ISO_IR 192", "ISO_IR 999", "")),
)
def test_nothing_that_a_header_says_of_the_patient_makes_writing_fail(
    keyword: str, value: str, character_set: str
) -> None:
    try:
        changed = Dataset()
        setattr(changed, keyword, value)
        _ = keyword != "PatientAge" or value.encode("latin-1")
    except (ValueError, OverflowError):  # no header can hold it
        return
    (header,) = headers_of(one_case().finding.scan)
    header.SpecificCharacterSet = character_set
    header[keyword] = changed[keyword]
    finding = dataclasses.replace(one_case().finding, scan=with_headers(one_case().finding.scan, [header]))
    with tempfile.TemporaryDirectory() as folder:
        for path in write_all(finding, Path(folder)):
            pydicom.dcmread(path)


def test_a_name_in_japanese_stays_readable(tmp_path: Path) -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    affine = affine_of(AXIAL, SPACING)
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID, other.TypeOfPatientID = "7", "病院", "TEXT"
    tags = {
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": name,
        "OtherPatientIDsSequence": [other],
    }
    write_series(tmp_path / "series", brain((3, 20, 20)), affine, **tags)
    scan = read_scan(tmp_path / "series")
    mask = np.zeros(scan.pixels.shape, np.bool_)
    mask[1, 4:8, 5:7] = True
    for path in write_all(found(scan, mask), tmp_path):
        dataset = pydicom.dcmread(path)
        assert str(dataset.PatientName) == name
        assert dataset.OtherPatientIDsSequence[0].IssuerOfPatientID == "病院"


def test_secondary_captures_are_referred_to_as_what_they_are(tmp_path: Path) -> None:
    finding = slice_case(tmp_path).finding
    (header,) = headers_of(finding.scan)
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    seg = segmentation(dataclasses.replace(finding, scan=with_headers(finding.scan, [header])))
    assert seg.SourceImageSequence[0].ReferencedSOPClassUID == header.SOPClassUID


def test_the_scans_own_headers_stay_as_they_are(tmp_path: Path) -> None:
    finding = enhanced_case(tmp_path).finding
    before = copy.deepcopy(headers_of(finding.scan))
    report(finding, segmentation(finding))
    capture(finding)
    assert headers_of(finding.scan) == before


def test_private_attributes_of_the_source_are_not_passed_on(tmp_path: Path) -> None:
    finding = slice_case(tmp_path / "source").finding
    (header,) = headers_of(finding.scan)
    header.private_block(0x0019, "SCANNER", create=True).add_new(1, "LO", "of the scanner")
    finding = dataclasses.replace(finding, scan=with_headers(finding.scan, [header]))
    for path in write_all(finding, tmp_path):
        assert not any(element.tag.is_private for element in pydicom.dcmread(path))
