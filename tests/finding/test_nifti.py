"""The mask as NIfTI lies in the patient where the tumor lies, whatever the scan came as; left stays left."""

import gzip
import itertools
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, inv_ornt_aff
from numpy.typing import NDArray
from PIL import Image

from tests.debian import program
from tests.dicom_files import affine_of, write_enhanced, write_series
from tests.scan.patient import MARKER, VIEWS, around_marker, seen, turns_within_slices
from tumorlens.finding import Finding
from tumorlens.finding.nifti import write_nifti
from tumorlens.scan import Scan, read_scan

MARKER_RAS = MARKER * (-1, -1, 1)
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (11, 21, 24)
SPACING = (4.0, 2.5, 2.0)
TURNS = dict(turns_within_slices())
ORIENTATIONS = [
    np.array([*zip(axes, flips, strict=True)], float)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def outlined(scan: Scan) -> Finding:
    """What is bright, as a model would have it: knows nothing of how the scan lies."""
    return Finding(scan, np.asarray(scan.pixels > 500), None)


def written(scan: Scan, path: Path) -> nib.Nifti1Image:
    write_nifti(outlined(scan), path)
    return nib.load(path)


def centroid(image: nib.Nifti1Image) -> NDArray[np.float64]:
    """Of the mask, RAS in mm, by nibabel alone."""
    index = np.argwhere(np.asarray(image.dataobj) > 0)
    return np.asarray((image.affine @ [*index.mean(0), 1])[:3])


def half_a_voxel(image: nib.Nifti1Image) -> float:
    return float(max(image.header.get_zooms()[:3])) / 2


def axial_nifti(path: Path, orientation: NDArray[np.float64], code: int = 1) -> nib.Nifti1Image:
    """The patient as NIfTI with its axes in an order."""
    shape = (26, 24, 9)
    lps = around_marker(np.eye(3), (2.0, 2.25, 5.0), shape, off=(-4, 5, 3))
    values = apply_orientation(seen(lps, shape), orientation)
    image = nib.Nifti1Image(values, LPS_RAS @ lps @ inv_ornt_aff(orientation, shape))
    image.set_qform(image.affine, code)
    image.set_sform(image.affine, code)
    nib.save(image, path)
    return nib.Nifti1Image.from_bytes(path.read_bytes())


# From NIfTI


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda turn: f"{turn[:, 0]}{turn[:, 1]}")
def test_of_nifti_the_mask_lies_over_the_source_voxel_by_voxel(
    tmp_path: Path, orientation: NDArray[np.float64]
) -> None:
    source = axial_nifti(tmp_path / "scan.nii", orientation)
    mask = written(read_scan(tmp_path / "scan.nii"), tmp_path / "mask.nii.gz")
    assert mask.shape == source.shape
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(source.dataobj) > 500)
    assert np.array_equal(mask.get_sform(), source.get_sform())
    assert mask.get_qform() == pytest.approx(source.get_qform(), abs=1e-4)
    assert centroid(mask) == pytest.approx(MARKER_RAS, abs=half_a_voxel(mask))


@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (2, 1), (4, 0), (0, 1), (3, 2)])
def test_codes_and_both_affines_of_a_nifti_are_kept(tmp_path: Path, sform: int, qform: int) -> None:
    source = nib.Nifti1Image(seen(np.diag([2.0, 2, 5, 1]), (26, 24, 9)), None)
    source.set_qform(np.diag([-2.0, 2.25, 5.0, 1.0]), qform)
    source.set_sform(np.diag([2.0, 2.5, -4.0, 1.0]), sform)
    nib.save(source, tmp_path / "scan.nii")
    source = nib.load(tmp_path / "scan.nii")
    mask = written(read_scan(tmp_path / "scan.nii"), tmp_path / "mask.nii")
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (sform, qform)
    assert mask.affine == pytest.approx(source.affine, abs=1e-5)
    if sform:
        assert np.array_equal(mask.get_sform(), source.get_sform())
    if qform:
        assert mask.get_qform() == pytest.approx(source.get_qform(), abs=1e-5)


def test_a_nifti_that_does_not_say_how_it_lies_is_overlaid_all_the_same(tmp_path: Path) -> None:
    source = nib.Nifti1Image(seen(np.diag([2.0, 2, 5, 1]), (26, 24, 9)), None)
    source.header.set_zooms((2.0, 2.5, 5.0))
    source.header["sform_code"] = source.header["qform_code"] = 0
    (tmp_path / "scan.nii").write_bytes(source.to_bytes())
    source = nib.load(tmp_path / "scan.nii")
    mask = written(read_scan(tmp_path / "scan.nii"), tmp_path / "mask.nii")
    assert mask.affine == pytest.approx(source.affine)
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(source.dataobj) > 500)
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (0, 0)


@pytest.mark.parametrize("unit", ["meter", "micron", "mm", "unknown"])
def test_the_unit_of_a_nifti_is_kept(tmp_path: Path, unit: str) -> None:
    source = axial_nifti(tmp_path / "scan.nii", ORIENTATIONS[0])
    source.header.set_xyzt_units(unit)
    nib.save(source, tmp_path / "scan.nii")
    mask = written(read_scan(tmp_path / "scan.nii"), tmp_path / "mask.nii")
    assert mask.header.get_xyzt_units()[0] == unit
    assert np.array_equal(mask.affine, source.affine)


# From DICOM


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("turn", TURNS)
def test_of_dicom_the_mask_lies_in_the_patient_where_the_tumor_lies(
    tmp_path: Path, view: str, turn: str
) -> None:
    stored = around_marker(TURNS[turn] @ VIEWS[view], SPACING, SHAPE, off=(-4, 5, 3))
    write_series(tmp_path / "scan", seen(stored, SHAPE), stored)
    mask = written(read_scan(tmp_path / "scan"), tmp_path / "mask.nii.gz")
    assert centroid(mask) == pytest.approx(MARKER_RAS, abs=half_a_voxel(mask))
    ras = LPS_RAS @ mask.affine
    assert np.array_equal(np.asarray(mask.dataobj), seen(ras, mask.shape) > 500)
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (1, 1)


def test_of_oblique_dicom_the_mask_lies_in_the_patient_where_the_tumor_lies(
    tmp_path: Path,
) -> None:
    @settings(max_examples=25)
    @given(st.tuples(*[st.floats(-1, 1)] * 3), st.booleans())
    def check(vector: tuple[float, ...], rising: bool) -> None:
        # Cayley's formula: every skew matrix stands for a rotation.
        x, y, z = vector
        skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        directions = np.linalg.solve(np.eye(3) + skew, np.eye(3) - skew)
        directions[0] *= 1 if rising else -1
        stored = around_marker(directions, SPACING, SHAPE, off=(-2, 3, 1))
        write_series(tmp_path / "scan", seen(stored, SHAPE), stored)  # over the last one's files
        mask = written(read_scan(tmp_path / "scan"), tmp_path / "mask.nii.gz")
        assert centroid(mask) == pytest.approx(MARKER_RAS, abs=1)

    check()


@pytest.mark.parametrize("kind", ["single frames", "one file"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "turn", ["as wanted", "columns", "swapped rows", "rows columns slices", "swapped slices"]
)
def test_the_mask_lies_over_what_dcm2niix_makes_of_the_series_voxel_by_voxel(
    tmp_path: Path, view: str, turn: str, kind: str
) -> None:
    convert = program("dcm2niix")
    stored = around_marker(TURNS[turn] @ VIEWS[view], SPACING, SHAPE, off=(-4, 5, 3))
    volume = seen(stored, SHAPE)
    if kind == "one file":
        write_enhanced(tmp_path / "scan" / "a.dcm", volume.astype(np.uint16), stored)
    else:
        write_series(tmp_path / "scan", volume, stored)
    subprocess.run(
        [convert, "-z", "n", "-f", "theirs", "-o", tmp_path, tmp_path / "scan"],
        check=True,
        capture_output=True,
    )
    theirs = nib.load(tmp_path / "theirs.nii")
    mask = written(read_scan(tmp_path / "scan"), tmp_path / "mask.nii.gz")
    assert mask.affine == pytest.approx(theirs.affine, abs=1e-3)
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(theirs.dataobj) > 500)
    assert centroid(mask) == pytest.approx(MARKER_RAS, abs=half_a_voxel(mask))


def test_a_single_slice_of_dicom_lies_in_the_patient(tmp_path: Path) -> None:
    stored = around_marker(VIEWS["axial"], (4.0, 2.0, 2.0), (1, 40, 40), off=(5, 3, 0))
    write_series(tmp_path / "scan", seen(stored, (1, 40, 40)), stored, SliceThickness=4)
    mask = written(read_scan(tmp_path / "scan"), tmp_path / "mask.nii")
    assert mask.shape == (40, 40, 1)
    assert centroid(mask) == pytest.approx(MARKER_RAS, abs=1)


# From what doesn't say how it lies


def test_of_a_picture_the_mask_has_its_pixels_and_identity_directions(tmp_path: Path) -> None:
    pixels = np.zeros((30, 50), np.uint8)
    pixels[4:9, 20:40] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    scan = read_scan(tmp_path / "a.png")
    write_nifti(Finding(scan, scan.pixels > 100, None), tmp_path / "mask.nii")
    mask = nib.load(tmp_path / "mask.nii")
    assert np.array_equal(np.asarray(mask.dataobj)[:, :, 0].T, pixels > 100)
    assert np.array_equal(mask.affine, np.eye(4))


def test_of_a_published_slice_the_mask_has_its_spacing(tmp_path: Path, slice_paths: list[Path]) -> None:
    mask = written(read_scan(slice_paths[0]), tmp_path / "mask.nii")
    assert mask.affine == pytest.approx(np.diag([0.49, 0.49, 1, 1]))


def test_of_a_scan_made_by_hand_the_affine_counts(tmp_path: Path) -> None:
    affine = around_marker(VIEWS["coronal"], SPACING, SHAPE, off=(-4, 5, 3))
    mask = written(Scan(seen(affine, SHAPE), Path("made"), affine=affine), tmp_path / "mask.nii")
    assert centroid(mask) == pytest.approx(MARKER_RAS, abs=half_a_voxel(mask))


# The file


def dicom_scan(folder: Path) -> Scan:
    stored = around_marker(VIEWS["axial"], SPACING, SHAPE)
    write_series(folder, seen(stored, SHAPE), stored, SeriesDescription="T1 of Erika")
    return read_scan(folder)


def test_the_mask_is_one_byte_a_voxel_and_says_what_it_is(tmp_path: Path) -> None:
    mask = written(dicom_scan(tmp_path / "scan"), tmp_path / "mask.nii")
    assert mask.get_data_dtype() == np.uint8
    assert set(np.unique(np.asarray(mask.dataobj))) == {0, 1}
    assert mask.header.get_intent()[0] == "label"
    assert (tmp_path / "mask.nii").stat().st_size == 352 + np.prod(SHAPE)


def test_nothing_of_the_patient_is_in_the_file(tmp_path: Path) -> None:
    write_nifti(outlined(dicom_scan(tmp_path / "PID-4711")), tmp_path / "mask.nii.gz")
    content = gzip.decompress((tmp_path / "mask.nii.gz").read_bytes())
    packed = (tmp_path / "mask.nii.gz").read_bytes()
    for secret in (b"Muster", b"Erika", b"PID-4711", b"ACC-99", b"19640812", b"mask.nii"):
        assert secret not in content
        assert secret not in packed


def test_the_same_mask_gives_the_same_bytes(tmp_path: Path) -> None:
    finding = outlined(dicom_scan(tmp_path / "scan"))
    write_nifti(finding, tmp_path / "a.nii.gz")
    write_nifti(finding, tmp_path / "b.nii.gz")
    data = (tmp_path / "a.nii.gz").read_bytes()
    assert data == (tmp_path / "b.nii.gz").read_bytes()
    assert data[4:8] == bytes(4)  # where gzip keeps the time


def test_the_ending_says_whether_it_is_packed(tmp_path: Path) -> None:
    finding = outlined(dicom_scan(tmp_path / "scan"))
    for name in ("a.nii", "B.NII"):
        write_nifti(finding, tmp_path / name)
        assert (tmp_path / name).read_bytes()[344:347] == b"n+1"
    for name in ("a.nii.gz", "B.NII.GZ"):
        write_nifti(finding, tmp_path / name)
        assert gzip.decompress((tmp_path / name).read_bytes())[344:347] == b"n+1"
    with pytest.raises(ValueError, match=r"ends in \.nii or \.nii\.gz, got mask\.mha"):
        write_nifti(finding, tmp_path / "mask.mha")


def test_a_finding_without_a_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a finding with a mask"):
        write_nifti(Finding(dicom_scan(tmp_path / "scan"), None, None), tmp_path / "a.nii")
    assert not (tmp_path / "a.nii").exists()


def test_an_empty_mask_is_written_too(tmp_path: Path) -> None:
    scan = dicom_scan(tmp_path / "scan")
    write_nifti(Finding(scan, np.zeros(SHAPE, np.bool_), None), tmp_path / "a.nii")
    assert not np.asarray(nib.load(tmp_path / "a.nii").dataobj).any()


def test_a_qform_is_left_out_where_it_cant_say_how_sheared_slices_lie(tmp_path: Path) -> None:
    affine = affine_of(spacing=(5.0, 0.9, 0.9))
    affine[1, 0] += 2.0
    write_series(tmp_path / "a", np.arange(6 * 20 * 24, dtype=np.uint16).reshape(6, 20, 24), affine)
    scan = read_scan(tmp_path / "a")
    assert scan.slice_spacing == pytest.approx(5.0)
    image = written(scan, tmp_path / "mask.nii.gz")
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 1)
    assert abs(np.linalg.det(image.affine[:3, :3])) == pytest.approx(5.0 * 0.9 * 0.9, rel=1e-3)
