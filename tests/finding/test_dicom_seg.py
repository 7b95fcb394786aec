"""A DICOM segmentation lies where the tumor was found, and refers to the images it was found on."""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from tests.debian import program
from tests.dicom_files import AXIAL, affine_of, write_enhanced, write_series
from tests.finding.dicom_cases import (
    DIRECTIONS,
    MAKERS,
    SHAPE,
    SPACING,
    Case,
    brain,
    centred,
    centroid,
    complaints,
    enhanced_case,
    found,
    headers_of,
    marker,
    series_case,
    slice_case,
    with_headers,
)
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding
from tumorlens.finding.dicom_seg import segmentation, write_seg
from tumorlens.scan import Scan, read_scan
from tumorlens.scan.origin import DicomOrigin

HALF_A_VOXEL_MM = min(SPACING) / 2


def frames_of(path: Path) -> dict[tuple[str, int | None], tuple[NDArray[np.bool_], list[float]]]:
    """By the image it refers to: each frame's pixels and position, read without highdicom."""
    seg = pydicom.dcmread(path)
    size = seg.Rows * seg.Columns
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    found = {}
    for number, group in enumerate(seg.PerFrameFunctionalGroupsSequence):
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        key = (str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber"))
        pixels = bits[number * size : (number + 1) * size].reshape(seg.Rows, seg.Columns) > 0
        found[key] = (pixels, [float(value) for value in group.PlanePositionSequence[0].ImagePositionPatient])
    assert len(found) == seg.NumberOfFrames
    return found


def check_frames(case: Case, path: Path) -> None:
    """Every file's own pixels are outlined where the tumor is, and the frame lies where the file says."""
    frames = frames_of(path)
    marked = [index for index, pixels in enumerate(case.marked) if pixels.any()]
    assert len(marked) >= 1
    assert set(frames) == {case.files[index] for index in marked}
    for index in marked:
        pixels, position = frames[case.files[index]]
        assert np.array_equal(pixels, case.marked[index])
        assert position == pytest.approx((case.affine @ [index, 0, 0, 1])[:3], abs=1e-6)
    shared = pydicom.dcmread(path).SharedFunctionalGroupsSequence[0]
    directions = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    assert directions == pytest.approx([*case.affine[:3, 2] / SPACING[2], *case.affine[:3, 1] / SPACING[1]])
    assert shared.PixelMeasuresSequence[0].PixelSpacing == pytest.approx(SPACING[1:])


def refusal(finding: Finding) -> str:
    with pytest.raises(TumorlensError) as caught:
        segmentation(finding)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Geometry ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIRECTIONS)
def test_every_source_file_is_outlined_where_the_tumor_lies_in_its_own_pixels(
    tmp_path: Path, name: str
) -> None:
    case = series_case(tmp_path / "series", DIRECTIONS[name])
    write_seg(case.finding, tmp_path / "seg.dcm")
    check_frames(case, tmp_path / "seg.dcm")


@pytest.mark.parametrize("name", DIRECTIONS)
def test_every_frame_of_an_enhanced_file_is_outlined_where_the_tumor_lies(tmp_path: Path, name: str) -> None:
    case = enhanced_case(tmp_path, DIRECTIONS[name])
    write_seg(case.finding, tmp_path / "seg.dcm")
    check_frames(case, tmp_path / "seg.dcm")


@pytest.mark.parametrize("name", DIRECTIONS)
def test_the_tumor_keeps_its_place_in_the_patient(tmp_path: Path, name: str) -> None:
    case = series_case(tmp_path / "series", DIRECTIONS[name])
    write_seg(case.finding, tmp_path / "seg.dcm")
    volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    place = centroid(volume.array > 0, volume.affine)
    assert place == pytest.approx(centroid(case.marked, case.affine), abs=HALF_A_VOXEL_MM)


def test_left_stays_left_through_a_segmentation(tmp_path: Path) -> None:
    affine = affine_of(AXIAL, SPACING)
    write_series(tmp_path / "series", brain((5, 20, 20)), affine)
    scan = read_scan(tmp_path / "series")
    mask = np.zeros(scan.pixels.shape, np.bool_)
    mask[2, 3:6, -4:] = True  # looked at from below: the patient's left is at the right
    write_seg(found(scan, mask), tmp_path / "seg.dcm")
    volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    left = centroid(volume.array > 0, volume.affine)[0]
    assert left > (affine @ [0, 0, 9.5, 1])[0] + 5 * SPACING[2]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_however_the_slices_lie_their_files_are_outlined_where_the_tumor_is(quaternion: list[float]) -> None:
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    row = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    column = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
    with tempfile.TemporaryDirectory() as folder:
        case = series_case(Path(folder, "series"), (row, column))
        write_seg(case.finding, Path(folder, "seg.dcm"))
        check_frames(case, Path(folder, "seg.dcm"))


@pytest.mark.parametrize("name", ["axial from above", "sagittal"])
def test_dcmtk_shows_the_tumor_in_every_frame(tmp_path: Path, name: str) -> None:
    case = series_case(tmp_path / "series", DIRECTIONS[name])
    write_seg(case.finding, tmp_path / "seg.dcm")
    command = [program("dcmj2pnm"), "--write-png", "--all-frames", tmp_path / "seg.dcm", tmp_path / "frame"]
    subprocess.run(command, check=True, capture_output=True)
    for number, file in enumerate(frames_of(tmp_path / "seg.dcm")):
        with Image.open(tmp_path / f"frame.{number}.png") as picture:
            assert np.array_equal(np.asarray(picture) > 0, case.marked[case.files.index(file)])


@pytest.mark.parametrize("kind", MAKERS)
def test_a_segmentation_read_again_is_the_mask(tmp_path: Path, kind: str) -> None:
    case = MAKERS[kind](tmp_path / "source")
    write_seg(case.finding, tmp_path / "seg.dcm")
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    uids, numbers = zip(*case.files, strict=True)
    how = {"combine_segments": True, "assert_missing_frames_are_empty": True}
    if kind == "enhanced":
        pixels = seg.get_pixels_by_source_frame(uids[0], numbers, **how)
    else:
        pixels = seg.get_pixels_by_source_instance(uids, **how)
    assert np.array_equal(pixels > 0, case.marked)


def test_frames_that_say_one_by_one_how_they_lie_are_outlined_too(tmp_path: Path) -> None:
    case = enhanced_case(tmp_path, DIRECTIONS["coronal"])
    (header,) = headers_of(case.finding.scan)
    shared = header.SharedFunctionalGroupsSequence[0]
    for group in header.PerFrameFunctionalGroupsSequence:
        group.PlaneOrientationSequence = shared.PlaneOrientationSequence
        group.PixelMeasuresSequence = shared.PixelMeasuresSequence
    del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence
    scan = with_headers(case.finding.scan, [header])
    write_seg(dataclasses.replace(case.finding, scan=scan), tmp_path / "seg.dcm")
    check_frames(case, tmp_path / "seg.dcm")


def test_enhanced_files_of_one_frame_each_are_outlined_file_by_file(tmp_path: Path) -> None:
    affine = centred(AXIAL)
    for index in range(SHAPE[0]):
        write_enhanced(tmp_path / "series" / str(index), brain(SHAPE), affine, order=[index])
    scan = read_scan(tmp_path / "series")
    assert scan.affine is not None
    write_seg(found(scan, marker(scan.affine, SHAPE)), tmp_path / "seg.dcm")
    frames = frames_of(tmp_path / "seg.dcm")
    for index in np.flatnonzero(marker(affine, SHAPE).any((1, 2))):
        uid = str(pydicom.dcmread(tmp_path / "series" / str(index)).SOPInstanceUID)
        assert np.array_equal(frames[uid, None][0], marker(affine, SHAPE)[index])
    assert complaints(tmp_path / "seg.dcm") == []


def test_unevenly_spaced_slices_keep_their_positions(tmp_path: Path) -> None:
    affine = affine_of(AXIAL, SPACING)
    places = [0, 1, 2.5, 3.5, 7]
    for number, place in enumerate(places):
        moved = affine.copy()
        moved[:3, 3] += affine[:3, 0] * place
        write_series(tmp_path / "series" / str(number), brain((1, 20, 20)), moved)
    scan = read_scan(tmp_path / "series")
    mask = np.zeros(scan.pixels.shape, np.bool_)
    mask[1:, 4:8, 5:7] = True
    write_seg(found(scan, mask), tmp_path / "seg.dcm")
    heights = sorted(position[2] for _, position in frames_of(tmp_path / "seg.dcm").values())
    assert heights == pytest.approx([affine[2, 3] + SPACING[0] * place for place in places[1:]])


# --- Content ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_dciodvfy_finds_no_error_in_a_segmentation(tmp_path: Path, kind: str) -> None:
    case = MAKERS[kind](tmp_path / "source")
    write_seg(case.finding, tmp_path / "seg.dcm")
    assert complaints(tmp_path / "seg.dcm") == []


def test_dciodvfy_finds_no_error_in_the_enhanced_files_of_these_tests(tmp_path: Path) -> None:
    enhanced_case(tmp_path)
    assert complaints(tmp_path / "enhanced") == []


def test_the_segment_names_the_tumor_and_what_outlined_it(tmp_path: Path) -> None:
    segment = segmentation(slice_case(tmp_path).finding).SegmentSequence[0]
    assert segment.SegmentLabel == "Tumor"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Glioma"
    assert segment.AnatomicRegionSequence[0].CodeMeaning == "Brain"
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmParameters) == ("tumorlens", "model=lite-2")


def test_a_tumor_of_no_name_is_a_neoplasm(tmp_path: Path) -> None:
    finding = dataclasses.replace(slice_case(tmp_path).finding, probabilities=None, model=None)
    segment = segmentation(finding).SegmentSequence[0]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"


def test_a_segmentation_is_a_series_of_its_own_in_the_patients_study(tmp_path: Path) -> None:
    finding = slice_case(tmp_path).finding
    assert isinstance(finding.scan.origin, DicomOrigin)
    source = finding.scan.origin.headers[0]
    one, other = segmentation(finding), segmentation(finding)
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber", "FrameOfReferenceUID"):
        assert one.get(keyword) == source.get(keyword)
    assert len({one.SeriesInstanceUID, other.SeriesInstanceUID, source.SeriesInstanceUID}) == 3
    assert len({one.SOPInstanceUID, other.SOPInstanceUID, source.SOPInstanceUID}) == 3
    assert one.SeriesNumber == 301
    assert one.SeriesDescription == "tumorlens segmentation (research use only)"
    assert one.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID


def test_a_segmentation_refers_to_every_image_of_the_series(tmp_path: Path) -> None:
    case = series_case(tmp_path)
    seg = segmentation(case.finding)
    uids = {uid for uid, _ in case.files}
    assert {item.ReferencedSOPInstanceUID for item in seg.SourceImageSequence} == uids
    instances = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {item.ReferencedSOPInstanceUID for item in instances} == uids


# --- Refusals ---------------------------------------------------------------------------------------------


def test_a_scan_that_isnt_dicom_is_refused() -> None:
    scan = Scan(brain((2, 9, 9)), Path("scan.nii"))
    said = refusal(found(scan, np.ones(scan.pixels.shape, np.bool_)))
    assert said.startswith("scan.nii: expected a DICOM scan to write a segmentation")
    assert "write nifti" in said


def test_a_finding_without_outline_is_refused(tmp_path: Path) -> None:
    case = slice_case(tmp_path)
    assert "use a bundle that outlines" in refusal(found(case.finding.scan, None))


def test_an_empty_outline_is_refused(tmp_path: Path) -> None:
    case = slice_case(tmp_path)
    assert "got an empty outline" in refusal(found(case.finding.scan, np.zeros_like(case.finding.mask)))


@pytest.mark.parametrize(
    ("keyword", "named"),
    [
        ("ImagePositionPatient", "position"),
        ("ImageOrientationPatient", "orientation"),
        ("PixelSpacing", "pixel spacing"),
        ("SOPInstanceUID", "SOPInstanceUID"),
        ("SOPClassUID", "SOPClassUID"),
        ("StudyInstanceUID", "a study's UID"),
        ("SeriesInstanceUID", "a series' UID"),
    ],
)
def test_headers_that_lack_what_a_segmentation_needs_are_refused(
    tmp_path: Path, keyword: str, named: str
) -> None:
    finding = series_case(tmp_path).finding
    headers = headers_of(finding.scan)
    del headers[0][keyword]
    said = refusal(dataclasses.replace(finding, scan=with_headers(finding.scan, headers)))
    assert named in said
    assert "export the series again" in said


def test_a_single_slice_without_a_thickness_is_refused(tmp_path: Path) -> None:
    finding = slice_case(tmp_path).finding
    headers = headers_of(finding.scan)
    headers[0].SliceThickness = None
    scan = dataclasses.replace(with_headers(finding.scan, headers), slice_spacing=None)
    assert "a slice thickness" in refusal(dataclasses.replace(finding, scan=scan))


def test_two_thicknesses_in_one_header_are_none(tmp_path: Path) -> None:
    case = series_case(tmp_path)
    headers = headers_of(case.finding.scan)
    headers[0][0x00180050] = RawDataElement(BaseTag(0x00180050), "DS", 4, b"5\\5 ", 0, False, True)
    finding = dataclasses.replace(case.finding, scan=with_headers(case.finding.scan, headers))
    write_seg(finding, tmp_path / "seg.dcm")
    assert (tmp_path / "seg.dcm").is_file()


# --- Files ------------------------------------------------------------------------------------------------


def test_a_segmentation_that_cant_be_written_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Dataset, path: Path, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    path = tmp_path / "seg.dcm"
    path.write_bytes(b"old")
    finding = slice_case(tmp_path / "source").finding
    monkeypatch.setattr(Dataset, "save_as", fail)
    with pytest.raises(OSError, match="disk full"):
        write_seg(finding, path)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["seg.dcm"]


def test_findings_are_imported_without_the_library_that_writes_dicom() -> None:
    check = "import sys, tumorlens.finding; print('highdicom' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_mask_is_not_copied_for_a_segmentation(tmp_path: Path) -> None:
    from tumorlens.finding.dicom_source import in_source_order

    for name, directions in DIRECTIONS.items():
        finding = series_case(tmp_path / name, directions).finding
        assert isinstance(finding.scan.origin, DicomOrigin)
        assert finding.mask is not None
        assert np.shares_memory(in_source_order(finding.mask, finding.scan.origin), finding.mask)


def test_the_marker_of_these_tests_has_no_symmetry() -> None:
    grid = np.eye(4)
    grid[:3, 3] = (-15, -45, 10)
    marked = marker(grid, (50, 50, 50))
    block = marked[np.ix_(*(np.flatnonzero(marked.any(axes)) for axes in ((1, 2), (0, 2), (0, 1))))]
    for axes in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        for flips in np.ndindex(2, 2, 2):
            turned = block.transpose(axes)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
            same = turned.shape == block.shape and bool((turned == block).all())
            assert same == (axes == (0, 1, 2) and flips == (0, 0, 0))
