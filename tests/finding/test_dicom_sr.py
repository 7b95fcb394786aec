"""A DICOM structured report says what the finding says, of the outline that it refers to."""

import dataclasses
import subprocess
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.sr.codedict import codes

from tests.debian import program
from tests.finding.dicom_cases import (
    MAKERS,
    PROBABILITIES,
    WARNING,
    Case,
    complaints,
    enhanced_case,
    series_case,
    slice_case,
)
from tumorlens.finding import Finding
from tumorlens.finding.dicom_codes import probability_code, type_code
from tumorlens.finding.dicom_seg import segmentation, write_seg
from tumorlens.finding.dicom_sr import report, write_sr
from tumorlens.tumor_type import TumorType
from tumorlens.version import __version__


def written(finding: Finding, folder: Path) -> Path:
    """The report of a finding as a file; its segmentation lies beside it."""
    path = folder / "sr.dcm"
    write_sr(finding, path, write_seg(finding, folder / "seg.dcm"))
    return path


def items(dataset: Dataset, kind: str) -> list[Dataset]:
    """All content items of a value type, read without highdicom."""
    found = []
    for item in dataset.get("ContentSequence", []):
        found += [item] if item.ValueType == kind else []
        found += items(item, kind)
    return found


def name_of(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def numbers(path: Path) -> dict[str, tuple[float, str]]:
    """Every measurement of a report, by its name: value and unit."""
    found = {}
    for item in items(pydicom.dcmread(path), "NUM"):
        measured = item.MeasuredValueSequence[0]
        unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
        found[name_of(item)] = (float(measured.NumericValue), str(unit))
    return found


def check_numbers(path: Path, expected: dict[str, tuple[float | None, str]]) -> None:
    found = numbers(path)
    assert set(found) == set(expected)
    for name, (value, unit) in expected.items():
        assert found[name] == (pytest.approx(value, rel=1e-12), unit)


def of_both(finding: Finding) -> dict[str, tuple[float | None, str]]:
    """What is measured of stacks and single slices."""
    assert finding.diameters is not None
    expected: dict[str, tuple[float | None, str]] = {
        f"Probability of {tumor_type.title}": (probability, "1")
        for tumor_type, probability in PROBABILITIES.items()
    }
    expected["Long axis"] = (finding.diameters.longest_mm, "mm")
    expected["Short axis"] = (finding.diameters.perpendicular_mm, "mm")
    return expected


# --- Measurements -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", [series_case, enhanced_case])
def test_a_stacks_report_says_the_findings_volume_and_diameters(tmp_path: Path, maker: object) -> None:
    finding = maker(tmp_path / "source").finding  # type: ignore[operator]
    expected = of_both(finding)
    expected["Volume"] = (finding.volume_mm3, "mm3")
    check_numbers(written(finding, tmp_path), expected)


def test_a_slices_report_says_the_findings_area_and_diameters(tmp_path: Path) -> None:
    finding = slice_case(tmp_path / "source").finding
    expected = of_both(finding)
    expected["Area"] = (finding.area_mm2, "mm2")
    check_numbers(written(finding, tmp_path), expected)


def test_a_report_of_a_tumor_without_a_name_measures_and_names_nothing(tmp_path: Path) -> None:
    finding = dataclasses.replace(slice_case(tmp_path / "source").finding, probabilities=None, model=None)
    path = written(finding, tmp_path)
    assert set(numbers(path)) == {"Area", "Long axis", "Short axis"}
    assert "Associated morphology" not in [name_of(item) for item in items(pydicom.dcmread(path), "CODE")]


@pytest.mark.parametrize("tumor_type", TumorType)
def test_a_report_names_the_likeliest_type(tmp_path: Path, tumor_type: TumorType) -> None:
    finding = dataclasses.replace(slice_case(tmp_path).finding, probabilities={tumor_type: 1.0})
    made = report(finding, segmentation(finding))
    (answer,) = [item for item in items(made, "CODE") if name_of(item) == "Associated morphology"]
    code = answer.ConceptCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == (type_code(tumor_type).value, "SCT")


def test_every_type_has_a_code_of_its_own() -> None:
    assert len({type_code(each).value for each in TumorType} | {type_code(None).value}) == 4
    assert len({probability_code(each).value for each in TumorType}) == 3
    assert {probability_code(each).scheme_designator for each in TumorType} == {"99TUMORLENS"}


# --- References -------------------------------------------------------------------------------------------


def test_a_stacks_report_is_a_volumetric_group_that_refers_to_the_segment(tmp_path: Path) -> None:
    case = series_case(tmp_path / "source")
    path = written(case.finding, tmp_path)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    content = highdicom.sr.srread(path).content
    (group,) = content.get_volumetric_roi_measurement_groups(tracking_uid=seg.SegmentSequence[0].TrackingUID)
    segment = group.referenced_segment
    assert segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert segment.referenced_segment_numbers == [1]
    assert group.tracking_identifier == seg.SegmentSequence[0].TrackingID
    assert group.finding_type == codes.SCT.Neoplasm
    outlined = {case.files[index] for index in np.flatnonzero(case.marked.any((1, 2)))}
    images = segment.source_images_for_segmentation
    assert {(image.referenced_sop_instance_uid, None) for image in images} == outlined


def test_a_slices_report_is_a_planar_group_that_refers_to_the_frame(tmp_path: Path) -> None:
    case = slice_case(tmp_path / "source")
    path = written(case.finding, tmp_path)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    content = highdicom.sr.srread(path).content
    assert not content.get_volumetric_roi_measurement_groups()
    (group,) = content.get_planar_roi_measurement_groups()
    frame = group.referenced_segmentation_frame
    assert frame.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert frame.referenced_frame_numbers == [1]
    source = frame.source_image_for_segmentation
    assert source.referenced_sop_instance_uid == case.files[0][0]
    assert source.referenced_frame_numbers is None


def test_a_report_on_an_enhanced_file_names_the_frames_with_tumor(tmp_path: Path) -> None:
    case = enhanced_case(tmp_path)
    made = report(case.finding, segmentation(case.finding))
    (image,) = [item for item in items(made, "IMAGE") if name_of(item).startswith("Source")]
    frames = {case.files[index][1] for index in np.flatnonzero(case.marked.any((1, 2)))}
    assert set(image.ReferencedSOPSequence[0].ReferencedFrameNumber) == frames


@pytest.mark.parametrize("kind", MAKERS)
def test_a_report_lists_what_it_refers_to_as_evidence(tmp_path: Path, kind: str) -> None:
    case = MAKERS[kind](tmp_path)
    seg = segmentation(case.finding)
    evidence = {(study, instance) for study, _, instance, _ in report(case.finding, seg).get_evidence()}
    files = {case.files[index][0] for index in np.flatnonzero(case.marked.any((1, 2)))}
    assert evidence == {(seg.StudyInstanceUID, uid) for uid in {*files, seg.SOPInstanceUID}}


def test_a_report_is_a_series_of_its_own_in_the_patients_study(tmp_path: Path) -> None:
    finding = slice_case(tmp_path).finding
    seg = segmentation(finding)
    made = report(finding, seg)
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber", "StudyDate"):
        assert made.get(keyword) == seg.get(keyword)
    assert made.SeriesInstanceUID != seg.SeriesInstanceUID
    assert (made.SeriesNumber, made.SeriesDescription) == (302, "tumorlens measurements (research use only)")


# --- Who and what for -------------------------------------------------------------------------------------


def test_the_observer_is_the_software(tmp_path: Path) -> None:
    case = slice_case(tmp_path)
    made = report(case.finding, segmentation(case.finding))
    said = {name_of(item): item.TextValue for item in items(made, "TEXT")}
    assert said["Device Observer Name"] == "tumorlens"
    assert said["Algorithm Name"] == "tumorlens"
    assert said["Algorithm Version"] == said["Device Observer Serial Number"] == __version__
    assert said["Algorithm Parameters"] == "model=lite-2"
    assert not items(made, "PNAME")


def test_a_report_says_that_it_is_no_diagnosis_and_what_to_doubt(tmp_path: Path) -> None:
    path = written(slice_case(tmp_path / "source").finding, tmp_path)
    texts = items(pydicom.dcmread(path), "TEXT")
    comments = [item.TextValue for item in texts if name_of(item) == "Comment"]
    assert comments == ["Research use only; not a diagnosis.", WARNING.message]
    assert pydicom.dcmread(path).VerificationFlag == "UNVERIFIED"


@pytest.mark.parametrize("kind", MAKERS)
def test_dciodvfy_finds_no_error_in_a_report(tmp_path: Path, kind: str) -> None:
    case: Case = MAKERS[kind](tmp_path / "source")
    assert complaints(written(case.finding, tmp_path)) == []


@pytest.mark.parametrize("kind", MAKERS)
def test_dcmtk_reads_a_report(tmp_path: Path, kind: str) -> None:
    case: Case = MAKERS[kind](tmp_path / "source")
    command = [program("dsrdump"), "+Pl", written(case.finding, tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Research use only; not a diagnosis." in run.stdout
    assert "Probability of glioma" in run.stdout


def test_the_private_scheme_is_declared(tmp_path: Path) -> None:
    case = slice_case(tmp_path)
    made = report(case.finding, segmentation(case.finding))
    declared = [item.CodingSchemeDesignator for item in made.CodingSchemeIdentificationSequence]
    assert "99TUMORLENS" in declared
