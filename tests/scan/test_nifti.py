"""NIfTI volumes lie where their header says and are seen from the usual side, whatever their axes."""

import gzip
import itertools
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff
from numpy.typing import NDArray

from tests.scan.dicom_slice import refusal
from tests.scan.patient import MARKER, VIEWS, around_marker, centroid, seen
from tests.scan.spoiled import check_spoiled
from tumorlens.scan import Scan, read_scan
from tumorlens.scan.geometry import LPS_RAS, turned_back
from tumorlens.scan.origin import NiftiOrigin

ORIENTATIONS = [
    np.array([*zip(axes, flips, strict=True)], float)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]
"""The 48 ways to order and to flip three axes."""
SHAPE = (21, 24, 9)
SPACING = (2.0, 2.25, 5.0)  # of axes to the left, to posterior and to superior


def saved(
    path: Path, values: NDArray[Any], ras: NDArray[np.float64] | None = None, kind: type = nib.Nifti1Image
) -> Path:
    ras = np.diag([-2.0, -2.0, 5.0, 1.0]) if ras is None else ras
    path.write_bytes(kind(values, ras).to_bytes())
    return path


def volume(shape: tuple[int, ...] = (5, 6, 7), dtype: type[np.generic] = np.int16) -> NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def axial(
    spacing: tuple[float, float, float] = SPACING, shape: tuple[int, int, int] = SHAPE
) -> NDArray[np.float64]:
    """An affine (columns, rows, slices) to LPS around the marker."""
    return around_marker(np.eye(3), spacing, shape, off=(1, -2, 3))


def directions(scan: Scan) -> NDArray[np.float64]:
    assert scan.affine is not None
    return (scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0)).T


@pytest.mark.parametrize(
    "orientation",
    ORIENTATIONS,
    ids=lambda turn: "".join(f"{int(axis)}{'-' if flip < 0 else '+'}" for axis, flip in turn),
)
@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_any_order_of_axes_gives_the_same_view_and_the_same_place(
    tmp_path: Path, orientation: NDArray[np.float64], suffix: str
) -> None:
    lps = axial()
    values = apply_orientation(seen(lps, SHAPE), orientation)
    ras = LPS_RAS @ lps @ inv_ornt_aff(orientation, SHAPE)
    nib.save(nib.Nifti1Image(values, ras), tmp_path / f"a.{suffix}")
    scan = read_scan(tmp_path / f"a.{suffix}")
    assert scan.affine is not None
    assert directions(scan) == pytest.approx(VIEWS["axial"])
    assert np.array_equal(scan.pixels, seen(lps, SHAPE).transpose(2, 1, 0))
    assert centroid(scan.pixels, scan.affine) == pytest.approx(MARKER, abs=0.2)
    assert (scan.slice_spacing, scan.spacing) == (5, (2.25, 2))
    assert isinstance(scan.origin, NiftiOrigin)
    assert scan.origin.shape == values.shape
    assert np.array_equal(turned_back(scan.pixels, scan.origin.turned), values)
    assert scan.origin.affine == pytest.approx(ras, abs=1e-4)


@pytest.mark.parametrize(
    ("spacing", "shape", "view"),
    [
        ((1.0, 1.0, 1.0), (20, 24, 28), "axial"),
        ((1.0, 1.0, 1.4), (20, 24, 28), "axial"),
        ((1.0, 1.0, 4.0), (20, 24, 9), "axial"),
        ((1.0, 4.0, 1.0), (20, 9, 28), "coronal"),
        ((4.0, 1.0, 1.0), (9, 24, 28), "sagittal"),
        ((1.0, 1.0, 1.0), (1, 24, 28), "sagittal"),
        ((1.0, 1.0, 1.0), (20, 1, 28), "coronal"),
        ((3.0, 1.0, 1.0), (20, 24, 1), "axial"),
    ],
)
def test_a_volume_is_cut_into_the_slices_that_were_measured(
    tmp_path: Path, spacing: tuple[float, float, float], shape: tuple[int, int, int], view: str
) -> None:
    lps = around_marker(np.eye(3), spacing, shape)
    scan = read_scan(saved(tmp_path / "a", seen(lps, shape), LPS_RAS @ lps))
    assert scan.affine is not None
    assert directions(scan) == pytest.approx(VIEWS[view])
    assert np.array_equal(scan.pixels, seen(scan.affine, scan.pixels.shape))


def test_an_oblique_volume_keeps_its_place(tmp_path: Path) -> None:
    angle = np.radians(20)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]])
    lps = around_marker(tilt, SPACING, SHAPE, off=(1, -2, 3))
    scan = read_scan(saved(tmp_path / "a", seen(lps, SHAPE), LPS_RAS @ lps))
    assert scan.affine is not None
    assert centroid(scan.pixels, scan.affine) == pytest.approx(MARKER, abs=0.2)


# Kinds of files


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.dcm", "a"])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_volume_is_known_by_its_content(tmp_path: Path, name: str, packed: bool, kind: type) -> None:
    path = saved(tmp_path / name, volume(), kind=kind)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(read_scan(path).pixels, volume().transpose(2, 1, 0))


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64, np.float32, np.float64]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_stored_values_are_kept_in_either_order_of_bytes(
    tmp_path: Path, dtype: type[np.generic], order: str
) -> None:
    values = volume((5, 5, 5), dtype)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype))
    (tmp_path / "a").write_bytes(nib.Nifti1Image(values, np.diag([-2.0, -2.0, 5.0, 1.0]), header).to_bytes())
    scan = read_scan(tmp_path / "a")
    assert scan.pixels.dtype == dtype
    assert scan.pixels.dtype.isnative
    assert np.array_equal(scan.pixels, values.transpose(2, 1, 0))


@pytest.mark.parametrize(("slope", "intercept"), [(2.5, -100), (0.001, 0), (-1, 5)])
def test_scaled_values_are_scaled(tmp_path: Path, slope: float, intercept: float) -> None:
    path = saved(tmp_path / "a", volume())
    patched(path, 112, "<2f", slope, intercept)
    assert read_scan(path).pixels == pytest.approx(volume().transpose(2, 1, 0) * slope + intercept, rel=1e-5)


@pytest.mark.parametrize("shape", [(5, 6, 7, 1), (5, 6, 7, 1, 1)])
def test_a_series_of_one_volume_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    scan = read_scan(saved(tmp_path / "a", volume(shape)))
    assert np.array_equal(scan.pixels, volume().transpose(2, 1, 0))


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1), ("unknown", 1)])
def test_lengths_are_brought_to_millimetres(tmp_path: Path, unit: str, factor: float) -> None:
    image = nib.Nifti1Image(volume(), np.diag([-2 / factor, -3 / factor, 5 / factor, 1]))
    image.header.set_xyzt_units(unit)
    (tmp_path / "a").write_bytes(image.to_bytes())
    scan = read_scan(tmp_path / "a")
    assert (scan.slice_spacing, scan.spacing) == (pytest.approx(5), (pytest.approx(3), pytest.approx(2)))


def test_an_unknown_unit_is_taken_for_millimetres(tmp_path: Path) -> None:
    assert read_scan(patched(saved(tmp_path / "a", volume()), 123, "<B", 7)).slice_spacing == 5


def test_the_sform_counts_before_the_qform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), np.diag([-2.0, -2.0, 5.0, 1.0]))
    image.set_qform(np.diag([3.0, 3.0, 3.0, 1.0]), 1)
    image.set_sform(np.diag([-2.0, -2.5, 5.0, 1.0]), 2)
    (tmp_path / "a").write_bytes(image.to_bytes())
    scan = read_scan(tmp_path / "a")
    assert scan.spacing == (2.5, 2)
    assert isinstance(scan.origin, NiftiOrigin)
    assert scan.origin.codes == (2, 1)
    assert scan.origin.qform == pytest.approx(np.diag([3.0, 3.0, 3.0, 1.0]))


def test_a_qform_alone_counts(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), None)
    image.set_qform(np.diag([-2.0, 3.0, 5.0, 1.0]), 1)
    (tmp_path / "a").write_bytes(image.to_bytes())
    assert read_scan(tmp_path / "a").spacing == (3, 2)


# What is refused


def patched(path: Path, offset: int, form: str, *values: float) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, offset, *values)
    path.write_bytes(data)
    return path


def test_a_series_of_volumes_is_refused(tmp_path: Path) -> None:
    assert "expected one volume of three dimensions, got 5 x 6 x 7 x 2" in refusal(
        saved(tmp_path / "a", volume((5, 6, 7, 2)))
    )


def test_a_flat_image_is_refused(tmp_path: Path) -> None:
    assert "expected one volume of three dimensions, got 5 x 6" in refusal(
        saved(tmp_path / "a", volume((5, 6)))
    )


def test_colors_are_refused(tmp_path: Path) -> None:
    colors = np.zeros((5, 6, 7), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "expected a volume of real numbers, got 128" in refusal(saved(tmp_path / "a", colors))


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    assert "expected a volume of real numbers" in refusal(saved(tmp_path / "a", volume(dtype=np.complex64)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_volume_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    values = volume(dtype=np.float32)
    values[1, 2, 3] = value
    assert "expected finite voxels, got NaN or infinity; set them to 0" in refusal(
        saved(tmp_path / "a", values)
    )


def test_a_scale_that_leads_out_of_all_range_is_refused(tmp_path: Path) -> None:
    assert "expected finite voxels" in refusal(patched(saved(tmp_path / "a", volume()), 112, "<2f", 3e38, 0))


def test_a_constant_volume_is_refused(tmp_path: Path) -> None:
    assert "got 3 everywhere" in refusal(saved(tmp_path / "a", np.full((5, 6, 7), 3, np.int16)))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("left", [400, 0.5, 0.99])
def test_a_volume_cut_short_is_refused(tmp_path: Path, left: float, packed: bool) -> None:
    path = saved(tmp_path / "a", np.random.default_rng(1).integers(0, 9999, (9, 9, 9), np.int16))
    data = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    path.write_bytes(data[: int(left if left > 1 else len(data) * left)])
    assert "expected a whole NIfTI volume" in refusal(path)


def test_a_changed_byte_in_a_packed_volume_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", volume())
    data = bytearray(
        gzip.compress(path.read_bytes(), 0)
    )  # not packed at all, so that only the checksum can tell
    data[-60] ^= 1
    path.write_bytes(data)
    assert "CRC check failed" in refusal(path)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("size", [800, 2000])
@pytest.mark.parametrize("packed", [True, False])
def test_a_small_file_that_claims_gigavoxels_costs_neither_time_nor_memory(
    tmp_path: Path, dtype: str, size: int, packed: bool
) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape((size, size, size))
    header.set_sform(np.eye(4), 1)
    header["vox_offset"] = 352
    data = header.binaryblock + bytes(2000)
    (tmp_path / "a").write_bytes(gzip.compress(data) if packed else data)
    start = time.monotonic()
    tracemalloc.start()
    try:
        message = refusal(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert "expected at most 536,870,912 voxels" in message or "its header claims" in message
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("shape", [(9000, 3, 3), (3, 3, 9000)])
def test_slices_of_impossible_size_are_refused(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    path = saved(tmp_path / "a", volume(shape), np.diag([-1.0, -5.0, 1.0, 1.0]))
    assert "expected slices of 2 to 8192 pixels a side" in refusal(path)


@pytest.mark.parametrize(
    "ras",
    [
        np.diag([1.0, 1.0, 0.0, 1.0]),
        np.diag([1.0, 1.0, np.nan, 1.0]),
        np.ones((4, 4)),
        np.diag([1, 1, np.inf, 1]),
    ],
    ids=["flat", "NaN", "one direction", "infinite"],
)
def test_an_affine_that_places_nothing_is_refused(tmp_path: Path, ras: NDArray[np.float64]) -> None:
    path = saved(tmp_path / "a", volume())
    patched(path, 280, "<12f", *ras[:3].ravel())
    assert "expected an affine that places every voxel" in refusal(path)


def test_a_qform_that_makes_no_sense_does_not_matter_beside_an_sform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), np.diag([-2.0, -2.0, 5.0, 1.0]))
    image.set_qform(image.affine, 1)
    (tmp_path / "a").write_bytes(image.to_bytes())
    scan = read_scan(patched(tmp_path / "a", 256, "<3f", 9, 9, 9))
    assert isinstance(scan.origin, NiftiOrigin)
    assert (scan.origin.codes, scan.origin.qform) == ((2, 0), None)


def test_what_lies_between_header_and_voxels_is_not_read(tmp_path: Path) -> None:
    """A gigabyte of zeros there packs to a megabyte."""
    image = nib.Nifti1Image(volume(), np.diag([-2.0, -2.0, 5.0, 1.0]))
    data = bytearray(image.to_bytes())
    struct.pack_into("<f", data, 108, 1 << 22)
    data[348:352] = b"\1\0\0\0"
    between = struct.pack("<2l", 1 << 30, 6) + bytes((1 << 22) - 360)
    (tmp_path / "a").write_bytes(bytes(data[:352]) + between + bytes(data[352:]))
    assert np.array_equal(read_scan(tmp_path / "a").pixels, volume().transpose(2, 1, 0))


def test_a_header_of_its_own_kind_is_not_mended_aloud(tmp_path: Path) -> None:
    path = patched(saved(tmp_path / "a", volume()), 76, "<4f", -1, -2, -2, -5)
    program = "import sys; from tumorlens import read_scan; read_scan(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("packed", [True, False])
def test_a_volume_with_some_bytes_changed_is_read_or_refused(tmp_path: Path, packed: bool) -> None:
    data = saved(tmp_path / "whole", volume((4, 5, 6))).read_bytes()
    data = gzip.compress(data) if packed else data
    check_spoiled(data, tmp_path / "changed")


@pytest.mark.parametrize("size", [1.5, 0.0])
def test_a_volume_that_doesnt_say_how_it_lies_has_no_sides(tmp_path: Path, size: float) -> None:
    values = np.arange(6 * 20 * 24, dtype=np.int16).reshape(24, 20, 6)
    image = nib.Nifti1Image(values, None)
    image.header.set_sform(None, code=0)
    image.header.set_qform(None, code=0)
    data = bytearray(image.to_bytes())
    data[80:92] = struct.pack("<3f", size, size, size)  # pixdim, from its second number on
    (tmp_path / "a.nii").write_bytes(data)
    scan = read_scan(tmp_path / "a.nii")
    assert scan.affine is None
    assert (scan.spacing, scan.slice_spacing) == (((1.5, 1.5), 1.5) if size else (None, None))
