"""Whether a copy of the dataset is whole and sound, and what it lacks."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.dataset.cache import Progress
from tumorlens.dataset.files import FOLDS_FILE, fold_of, folds_file, read_folds, slice_files, slice_number
from tumorlens.dataset.record import read_record
from tumorlens.errors import TumorlensError
from tumorlens.tumor_type import TumorType

PUBLISHED_COUNTS = {TumorType.MENINGIOMA: 708, TumorType.GLIOMA: 1426, TumorType.PITUITARY: 930}
"""Slices of each class in the published dataset (Cheng et al. 2015)."""

PUBLISHED_SLICES = 3064
PUBLISHED_PATIENTS = 233
_FOLDS = range(1, 6)


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found; every text is one line.

    Attributes:
        folder: The dataset's folder.
        files: How many slice files there are.
        counts: Sound slices of each class.
        patients: Distinct PIDs among the sound slices.
        missing: Published numbers, 1 to 3064, that no file has.
        unexpected: Files whose name is no published number, or one that another file has too.
        problems: For every file that isn't a complete record, its name and why.
        folds_problem: What is wrong with the author's folds, or None.
        split_patients: Each patient with slices in more than one fold, with those folds.
    """

    folder: Path
    files: int
    counts: dict[TumorType, int]
    patients: int
    missing: tuple[int, ...]
    unexpected: tuple[str, ...]
    problems: tuple[str, ...]
    folds_problem: str | None
    split_patients: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether this is the whole published dataset, every file sound."""
        complete = self.counts == PUBLISHED_COUNTS and self.patients == PUBLISHED_PATIENTS
        flaws = self.missing or self.unexpected or self.problems or self.folds_problem or self.split_patients
        return complete and not flaws

    def lines(self) -> list[str]:
        """The report for a person, the verdict last."""
        told = [f"{self.folder}: {self.files} slice files, {sum(self.counts.values())} of them sound"]
        for label, published in PUBLISHED_COUNTS.items():
            told.append(f"{label.title}: {_against(self.counts[label], published)} slices")
        told.append(f"patients: {_against(self.patients, PUBLISHED_PATIENTS)}")
        if self.missing:
            told.append(f"missing: {len(self.missing)} slices, numbers {compact_ranges(self.missing)}")
        if self.unexpected:
            told.append(f"not in the published dataset, or there twice: {', '.join(self.unexpected)}")
        told.append(f"folds: {self.folds_problem or 'every slice has one'}")
        told += [f"in more than one fold: patient {patient}" for patient in self.split_patients]
        told += [f"unusable: {problem}" for problem in self.problems]
        told.append("complete and sound" if self.ok else "not the whole published dataset; see above")
        return told


@dataclass
class _Tally:
    counts: Counter[TumorType] = field(default_factory=Counter)
    folds: dict[str, set[int]] = field(default_factory=dict)
    without_fold: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, path: Path, partition: NDArray[np.int64] | None) -> None:
        try:
            record = read_record(path)
        except TumorlensError as error:
            self.problems.append(str(error))
            return
        self.counts[record.label] += 1
        fold = fold_of(path, partition)
        self.without_fold += fold is None
        self.folds.setdefault(record.patient, set()).update([] if fold is None else [fold])


def verify(folder: Path, progress: Progress = iter) -> VerifyReport:
    """Read every file of a dataset and compare it with what was published.

    Args:
        folder: The folder with the ``.mat`` files, at any depth.
        progress: Wraps the files while they are read, to show how far it is.

    Returns:
        What was found; an incomplete copy is reported as such, not raised.

    Raises:
        TumorlensError: There is no such folder, or it holds no slice at all.
    """
    files = slice_files(folder)
    partition, folds_problem = _partition(folder)
    tally = _Tally()
    for path in progress(files):
        tally.add(path, partition)
    if folds_problem is None and tally.without_fold:
        folds_problem = f"{FOLDS_FILE}: {tally.without_fold} of the slices here have none"
    present = Counter(slice_number(path) for path in files)
    return VerifyReport(
        folder=folder,
        files=len(files),
        counts={label: tally.counts[label] for label in TumorType},
        patients=len(tally.folds),
        missing=tuple(number for number in range(1, PUBLISHED_SLICES + 1) if number not in present),
        unexpected=tuple(_unexpected(folder, files, present)),
        problems=tuple(tally.problems),
        folds_problem=folds_problem,
        split_patients=tuple(_split(tally.folds)),
    )


def compact_ranges(numbers: Iterable[int]) -> str:
    """Numbers in ascending order as a person writes them, such as ``5, 17-20``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _partition(folder: Path) -> tuple[NDArray[np.int64] | None, str | None]:
    path = folds_file(folder)
    if path is None:
        return None, f"{FOLDS_FILE}: expected the author's folds, found none"
    try:
        folds = read_folds(path)
    except TumorlensError as error:
        return None, str(error)
    if folds.shape != (PUBLISHED_SLICES,):
        return folds, f"{FOLDS_FILE}: expected {PUBLISHED_SLICES} folds, got {folds.size}"
    strange = sorted({int(fold) for fold in np.unique(folds)} - {0, *_FOLDS})
    if strange:
        return folds, f"{FOLDS_FILE}: expected folds 1 to 5, got {', '.join(map(str, strange))}"
    return folds, None


def _unexpected(folder: Path, files: list[Path], present: Counter[int | None]) -> Iterable[str]:
    for path in files:
        number = slice_number(path)
        if number is None or not 1 <= number <= PUBLISHED_SLICES or present[number] > 1:
            yield path.relative_to(folder).as_posix()


def _split(folds: dict[str, set[int]]) -> Iterable[str]:
    for patient, found in sorted(folds.items()):
        if len(found) > 1:
            yield f"{patient} (folds {', '.join(map(str, sorted(found)))})"


def _against(count: int, published: int) -> str:
    return f"{count}, as published" if count == published else f"{count} of the published {published}"
