"""DICOM slices keep their values and their place in the patient, however they were stored."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import Dataset

from tests.dicom_files import affine_of, header, place, set_pixels, write_enhanced, write_series
from tests.scan.dicom_slice import file_of, noise
from tests.scan.patient import MARKER, VIEWS, around_marker, centroid, seen, turns_within_slices
from tumorlens.scan import read_scan
from tumorlens.scan.geometry import turned_back
from tumorlens.scan.origin import DicomOrigin

SHAPE = (7, 19, 23)
SPACING = (5.0, 2.5, 2.0)
TURNS = dict(turns_within_slices())


# Where slices lie


def test_a_slice_s_place_in_the_patient_is_kept_in_every_direction(
    tmp_path: Path,
) -> None:
    @settings(max_examples=25)
    @given(
        quaternion=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
        spacing=st.tuples(st.floats(2, 5), st.floats(1.5, 3), st.floats(1.5, 3)),
        rising=st.booleans(),
    )
    def check(quaternion: tuple[float, ...], spacing: tuple[float, float, float], rising: bool) -> None:
        directions = rotation(quaternion)
        if not rising:
            directions[0] *= -1
        shape = (19, 24, 28)
        affine = around_marker(directions, spacing, shape, off=(-3, 2, 1))
        folder = tmp_path / "scan"  # the next series has files of the same names
        write_series(folder, seen(affine, shape), affine)
        scan = read_scan(folder)
        assert scan.affine is not None
        assert centroid(scan.pixels, scan.affine) == pytest.approx(MARKER, abs=0.6)
        assert np.abs(scan.pixels - seen(scan.affine, scan.pixels.shape)).max() <= 1
        assert (scan.spacing, scan.slice_spacing) in (
            (pytest.approx(spacing[1:]), pytest.approx(spacing[0])),
            (pytest.approx(spacing[:0:-1]), pytest.approx(spacing[0])),
        )

    check()


def rotation(quaternion: tuple[float, ...]) -> NDArray[np.float64]:
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("turn", TURNS)
def test_slices_of_a_plane_are_turned_to_the_usual_view_however_they_are_stored(
    tmp_path: Path, view: str, turn: str
) -> None:
    stored = around_marker(TURNS[turn] @ VIEWS[view], SPACING, SHAPE)
    write_series(tmp_path, seen(stored, SHAPE), stored)
    scan = read_scan(tmp_path)
    assert scan.affine is not None
    directions = (scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0)).T
    assert directions == pytest.approx(VIEWS[view], abs=1e-9)
    assert np.array_equal(scan.pixels, seen(scan.affine, scan.pixels.shape))
    assert view in (scan.series or "")


def test_an_oblique_slice_is_turned_to_the_nearest_view(tmp_path: Path) -> None:
    tilted = rotation((1.0, 0.18, -0.12, 0.1)) @ VIEWS["axial"]
    stored = around_marker(TURNS["swapped rows slices"] @ tilted, SPACING, SHAPE)
    write_series(tmp_path, seen(stored, SHAPE), stored)
    scan = read_scan(tmp_path)
    assert scan.affine is not None
    directions = (scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0)).T
    assert directions == pytest.approx(tilted, abs=1e-6)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("turn", TURNS)
def test_each_slice_keeps_the_header_of_its_own_file(tmp_path: Path, view: str, turn: str) -> None:
    stored = around_marker(TURNS[turn] @ VIEWS[view], SPACING, SHAPE)
    files = [pydicom.dcmread(path) for path in write_series(tmp_path, seen(stored, SHAPE), stored)]
    by_uid = {dataset.SOPInstanceUID: dataset.pixel_array for dataset in files}
    scan = read_scan(tmp_path)
    origin = scan.origin
    assert isinstance(origin, DicomOrigin)
    assert origin.frames is None
    back = turned_back(scan.pixels, origin.turned)
    back = back if origin.turned[0, 1] > 0 else back[::-1]  # headers are in the scan's order
    for slice_, dataset in zip(back, origin.headers, strict=True):
        assert np.array_equal(slice_, by_uid[dataset.SOPInstanceUID])


def test_the_turns_tried_include_reversed_slices(tmp_path: Path) -> None:
    signs = set()
    for turn in ("as wanted", "columns"):
        stored = around_marker(TURNS[turn] @ VIEWS["axial"], SPACING, SHAPE)
        write_series(tmp_path / turn, seen(stored, SHAPE), stored)
        origin = read_scan(tmp_path / turn).origin
        assert isinstance(origin, DicomOrigin)
        signs.add(origin.turned[0, 1])
    assert signs == {-1, 1}


def test_a_single_slice_lies_where_its_header_says(tmp_path: Path) -> None:
    affine = around_marker(VIEWS["axial"], (4.0, 2.0, 2.0), (1, 40, 40), off=(0, 0, 0))
    write_series(tmp_path, seen(affine, (1, 40, 40)), affine, SliceThickness=4)
    scan = read_scan(tmp_path / "IM00000")
    assert scan.affine is not None
    assert centroid(scan.pixels, scan.affine) == pytest.approx(MARKER, abs=0.2)
    assert scan.slice_spacing == 4


def test_a_slice_that_does_not_say_how_it_lies_is_left_as_it_is(tmp_path: Path) -> None:
    pixels = noise(np.int16)
    path = file_of(tmp_path / "a", pixels, ImageOrientationPatient=None, PixelSpacing=[0.5, 0.25])
    scan = read_scan(path)
    assert np.array_equal(scan.pixels[0], pixels)
    assert scan.affine is None
    assert scan.spacing == (0.5, 0.25)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        ("ImageOrientationPatient", [1, 0, 0]),
        ("ImagePositionPatient", [0, 0]),
        ("PixelSpacing", [0, 0]),
        ("PixelSpacing", [-1, 1]),
    ],
)
def test_a_place_that_makes_no_sense_counts_as_none(tmp_path: Path, keyword: str, value: list[float]) -> None:
    scan = read_scan(file_of(tmp_path / "a", noise(np.int16), **{keyword: value}))
    assert scan.affine is None


def test_directions_need_not_be_of_length_one(tmp_path: Path) -> None:
    scan = read_scan(file_of(tmp_path / "a", noise(np.int16), ImageOrientationPatient=[2, 0, 0, 0, 3, 0]))
    assert scan.spacing == pytest.approx((0.9, 0.9))


# Enhanced MR


@pytest.mark.parametrize("turn", ["as wanted", "columns", "swapped slices", "rows columns slices"])
def test_frames_in_any_order_become_a_volume_in_its_place(tmp_path: Path, turn: str) -> None:
    stored = around_marker(TURNS[turn] @ VIEWS["coronal"], SPACING, SHAPE)
    order = [4, 0, 6, 2, 1, 5, 3]
    volume = seen(stored, SHAPE).astype(np.uint16)
    scan = read_scan(write_enhanced(tmp_path / "a", volume, stored, order=order))
    assert scan.affine is not None
    assert np.array_equal(scan.pixels, seen(scan.affine, scan.pixels.shape))
    origin = scan.origin
    assert isinstance(origin, DicomOrigin)
    assert origin.frames is not None
    frames = pydicom.dcmread(tmp_path / "a").pixel_array
    back = turned_back(scan.pixels, origin.turned)
    back = back if origin.turned[0, 1] > 0 else back[::-1]
    assert np.array_equal(back, frames[np.array(origin.frames) - 1])
    assert len(origin.headers) == 1


def test_each_frame_is_rescaled_by_its_own_slope(tmp_path: Path) -> None:
    volume = np.arange(3 * 8 * 8, dtype=np.uint16).reshape(3, 8, 8)
    path = write_enhanced(tmp_path / "a", volume)
    dataset = pydicom.dcmread(path)
    del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.PixelValueTransformationSequence = [Dataset()]
        frame.PixelValueTransformationSequence[0].RescaleSlope = number + 1
        frame.PixelValueTransformationSequence[0].RescaleIntercept = -10 * number
    dataset.save_as(path)
    expected = [volume[number] * (number + 1.0) - 10 * number for number in range(3)]
    assert np.array_equal(read_scan(path).pixels, expected)


def test_frames_without_places_of_their_own_stay_in_their_order(tmp_path: Path) -> None:
    """A header's place is that of no frame where there are several."""
    dataset = header(NumberOfFrames=5)
    place(dataset, affine_of(), 0)
    volume = np.arange(5 * 8 * 8, dtype=np.uint16).reshape(5, 8, 8)
    set_pixels(dataset, volume[0])
    dataset.PixelData = volume.tobytes()
    dataset.save_as(tmp_path / "a", enforce_file_format=True)
    scan = read_scan(tmp_path / "a")
    assert np.array_equal(scan.pixels, volume)
    assert scan.affine is None
