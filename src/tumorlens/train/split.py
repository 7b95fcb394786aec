"""Which slices train, which validate, which test: always whole patients."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from tumorlens import atomic
from tumorlens.dataset import TumorDataset
from tumorlens.dataset.cache import SliceEntry
from tumorlens.errors import TumorlensError
from tumorlens.train.recipe import FoldSplit, PatientSplit


class Side(StrEnum):
    """A side of a split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class Split:
    """File names of the slices on each side, in the dataset's order."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def files(self, side: Side) -> tuple[str, ...]:
        """The file names on one side."""
        names: tuple[str, ...] = getattr(self, side.value)
        return names

    def check(self, dataset: TumorDataset) -> None:
        """Make sure that there are slices to train on and that no patient is on two sides.

        Raises:
            TumorlensError: One is; the message names the patient. Or a file isn't in the dataset.
        """
        if not self.train:
            raise TumorlensError("split: expected slices to train, found none; see the recipe's split")
        where: dict[str, Side] = {}
        for side in Side:
            for file in self.files(side):
                patient = dataset.entries[dataset.position(file)].patient
                if where.setdefault(patient, side) is not side:
                    raise TumorlensError(
                        f"split: patient {patient} is on two sides, {where[patient]} and {side} ({file}); "
                        "expected every patient on one"
                    )

    def positions(self, dataset: TumorDataset, side: Side) -> list[int]:
        """The positions of one side's slices in a dataset."""
        return [dataset.position(file) for file in self.files(side)]

    def write(self, path: Path) -> None:
        """Save the file names as JSON."""
        atomic.write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Split":
        """Read what `write` saved.

        Raises:
            TumorlensError: There is no such file or it isn't a split.
        """
        try:
            sides = json.loads(path.read_text())
            return cls(*(tuple(map(str, sides[side])) for side in Side))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TumorlensError(f"{path}: expected the split of a run, but {error}") from error


def make_split(dataset: TumorDataset, recipe: FoldSplit | PatientSplit) -> Split:
    """Divide a dataset as a recipe says.

    Raises:
        TumorlensError: Nothing is left to train, a fold is missing, or a fold or patient is on two sides.
    """
    split = _by_folds(dataset, recipe) if isinstance(recipe, FoldSplit) else _by_patients(dataset, recipe)
    split.check(dataset)
    return split


def rotations(dataset: TumorDataset, recipe: FoldSplit | PatientSplit, folds: int) -> list[Split]:
    """The splits of a cross-validation: each fold tests once, the next one validates, the others train.

    Args:
        dataset: What is divided.
        recipe: The author's folds named in it, or ``folds`` groups of patients drawn by its seed.
        folds: How many groups of patients; the author's folds are as many as the recipe names.

    Raises:
        TumorlensError: Fewer than three folds, or as `make_split`.
    """
    if isinstance(recipe, FoldSplit):
        _check_folds(dataset, recipe)
        parts = [
            [entry.file for entry in dataset.entries if entry.fold == fold]
            for fold in sorted({*recipe.train, *recipe.validation, *recipe.test})
        ]
    else:
        parts = _groups_of_patients(dataset, folds, recipe.seed)
    if len(parts) < 3:
        raise TumorlensError(f"cross-validation: expected at least 3 folds, got {len(parts)}")
    splits = []
    for test in range(len(parts)):
        validation = (test + 1) % len(parts)
        train = {file for part, files in enumerate(parts) if part not in (test, validation) for file in files}
        splits.append(_in_order(dataset.entries, train, set(parts[validation]), set(parts[test])))
        splits[-1].check(dataset)
    return splits


def _in_order(entries: Sequence[SliceEntry], *sides: set[str]) -> Split:
    return Split(*(tuple(entry.file for entry in entries if entry.file in side) for side in sides))


def _check_folds(dataset: TumorDataset, recipe: FoldSplit) -> None:
    """Make sure that each fold is named once and that the data hold slices of it."""
    named = [*recipe.train, *recipe.validation, *recipe.test]
    twice = sorted({fold for fold in named if named.count(fold) > 1})
    if twice:
        raise TumorlensError(f"split: expected each fold on one side, got fold {twice[0]} on two")
    present = sorted({entry.fold for entry in dataset.entries if entry.fold is not None})
    missing = sorted(set(named) - set(present))
    if missing:
        known = f"the data holds folds {present}" if present else "is cvind.mat in the data folder?"
        raise TumorlensError(f"split: expected slices of fold {missing[0]}, found none; {known}")


def _by_folds(dataset: TumorDataset, recipe: FoldSplit) -> Split:
    _check_folds(dataset, recipe)
    return _in_order(
        dataset.entries,
        *(
            {e.file for e in dataset.entries if e.fold in folds}
            for folds in (recipe.train, recipe.validation, recipe.test)
        ),
    )


def _by_patients(dataset: TumorDataset, recipe: PatientSplit) -> Split:
    label_of = _label_of_patients(dataset)
    patients = sorted(label_of)
    held = recipe.validation + recipe.test
    try:
        train, rest = train_test_split(
            patients, test_size=held, random_state=recipe.seed, stratify=[label_of[p] for p in patients]
        )
        validation, test = train_test_split(
            rest,
            test_size=recipe.test / held,
            random_state=recipe.seed,
            stratify=[label_of[patient] for patient in rest],
        )
    except ValueError as error:
        raise TumorlensError(
            f"split: {len(patients)} patients are too few for these fractions of each tumor type"
        ) from error
    sides = [set(train), set(validation), set(test)]
    return _in_order(
        dataset.entries,
        *({entry.file for entry in dataset.entries if entry.patient in side} for side in sides),
    )


def _label_of_patients(dataset: TumorDataset) -> dict[str, int]:
    """The tumor type of each patient: the commonest of the patient's slices."""
    labels: dict[str, list[int]] = {}
    for entry in dataset.entries:
        labels.setdefault(entry.patient, []).append(entry.label)
    return {
        patient: max(set(found), key=lambda label: (found.count(label), -label))
        for patient, found in labels.items()
    }


def _groups_of_patients(dataset: TumorDataset, folds: int, seed: int) -> list[list[str]]:
    files = np.array([entry.file for entry in dataset.entries])
    labels = [int(entry.label) for entry in dataset.entries]
    patients = [entry.patient for entry in dataset.entries]
    try:
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(files, labels, patients)
        return [files[part].tolist() for _, part in parts]
    except ValueError as error:
        raise TumorlensError(
            f"cross-validation: can't make {folds} folds of these patients ({error})"
        ) from error
