"""No patient is ever on two sides."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorlens.dataset.cache import SliceEntry, TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.train.recipe import FoldSplit, PatientSplit
from tumorlens.train.split import Side, Split, make_split, rotations
from tumorlens.tumor_type import TumorType


@dataclass(frozen=True)
class Patient:
    label: int
    slices: int
    fold: int = 1


def dataset_of(patients: list[Patient]) -> TumorDataset:
    """A dataset of which only the index exists, the slices of all patients interleaved."""
    entries = []
    for turn in range(max(patient.slices for patient in patients)):
        for number, patient in enumerate(patients):
            if turn < patient.slices:
                label, file = TumorType(patient.label), f"{number}-{turn}.mat"
                entries.append(SliceEntry(file, label, f"p{number}", patient.fold, 8, 8, "<i2"))
    return TumorDataset(Path("nowhere"), entries, Path("nowhere"))


def patients_of(dataset: TumorDataset, files: tuple[str, ...]) -> set[str]:
    return {dataset.entries[dataset.position(file)].patient for file in files}


FOLDS = FoldSplit(kind="folds", train=(1, 2), validation=(3,), test=(4,))
BY_FOLD = dataset_of([Patient(1 + n % 3, 2, 1 + n % 5) for n in range(15)])


def _patients_of(label: int) -> st.SearchStrategy[list[Patient]]:
    return st.lists(st.builds(Patient, st.just(label), st.integers(1, 6)), min_size=10, max_size=20)


PATIENTS = st.tuples(*map(_patients_of, (1, 2, 3))).map(lambda each: [*each[0], *each[1], *each[2]])


@given(patients=PATIENTS, seed=st.integers(0, 2**32 - 1), held=st.floats(0.15, 0.4))
def test_a_drawn_split_keeps_patients_whole_and_uses_every_slice_once(
    patients: list[Patient], seed: int, held: float
) -> None:
    dataset = dataset_of(patients)
    split = make_split(dataset, PatientSplit(kind="patients", validation=held, test=held, seed=seed))
    sides = [patients_of(dataset, split.files(side)) for side in Side]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len(patients)
    assert sorted(split.train + split.validation + split.test) == sorted(e.file for e in dataset.entries)
    order = [entry.file for entry in dataset.entries]
    assert all(list(split.files(s)) == sorted(split.files(s), key=order.index) for s in Side)


COHORT = dataset_of([Patient(1 + (n % 10 > 2) + (n % 10 > 6), 1 + n % 4) for n in range(200)])


def test_a_drawn_split_has_the_fractions_asked_for_in_every_type() -> None:
    recipe = PatientSplit(kind="patients", validation=0.2, test=0.1, seed=3)
    split = make_split(COHORT, recipe)
    label_of = {entry.patient: entry.label for entry in COHORT.entries}
    total = Counter(label_of.values())
    for side, share in zip(Side, (0.7, 0.2, 0.1), strict=True):
        drawn = Counter(label_of[patient] for patient in patients_of(COHORT, split.files(side)))
        for label in TumorType:
            assert abs(drawn[label] - share * total[label]) <= 1


def test_a_drawn_split_follows_from_its_seed_alone() -> None:
    recipe = PatientSplit(kind="patients", seed=5)
    shuffled = TumorDataset(Path("nowhere"), COHORT.entries[::-1], Path("nowhere"))
    split = make_split(COHORT, recipe)
    assert make_split(COHORT, recipe) == split
    assert {side: set(make_split(shuffled, recipe).files(side)) for side in Side} == {
        side: set(split.files(side)) for side in Side
    }
    assert make_split(COHORT, recipe.model_copy(update={"seed": 6})) != split


def test_too_few_patients_are_told_so() -> None:
    with pytest.raises(TumorlensError, match="4 patients are too few for these fractions"):
        make_split(dataset_of([Patient(1 + n % 3, 3) for n in range(4)]), PatientSplit(kind="patients"))


def test_the_author_s_folds_land_on_the_sides_that_the_recipe_names() -> None:
    split = make_split(BY_FOLD, FOLDS)
    for side, folds in zip(Side, ({1, 2}, {3}, {4}), strict=True):
        found = [BY_FOLD.entries[BY_FOLD.position(file)].fold for file in split.files(side)]
        assert set(found) == folds
    assert len(split.train + split.validation + split.test) == 24  # of 30: fold 5 is left out


def test_a_patient_in_folds_of_two_sides_is_named() -> None:
    strays = [replace(e, fold=4) if e.file == "5-1.mat" else e for e in BY_FOLD.entries]
    with pytest.raises(TumorlensError, match=r"patient p5 is on two sides, train and test \(5-1\.mat\)"):
        make_split(TumorDataset(Path("nowhere"), strays, Path("nowhere")), FOLDS)


def test_a_fold_on_two_sides_is_named() -> None:
    with pytest.raises(TumorlensError, match="got fold 2 on two"):
        make_split(BY_FOLD, FOLDS.model_copy(update={"test": (4, 2)}))


def test_a_missing_fold_is_named_with_those_there_are() -> None:
    with pytest.raises(TumorlensError, match=r"expected slices of fold 7, found none; .*1, 2, 3, 4, 5"):
        make_split(BY_FOLD, FOLDS.model_copy(update={"test": (4, 7)}))


def test_a_dataset_without_folds_is_asked_for_cvind() -> None:
    entries = [replace(entry, fold=None) for entry in BY_FOLD.entries]
    with pytest.raises(TumorlensError, match=r"found none; is cvind\.mat in the data folder\?"):
        make_split(TumorDataset(Path("nowhere"), entries, Path("nowhere")), FOLDS)


def test_a_split_without_slices_to_train_is_refused() -> None:
    with pytest.raises(TumorlensError, match="expected slices to train, found none"):
        make_split(BY_FOLD, FOLDS.model_copy(update={"train": ()}))


@pytest.mark.parametrize("side", ["validation", "test"])
def test_only_training_needs_slices(side: str) -> None:
    split = make_split(BY_FOLD, FOLDS.model_copy(update={side: ()}))
    assert split.files(Side(side)) == ()
    assert split.train


@given(patients=PATIENTS, folds=st.integers(3, 6), seed=st.integers(0, 99))
def test_in_a_cross_validation_every_slice_tests_once_and_no_patient_leaks(
    patients: list[Patient], folds: int, seed: int
) -> None:
    dataset = dataset_of(patients)
    _check_rotations(dataset, rotations(dataset, PatientSplit(kind="patients", seed=seed), folds), folds)


def test_the_author_s_folds_rotate_too() -> None:
    whole = FOLDS.model_copy(update={"train": (1, 2, 5)})
    _check_rotations(BY_FOLD, rotations(BY_FOLD, whole, folds=99), 5)


def _check_rotations(dataset: TumorDataset, splits: list[Split], folds: int) -> None:
    assert len(splits) == folds
    assert Counter(file for split in splits for file in split.test) == Counter(
        entry.file for entry in dataset.entries
    )
    for split in splits:
        sides = [patients_of(dataset, split.files(side)) for side in Side]
        assert sum(map(len, sides)) == len(set.union(*sides))
        assert len(split.train + split.validation + split.test) == len(dataset)


@pytest.mark.parametrize("folds", [1, 2])
def test_fewer_than_three_folds_are_refused(folds: int) -> None:
    with pytest.raises(TumorlensError, match="cross-validation"):
        rotations(BY_FOLD, PatientSplit(kind="patients"), folds)


def test_a_written_split_reads_as_itself(tmp_path: Path) -> None:
    split = make_split(BY_FOLD, FOLDS)
    split.write(tmp_path / "split.json")
    assert Split.read(tmp_path / "split.json") == split


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"train": 1, "validation": 2, "test": 3}', "\x00"])
def test_a_broken_split_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(TumorlensError, match=r"split\.json: expected the split of a run"):
        Split.read(tmp_path / "split.json")


def test_a_split_of_another_dataset_names_the_slice_that_is_missing() -> None:
    with pytest.raises(TumorlensError, match=r"expected the slice gone\.mat, found none"):
        Split(("gone.mat",), ("1-0.mat",), ("2-0.mat",)).check(BY_FOLD)
