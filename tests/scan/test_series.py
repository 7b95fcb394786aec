"""Files of any number of series, in any order, become the volumes that the scanner made."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage, MediaStorageDirectoryStorage, generate_uid

from tests.dicom_files import AXIAL, CORONAL, SAGITTAL, affine_of, header, write_enhanced, write_series
from tests.scan.dicom_slice import refusal
from tumorlens.errors import TumorlensError
from tumorlens.scan import list_series, read_scan
from tumorlens.scan.reader import read_series

SHAPE = (6, 16, 18)


def volume(offset: int = 0, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int16]:
    """Different in every voxel and, by the offset, from others."""
    return (np.arange(np.prod(shape)).reshape(shape) + offset).astype(np.int16)


def change(path: Path, **tags: object) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def study(folder: Path) -> Path:
    """A folder as a department hands it out."""
    series = (
        ("localizer", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        ("T1 axial", {}),
        ("T2 axial", {"RepetitionTime": 4000, "EchoTime": 90}),
        ("FLAIR", {"RepetitionTime": 9000, "EchoTime": 120}),
        ("DWI b1000", {"RepetitionTime": 9000, "EchoTime": 80}),
        ("T1 axial Gd", {"ContrastBolusAgent": "Gadovist"}),
    )
    for number, (description, tags) in enumerate(series, start=1):
        known = {"ContrastBolusAgent": "", **tags}
        known |= {"SeriesNumber": number, "SeriesInstanceUID": f"1.2.{number}"}
        known |= {"SeriesDescription": description}
        if description == "localizer":
            for plane in (AXIAL, CORONAL, SAGITTAL):
                write_series(
                    folder / f"{number}" / f"{plane[0][0]}{plane[1][1]}",
                    volume(number, (3, 16, 18)),
                    affine_of(plane),
                    **known,
                )
        else:
            write_series(folder / f"{number}", volume(100 * number), **known)
    write_series(
        folder / "CT",
        volume(9),
        SOPClassUID=CTImageStorage,
        Modality="CT",
        SeriesNumber=7,
        SeriesInstanceUID="1.2.7",
        SeriesDescription="CT Gd",
    )
    report = header(SOPClassUID=ComprehensiveSRStorage, Modality="SR", SeriesInstanceUID="1.2.8")
    report.save_as(folder / "report", enforce_file_format=True)
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(60))
    (folder / "read me.txt").write_text("Please find enclosed")
    (folder / "viewer.exe").write_bytes(b"MZ" + bytes(1000))
    return folder


def test_of_a_whole_study_the_t1_with_contrast_is_taken(tmp_path: Path) -> None:
    scan = read_scan(study(tmp_path))
    assert np.array_equal(scan.pixels, volume(600))
    assert scan.series == "MR, T1 axial Gd, axial, 6 slices, contrast agent: Gadovist"
    assert scan.reason == (
        "series 8 of 9: MR, T1 by its description, a contrast agent in the header, "
        "contrast by its description"
    )
    assert scan.source == tmp_path


def test_series_are_listed_by_number_and_localizers_by_plane(tmp_path: Path) -> None:
    listed = list_series(study(tmp_path))
    names = ["localizer"] * 3 + ["T1 axial", "T2 axial", "FLAIR", "DWI b1000", "T1 axial Gd", "CT Gd"]
    assert [stack.description for stack in listed] == names
    assert {str(stack.plane) for stack in listed[:3]} == {"axial", "coronal", "sagittal"}


@pytest.mark.parametrize(
    ("wanted", "offset"), [("4", 200), ("1.2.3", 300), ("flair", 400), ("T1 axial", 200), ("axial gd", 600)]
)
def test_the_named_series_is_read(tmp_path: Path, wanted: str, offset: int) -> None:
    assert np.array_equal(read_scan(study(tmp_path), series=wanted).pixels, volume(offset))


def test_a_named_series_that_is_not_mr_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match="expected an MR series in gray, got CT"):
        read_scan(study(tmp_path), series="CT")


def test_files_are_put_in_their_order_whatever_their_names(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "a", volume())
    (tmp_path / "b").mkdir()
    shuffled = [
        paths[at].rename(tmp_path / "b" / f"{index}.dcm") for index, at in enumerate((3, 0, 5, 1, 4, 2))
    ]
    assert np.array_equal(read_scan(tmp_path / "b").pixels, volume())
    assert np.array_equal(read_series(tmp_path / "b", shuffled[::-1]).pixels, volume())


def test_files_of_one_series_may_lie_in_several_folders(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path / "a", volume())):
        (tmp_path / "a" / f"{index % 2}").mkdir(exist_ok=True)
        path.rename(tmp_path / "a" / f"{index % 2}" / path.name)
    assert np.array_equal(read_scan(tmp_path / "a").pixels, volume())


def test_a_series_without_places_is_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, volume())):
        change(path, ImagePositionPatient=None, ImageOrientationPatient=None, InstanceNumber=index + 8)
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.pixels, volume())
    assert scan.affine is None
    assert scan.unevenness == 0


# Copies


def test_a_file_there_twice_counts_once(tmp_path: Path) -> None:
    paths = write_series(tmp_path, volume())
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=lambda *_: ["copy"])
    shutil.copy(paths[2], tmp_path / "again")
    assert np.array_equal(read_scan(tmp_path).pixels, volume())
    assert len(list_series(tmp_path)) == 1


def test_a_file_there_twice_counts_once_without_places_too(tmp_path: Path) -> None:
    for path in write_series(tmp_path, volume()):
        change(path, ImagePositionPatient=None)
        shutil.copy(path, tmp_path / f"{path.name}-copy")
    assert len(read_scan(tmp_path).pixels) == len(volume())


@pytest.mark.parametrize("tags", [{}, {"AcquisitionNumber": 2}, {"ContentTime": "120000"}])
def test_a_slice_sent_again_as_another_image_does_not_spoil_the_volume(
    tmp_path: Path, tags: dict[str, object]
) -> None:
    paths = write_series(tmp_path, volume(), AcquisitionNumber=1, ContentTime="110000")
    shutil.copy(paths[2], tmp_path / "again")
    change(tmp_path / "again", SOPInstanceUID=generate_uid(), **tags)
    assert np.array_equal(read_scan(tmp_path).pixels, volume())
    assert np.array_equal(read_scan(tmp_path, series="t1_se").pixels, volume())


@pytest.mark.parametrize("places", [True, False])
def test_images_that_share_a_uid_are_not_taken_for_copies(tmp_path: Path, places: bool) -> None:
    for index, path in enumerate(write_series(tmp_path, volume())):
        change(path, SOPInstanceUID="1.2.3.4", InstanceNumber=index)
        if not places:
            change(path, ImagePositionPatient=None)
    assert np.array_equal(read_scan(tmp_path).pixels, volume())


# Several volumes in one place


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("EchoTime", [12, 90]),
        ("EchoNumbers", [1, 2]),
        ("TemporalPositionIdentifier", [1, 2, 3]),
        ("AcquisitionNumber", [1, 2, 3]),
        ("DiffusionBValue", [0.0, 500.0, 1000.0]),
        ("ImageType", [["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]]),
        ("AcquisitionTime", ["101500.10", "101501.20", "101502.30"]),
    ],
)
def test_volumes_in_one_place_are_told_apart(tmp_path: Path, keyword: str, values: list[object]) -> None:
    for number, value in enumerate(values):
        for index, path in enumerate(
            write_series(tmp_path / f"{number}", volume(number), **{keyword: value})
        ):
            # A trap: of every slice another time, in no order of the volumes.
            change(path, InstanceNumber=index * len(values) + number, ContentTime=f"1015{index:02d}.{number}")
    stacks = list_series(tmp_path)
    assert [len(stack.frames) for stack in stacks] == [SHAPE[0]] * len(values)
    for number, stack in enumerate(stacks):
        assert np.array_equal(stack.read(tmp_path).pixels, volume(number))


def test_volumes_that_two_attributes_tell_apart_are_told_apart(tmp_path: Path) -> None:
    """As of diffusion: one volume without weighting, three directions with."""
    kinds = [(0.0, None), (1000.0, [1, 0, 0]), (1000.0, [0, 1, 0]), (1000.0, [0, 0, 1])]
    for number, (weighting, direction) in enumerate(kinds):
        tags = {"DiffusionBValue": weighting, "DiffusionGradientOrientation": direction}
        for index, path in enumerate(write_series(tmp_path / f"{number}", volume(number), **tags)):
            change(path, InstanceNumber=number * SHAPE[0] + index)
    stacks = list_series(tmp_path)
    for number, stack in enumerate(stacks):
        assert np.array_equal(stack.read(tmp_path).pixels, volume(number))
    assert len(stacks) == len(kinds)


@pytest.mark.parametrize("order", ["volume by volume", "place by place"])
def test_volumes_that_only_numbers_tell_apart_are_told_apart(tmp_path: Path, order: str) -> None:
    for number in range(3):
        for index, path in enumerate(write_series(tmp_path / f"{number}", volume(number))):
            by_volume = order == "volume by volume"
            count = number * SHAPE[0] + index if by_volume else index * 3 + number
            change(path, InstanceNumber=count, ContentTime=f"1015{count:02d}")  # the time is no volume's own
    stacks = list_series(tmp_path)
    for number, stack in enumerate(stacks):
        assert np.array_equal(stack.read(tmp_path).pixels, volume(number))
    assert len(stacks) == 3


def test_packages_are_not_taken_for_the_volumes_of_a_dynamic(tmp_path: Path) -> None:
    """Both volumes were measured in two packages, the odd and the even slices."""
    for number in range(2):
        for index, path in enumerate(write_series(tmp_path / f"{number}", volume(number))):
            change(path, AcquisitionNumber=index % 2 + 1, TriggerTime=100.0 * number)
    stacks = list_series(tmp_path)
    for number, stack in enumerate(stacks):
        assert np.array_equal(stack.read(tmp_path).pixels, volume(number))
    assert len(stacks) == 2


def test_interleaved_packages_stay_one_volume(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, volume())):
        change(path, AcquisitionNumber=index % 2 + 1, AcquisitionTime=f"1015{index:02d}")
    assert len(list_series(tmp_path)) == 1


def test_frames_of_a_dynamic_in_one_file_are_told_apart(tmp_path: Path) -> None:
    both = np.concatenate([volume(), volume(1)]).astype(np.uint16) % 4096
    path = write_enhanced(tmp_path / "a", both)
    dataset = pydicom.dcmread(path)
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        time, place = divmod(number, SHAPE[0])
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 5 * place]
        frame.FrameContentSequence[0].TemporalPositionIndex = time + 1
    dataset.save_as(path)
    stacks = list_series(path)
    assert [
        np.array_equal(stack.read(path).pixels, both[at : at + 6])
        for stack, at in zip(stacks, (0, 6), strict=True)
    ]
    assert len(stacks) == 2


# Directions, sizes and distances


@pytest.mark.parametrize("jitter", [1e-6, 4e-4])
def test_directions_that_differ_by_rounding_are_one(tmp_path: Path, jitter: float) -> None:
    paths = write_series(tmp_path, volume())
    for index, path in enumerate(paths):
        tilt = 0.0005 + (index % 2 - 0.5) * jitter  # on either side of where rounding would part them
        change(path, ImageOrientationPatient=[1, 0, tilt, 0, 1, -tilt])
    assert np.array_equal(read_scan(tmp_path).pixels, volume())


def test_slices_of_another_size_are_a_stack_of_their_own(tmp_path: Path) -> None:
    write_series(tmp_path / "a", volume())
    write_series(tmp_path / "b", volume(0, (2, 8, 8)), affine_of(origin=(0, 0, 90)))
    assert [len(stack.frames) for stack in list_series(tmp_path)] == [6, 2]
    assert read_scan(tmp_path).pixels.shape == SHAPE


def moved(paths: list[Path], heights: list[float]) -> None:
    for path, height in zip(paths, heights, strict=True):
        change(path, ImagePositionPatient=[-60, -70, height])


def test_even_slices_are_even(tmp_path: Path) -> None:
    write_series(tmp_path, volume())
    scan = read_scan(tmp_path)
    assert scan.unevenness == pytest.approx(0, abs=1e-9)
    assert scan.slice_spacing == pytest.approx(5)


def test_a_missing_slice_shows_as_unevenness(tmp_path: Path) -> None:
    write_series(tmp_path, volume())[2].unlink()
    scan = read_scan(tmp_path)
    assert scan.unevenness == pytest.approx(1)
    assert scan.slice_spacing == pytest.approx(25 / 4)


def test_unevenness_is_the_largest_difference_from_the_median(tmp_path: Path) -> None:
    moved(write_series(tmp_path, volume()), [0, 5, 10, 16, 21, 26])
    assert read_scan(tmp_path).unevenness == pytest.approx(0.2)


def test_a_slice_moved_aside_shows_as_unevenness(tmp_path: Path) -> None:
    change(write_series(tmp_path, volume())[3], ImagePositionPatient=[-58, -70, -5])
    assert read_scan(tmp_path).unevenness == pytest.approx(2 / 5)


def test_a_slice_without_a_place_is_left_beside_the_volume(tmp_path: Path) -> None:
    change(write_series(tmp_path, volume())[5], ImagePositionPatient=None)
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.pixels, volume()[:5])
    assert scan.affine is not None


# What is left out or refused


@pytest.mark.parametrize("bytes_", [0, 300, 700])
def test_a_damaged_file_is_left_out_of_a_folder_and_counted(tmp_path: Path, bytes_: int) -> None:
    paths = write_series(tmp_path, volume())
    (tmp_path / "last.dcm").write_bytes(paths[5].read_bytes()[:bytes_])
    paths[5].unlink()
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.pixels, volume()[:5])
    assert scan.unreadable == 1


def test_what_is_no_slice_is_not_counted_as_a_damaged_one(tmp_path: Path) -> None:
    write_series(tmp_path, volume())
    for kind in (ComprehensiveSRStorage, MediaStorageDirectoryStorage):
        report = header(SOPClassUID=kind, Modality="SR")
        report.file_meta.MediaStorageSOPClassUID = kind
        if kind == MediaStorageDirectoryStorage:
            del report.SOPClassUID
        report.save_as(tmp_path / kind.name, enforce_file_format=True)
    (tmp_path / "readme.txt").write_text("no slice")
    assert read_scan(tmp_path).unreadable == 0


def test_a_slice_whose_pixels_are_cut_short_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, volume())
    paths[4].write_bytes(paths[4].read_bytes()[:-9])
    assert refusal(tmp_path).startswith(f"{paths[4].name}: expected pixels that can be decoded")


def test_a_folder_with_no_picture_says_why(tmp_path: Path) -> None:
    report = header(SOPClassUID=ComprehensiveSRStorage, Modality="SR")
    report.save_as(tmp_path / "report", enforce_file_format=True)
    assert refusal(tmp_path) == (
        f"{tmp_path}: expected DICOM files with pictures, found none (1 can't be used, such as report: "
        "expected a DICOM file with a picture, got Comprehensive SR Storage; choose the MR series itself)"
    )


@pytest.mark.filterwarnings("ignore:Found unknown escape")
def test_texts_of_a_header_stay_in_one_line_and_cannot_move_the_cursor(tmp_path: Path) -> None:
    for path in write_series(tmp_path, volume()):
        data = path.read_bytes()
        path.write_bytes(data.replace(b"t1_se_tra +C", b"t1\r\n\x1b[2J\x07 +C"))
    assert read_scan(tmp_path).series == "MR, t1 [2J +C, axial, 6 slices, contrast agent: Gadovist"


def test_what_is_no_dicom_has_no_series(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(
        TumorlensError, match="expected a folder, a zip or a file of DICOM, got something else"
    ):
        list_series(tmp_path / "a.png")


@pytest.mark.parametrize(("between", "expected"), [(6.5, 6.5), (None, None)])
def test_of_slices_without_places_the_thickness_is_no_distance(
    tmp_path: Path, between: float | None, expected: float | None
) -> None:
    for path in write_series(tmp_path, volume()):
        change(path, ImagePositionPatient=None, **({"SpacingBetweenSlices": between} if between else {}))
    assert read_scan(tmp_path).slice_spacing == expected
