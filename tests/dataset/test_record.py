"""A training record is complete and right, or refused with the file's name."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import WriteMat
from tumorlens.dataset import read_record
from tumorlens.errors import TumorlensError
from tumorlens.tumor_type import TumorType


def refusal(path: Path) -> str:
    with pytest.raises(TumorlensError) as caught:
        read_record(path)
    message = str(caught.value)
    assert message.startswith(f"{path.name}: ")
    assert "\n" not in message
    return message


def test_an_image_and_its_mask_keep_rows_and_columns(tmp_path: Path, write_mat: WriteMat) -> None:
    image = np.zeros((5, 9), np.int16)
    image[1, 7] = 1000
    record = read_record(write_mat(tmp_path / "1.mat", image, image > 0))
    assert record.image.shape == record.mask.shape == (5, 9)
    assert np.argwhere(record.image).tolist() == np.argwhere(record.mask).tolist() == [[1, 7]]


def test_the_border_is_x_then_y(tmp_path: Path, write_mat: WriteMat) -> None:
    record = read_record(write_mat(tmp_path / "1.mat"))
    inside = record.mask[record.border[:, 1].astype(int), record.border[:, 0].astype(int)]
    assert len(inside) == 4
    assert inside.all()


def test_a_real_border_runs_along_its_mask(slice_paths: list[Path]) -> None:
    for path in slice_paths:
        record = read_record(path)
        rows, columns = np.nonzero(record.mask)
        low, high = record.border.min(axis=0), record.border.max(axis=0)
        assert low == pytest.approx([columns.min(), rows.min()], abs=1.5)
        assert high == pytest.approx([columns.max(), rows.max()], abs=1.5)


def test_label_and_patient_are_those_stored(tmp_path: Path, write_mat: WriteMat) -> None:
    record = read_record(write_mat(tmp_path / "1.mat", label=3, patient="MR023277D"))
    assert (record.label, record.patient) == (TumorType.PITUITARY, "MR023277D")


def test_a_slice_of_256_pixels_has_twice_the_spacing(tmp_path: Path, write_mat: WriteMat) -> None:
    record = read_record(
        write_mat(tmp_path / "1.mat", np.arange(256 * 256, dtype=np.int32).reshape(256, 256))
    )
    assert record.spacing == pytest.approx(0.98)


def test_a_missing_border_is_no_problem(tmp_path: Path, write_mat: WriteMat) -> None:
    assert read_record(write_mat(tmp_path / "1.mat", without=("tumorBorder",))).border.shape == (0, 2)


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95])
def test_a_file_cut_short_is_refused(tmp_path: Path, slice_paths: list[Path], kept: float) -> None:
    data = slice_paths[0].read_bytes()
    path = tmp_path / "1.mat"
    path.write_bytes(data[: int(len(data) * kept)])
    assert "cut short" in refusal(path)


def test_a_text_file_named_mat_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.mat"
    path.write_text("<html>Not found</html>")
    assert "expected a MATLAB v7.3 (HDF5) file" in refusal(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.mat"
    path.touch()
    assert "expected a MATLAB v7.3 (HDF5) file" in refusal(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "1.mat")


def test_matlab_v5_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    path = tmp_path / "1.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(124) + b"\x00\x01IM" + bytes(200))
    assert "-v7.3" in refusal(path)


@pytest.mark.parametrize("label", [0, 4, 1.5, np.nan])
def test_a_label_other_than_1_to_3_is_refused(tmp_path: Path, write_mat: WriteMat, label: float) -> None:
    assert f"got {label:g}" in refusal(write_mat(tmp_path / "1.mat", label=label))


def test_an_empty_mask_is_refused(tmp_path: Path, write_mat: WriteMat) -> None:
    assert "got an empty one" in refusal(write_mat(tmp_path / "1.mat", mask=np.zeros((8, 12))))


def test_a_mask_of_another_shape_is_refused(tmp_path: Path, write_mat: WriteMat) -> None:
    assert "got (12, 8)" in refusal(write_mat(tmp_path / "1.mat", mask=np.ones((12, 8))))


@pytest.mark.parametrize("field", ["image", "label", "PID", "tumorMask"])
def test_a_missing_field_is_refused(tmp_path: Path, write_mat: WriteMat, field: str) -> None:
    assert refusal(write_mat(tmp_path / "1.mat", without=(field,))).endswith("none")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused(tmp_path: Path, write_mat: WriteMat, bad: float) -> None:
    image = np.ones((8, 12))
    image[3, 3] = bad
    assert "NaN or infinity" in refusal(write_mat(tmp_path / "1.mat", image))


def test_an_image_that_lies_in_another_file_is_refused(tmp_path: Path, write_mat: WriteMat) -> None:
    write_mat(tmp_path / "other.mat")
    path = write_mat(tmp_path / "1.mat")
    with h5py.File(path, "r+") as file:
        del file["cjdata/image"]
        file["cjdata/image"] = h5py.ExternalLink("other.mat", "/cjdata/image")
    assert "another file" in refusal(path)


def test_pixels_stored_in_any_other_file_of_the_machine_are_refused(
    tmp_path: Path, write_mat: WriteMat
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(96))
    path = write_mat(tmp_path / "1.mat")
    with h5py.File(path, "r+") as file:
        del file["cjdata/image"]
        file["cjdata"].create_dataset("image", (12, 8), np.uint8, external=[(str(secret), 0, 96)])
    assert "another file" in refusal(path)


def test_a_small_file_that_claims_a_huge_image_is_refused(tmp_path: Path, write_mat: WriteMat) -> None:
    path = write_mat(tmp_path / "1.mat")
    with h5py.File(path, "r+") as file:
        del file["cjdata/image"]
        file["cjdata"].create_dataset("image", (1 << 20, 1 << 20), np.int16, chunks=(1024, 1024))
    assert "more than any slice has" in refusal(path)


@pytest.mark.parametrize("content", [h5py.Empty("f8"), "text", np.array([1 + 2j])])
def test_an_image_that_is_not_numbers_is_refused(
    tmp_path: Path, write_mat: WriteMat, content: object
) -> None:
    path = write_mat(tmp_path / "1.mat")
    with h5py.File(path, "r+") as file:
        del file["cjdata/image"]
        file["cjdata"]["image"] = content
    assert "expected cjdata.image to be numbers" in refusal(path)
