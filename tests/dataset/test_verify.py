"""The report says what a copy of the dataset lacks, and calls only the whole one sound."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import WriteMat
from tumorlens.dataset.verify import PUBLISHED_COUNTS, PUBLISHED_SLICES, VerifyReport, compact_ranges, verify
from tumorlens.errors import TumorlensError
from tumorlens.tumor_type import TumorType


@pytest.fixture
def root(tmp_path: Path, write_mat: WriteMat, write_folds: WriteMat) -> Path:
    """Five sound slices of three patients, one number missing between them."""
    for number, patient in ((1, "A"), (2, "A"), (3, "B"), (5, "C"), (6, "C")):
        write_mat(tmp_path / f"{number}.mat", label=1 + number % 3, patient=patient)
    write_folds(tmp_path / "cvind.mat", {1: 1, 2: 1, 3: 2, 5: 3, 6: 3})
    return tmp_path


def told(report: VerifyReport) -> str:
    return "\n".join(report.lines())


def test_an_incomplete_copy_is_not_ok(slices_folder: Path) -> None:
    report = verify(slices_folder)
    assert not report.ok
    assert report.lines()[-1].startswith("not the whole published dataset")


def test_sound_slices_are_counted_by_class(slices_folder: Path) -> None:
    assert verify(slices_folder).counts == dict.fromkeys(TumorType, 4)


def test_a_complete_sound_copy_is_ok(tmp_path: Path) -> None:
    report = VerifyReport(tmp_path, PUBLISHED_SLICES, PUBLISHED_COUNTS, 233, (), (), (), None, ())
    assert report.ok
    assert report.lines()[-1] == "complete and sound"


@pytest.mark.parametrize(
    "flaw",
    [
        {"patients": 232},
        {"counts": {**PUBLISHED_COUNTS, TumorType.GLIOMA: 1425}},
        {"missing": (7,)},
        {"unexpected": ("copy/7.mat",)},
        {"problems": ("7.mat: no",)},
        {"folds_problem": "cvind.mat: no"},
        {"split_patients": ("A (folds 1, 2)",)},
    ],
)
def test_a_single_flaw_is_enough_not_to_be_ok(tmp_path: Path, flaw: dict[str, object]) -> None:
    sound = VerifyReport(tmp_path, PUBLISHED_SLICES, PUBLISHED_COUNTS, 233, (), (), (), None, ())
    assert not replace(sound, **flaw).ok  # type: ignore[arg-type]


def test_missing_numbers_are_told_as_ranges(root: Path) -> None:
    assert "missing: 3059 slices, numbers 4, 7-3064" in told(verify(root))


def test_patients_are_counted_once(root: Path) -> None:
    assert verify(root).patients == 3


def test_every_unusable_file_is_told_with_its_name_and_reason(root: Path, write_mat: WriteMat) -> None:
    (root / "7.mat").write_text("no")
    write_mat(root / "8.mat", label=4)
    lines = [line for line in verify(root).lines() if line.startswith("unusable: ")]
    assert [line.split(":")[1].strip() for line in lines] == ["7.mat", "8.mat"]
    assert "got 4" in lines[1]


def test_a_patient_with_slices_in_two_folds_is_named(root: Path, write_folds: WriteMat) -> None:
    write_folds(root / "cvind.mat", {1: 1, 2: 4, 3: 2, 5: 3, 6: 3})
    assert verify(root).split_patients == ("A (folds 1, 4)",)


def test_patients_within_their_folds_are_not_named(root: Path) -> None:
    assert verify(root).split_patients == ()


def test_missing_folds_are_told(root: Path) -> None:
    (root / "cvind.mat").unlink()
    assert "expected the author's folds, found none" in told(verify(root))


def test_folds_of_another_number_of_slices_are_told(root: Path, write_folds: WriteMat) -> None:
    write_folds(root / "cvind.mat", {1: 1}, slices=100)
    assert "expected 3064 folds, got 100" in told(verify(root))


def test_folds_other_than_1_to_5_are_told(root: Path, write_folds: WriteMat) -> None:
    write_folds(root / "cvind.mat", {1: 1, 2: 1, 3: 2, 5: 3, 6: 9})
    assert "expected folds 1 to 5, got 9" in told(verify(root))


def test_slices_without_a_fold_are_told(root: Path, write_folds: WriteMat) -> None:
    write_folds(root / "cvind.mat", {1: 1, 2: 1, 3: 2})
    assert "2 of the slices here have none" in told(verify(root))


def test_damaged_folds_are_told_without_hiding_the_rest(root: Path) -> None:
    (root / "cvind.mat").write_text("no")
    report = verify(root)
    assert report.folds_problem is not None
    assert sum(report.counts.values()) == 5


def test_a_number_that_two_files_have_is_told(root: Path, write_mat: WriteMat) -> None:
    (root / "copy").mkdir()
    write_mat(root / "copy" / "3.mat")
    assert set(verify(root).unexpected) == {"3.mat", "copy/3.mat"}


def test_a_name_that_is_no_published_number_is_told(root: Path, write_mat: WriteMat) -> None:
    write_mat(root / "3065.mat")
    write_mat(root / "extra.mat")
    assert set(verify(root).unexpected) == {"3065.mat", "extra.mat"}


def test_every_line_is_one_line(root: Path) -> None:
    (root / "cvind.mat").write_text("no")
    (root / "7.mat").write_text("no")
    assert not any("\n" in line for line in verify(root).lines())


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match=r"expected \.mat slices"):
        verify(tmp_path)


@given(st.sets(st.integers(1, 60)))
def test_ranges_name_exactly_the_numbers(numbers: set[int]) -> None:
    named: set[int] = set()
    for part in filter(None, compact_ranges(sorted(numbers)).split(", ")):
        first, _, last = part.partition("-")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == numbers


def test_ranges_are_written_as_a_person_writes_them() -> None:
    assert compact_ranges([5, 17, 18, 19, 20]) == "5, 17-20"
