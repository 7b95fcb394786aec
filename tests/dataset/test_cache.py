"""The cache gives back what the files hold, and notices when they change."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.conftest import WriteMat, folds_file, slice_file
from tumorlens.dataset import TumorDataset, open_dataset, read_record
from tumorlens.dataset.files import CACHE_FOLDER
from tumorlens.errors import TumorlensError

TYPES = ["<i2", "<u2", ">i2", "u1", "<i4", "<f4", "<f8"]


def assert_same_as_files(dataset: TumorDataset) -> None:
    for position, entry in enumerate(dataset.entries):
        record = read_record(dataset.root / entry.file)
        assert dataset.image(position).dtype == record.image.dtype
        assert np.array_equal(dataset.image(position), record.image)
        assert np.array_equal(dataset.mask(position), record.mask)
        assert (entry.label, entry.patient, entry.spacing) == (record.label, record.patient, record.spacing)


@pytest.fixture
def root(tmp_path: Path, write_mat: WriteMat, write_folds: WriteMat) -> Path:
    """Three slices with folds."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in (2, 10, 1):
        write_mat(folder / f"{number}.mat", label=1 + number % 3, patient=f"P{number}")
    write_folds(folder / "cvind.mat", {1: 1, 2: 5})
    return folder


def test_every_real_slice_comes_back_as_its_file_holds_it(tmp_path: Path, slices_folder: Path) -> None:
    dataset = open_dataset(slices_folder, tmp_path / "cache")
    assert len(dataset) == 12
    assert {entry.fold for entry in dataset.entries} == {4}
    assert_same_as_files(dataset)


def test_slices_come_in_the_order_of_their_numbers(root: Path) -> None:
    assert [entry.file for entry in open_dataset(root).entries] == ["1.mat", "2.mat", "10.mat"]


def test_a_slice_that_the_partition_leaves_out_has_no_fold(root: Path) -> None:
    assert [entry.fold for entry in open_dataset(root).entries] == [1, 5, None]


def test_a_second_opening_decodes_nothing(root: Path) -> None:
    open_dataset(root)
    dataset = open_dataset(root, progress=lambda _: pytest.fail("decoded again"))
    assert_same_as_files(dataset)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_slices_of_any_type_and_shape_share_a_cache(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for number in range(1, data.draw(st.integers(2, 4)) + 1):
            shape = data.draw(st.tuples(st.integers(1, 17), st.integers(1, 17)))
            dtype = np.dtype(data.draw(st.sampled_from(TYPES)))
            finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
            image = data.draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(dtype, **finite)))
            mask = data.draw(hnp.arrays(np.bool_, shape))
            mask[-1, -1] = True
            slice_file(root / f"{number}.mat", image, mask)
        assert_same_as_files(open_dataset(root))


def test_a_changed_file_makes_the_cache_stale(root: Path, write_mat: WriteMat) -> None:
    open_dataset(root)
    image = np.full((8, 12), 7, np.int16)
    image[0, 0] = 0
    write_mat(root / "1.mat", image)
    os.utime(root / "1.mat", ns=(1, 1))
    assert np.array_equal(open_dataset(root).image(0), image)


def test_an_added_file_makes_the_cache_stale(root: Path, write_mat: WriteMat) -> None:
    open_dataset(root)
    write_mat(root / "3.mat")
    assert len(open_dataset(root)) == 4


def test_a_removed_file_makes_the_cache_stale(root: Path) -> None:
    open_dataset(root)
    (root / "2.mat").unlink()
    assert [entry.file for entry in open_dataset(root).entries] == ["1.mat", "10.mat"]


def test_changed_folds_make_the_cache_stale(root: Path) -> None:
    open_dataset(root)
    folds_file(root / "cvind.mat", {1: 2, 2: 2, 10: 2})
    os.utime(root / "cvind.mat", ns=(1, 1))
    assert {entry.fold for entry in open_dataset(root).entries} == {2}


@pytest.mark.parametrize("name", ["images.raw", "masks.raw", "index.json"])
def test_a_cache_cut_short_is_made_again(root: Path, name: str) -> None:
    path = open_dataset(root).folder / name
    path.write_bytes(path.read_bytes()[:-1])
    assert_same_as_files(open_dataset(root))


def test_every_unusable_slice_is_named_and_nothing_half_written_stays(
    root: Path, write_mat: WriteMat
) -> None:
    (root / "4.mat").write_text("no")
    write_mat(root / "5.mat", label=9)
    with pytest.raises(TumorlensError, match=r"^2 of 5 slices can't be used: 4\.mat: .*; 5\.mat: .*$"):
        open_dataset(root)
    assert {path.suffix for path in root.iterdir()} == {".mat"}


def test_an_unusable_slice_leaves_the_older_cache_alone(root: Path) -> None:
    index = open_dataset(root).folder / "index.json"
    before = index.read_text()
    (root / "4.mat").write_text("no")
    with pytest.raises(TumorlensError):
        open_dataset(root)
    assert index.read_text() == before


def test_a_folder_with_other_things_is_never_replaced_by_a_cache(root: Path, tmp_path: Path) -> None:
    precious = tmp_path / "home" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    with pytest.raises(TumorlensError, match="got other things in it"):
        open_dataset(root, precious.parent)
    assert precious.read_text() == "years of work"


def test_slices_prepared_inside_an_outdated_cache_go_with_it(root: Path) -> None:
    prepared = open_dataset(root).folder / "prepared-224-0123456789ab"
    prepared.mkdir()
    (root / "2.mat").unlink()
    open_dataset(root)
    assert not prepared.exists()


def test_a_cache_that_cannot_be_written_is_an_error_of_one_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TumorlensError, match=r"^.*can't write the decoded copy.*choose another folder.*$"):
        open_dataset(root, tmp_path / "file" / "cache")


def test_the_cache_of_a_moved_dataset_is_still_good(root: Path, tmp_path: Path) -> None:
    open_dataset(root)
    moved = Path(shutil.move(root, tmp_path / "elsewhere"))
    assert_same_as_files(open_dataset(moved, progress=lambda _: pytest.fail("decoded again")))


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match="tumorlens dataset download"):
        open_dataset(tmp_path)


def test_companions_that_macos_adds_are_no_slices(root: Path) -> None:
    (root / "._1.mat").write_bytes(b"\0\5\x16\7")
    assert len(open_dataset(root)) == 3


def test_a_slice_is_found_by_its_name(root: Path) -> None:
    dataset = open_dataset(root)
    assert dataset.position("10.mat") == 2
    with pytest.raises(TumorlensError, match=r"expected the slice 11\.mat"):
        dataset.position("11.mat")


def test_the_default_cache_lies_inside_the_dataset(root: Path) -> None:
    assert json.loads((open_dataset(root).root / CACHE_FOLDER / "index.json").read_text())["format"] == 1
