"""How many pictures that are no T1 contrast-enhanced brain slice are flagged, and how many real slices.

    python benchmarks/strange_pictures.py --data DIR [--cache DIR]

The detector (`tumorlens.familiarity`) is fitted on three of the author's folds and sees the fourth, four
times. The threshold is the 97th percentile of the real slices' scores so pooled, so that 3% of them are
flagged by construction; what the table tells about them is how evenly. Pictures made from a slice are scored
by the detector that never saw that slice's fold; of all others the mean over the four detectors counts.

No choice in the detector's design was made by the kinds marked *new*; `odd_pictures.py` makes them and says
what to install.

Another detector goes through the same pictures by `measure`, which takes any function from a list of
pictures to one flag each.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odd_pictures import ALTERED, HARMLESS, Picture, changed, other_pictures

from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.familiarity import Familiarity
from tumorlens.preprocess import prepare_image
from tumorlens.tumor_type import TumorType

SIZE = 192
Flag = Callable[[Sequence[Picture]], NDArray[np.bool_]]


def measure(flag: Flag, pictures: dict[str, list[Picture]]) -> dict[str, NDArray[np.bool_]]:
    """Which of each kind's pictures ``flag`` flags."""
    return {kind: flag(several) for kind, several in pictures.items()}


def flag_above(familiarity: Familiarity, threshold: float) -> Flag:
    """Flags what scores above a threshold."""

    def flag(pictures: Sequence[Picture]) -> NDArray[np.bool_]:
        prepared = np.stack([prepare_image(picture, SIZE) for picture in pictures])
        return np.asarray(familiarity(prepared) > threshold)

    return flag


def real_rows(dataset: TumorDataset, flagged: NDArray[np.bool_]) -> Iterator[str]:
    """The table's rows about unaltered real slices."""
    folded = np.array([entry.fold is not None for entry in dataset.entries])
    groups = {
        "all": folded,
        **{f"fold {n}": np.array([entry.fold == n for entry in dataset.entries]) for n in range(1, 6)},
        **{
            kind.name.lower(): [entry.label == kind for entry in dataset.entries] & folded
            for kind in TumorType
        },
    }
    for name, members in groups.items():
        if members.any():
            yield f"| real slices, {name} | {members.sum()} | {flagged[members].mean():.1%} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--every", type=int, default=12, help="alter each n-th slice")
    parser.add_argument("--quantile", type=float, default=0.97, help="of real slices' scores")
    arguments = parser.parse_args()

    dataset = open_dataset(arguments.data, arguments.cache)
    images = prepare_dataset(dataset, SIZE).images
    folds = np.array([entry.fold or 0 for entry in dataset.entries])
    numbers = [number for number in np.unique(folds) if number]
    detectors, scores = {}, np.zeros(len(dataset))
    for number in numbers:
        detectors[number] = Familiarity.fit(np.asarray(images[(folds > 0) & (folds != number)]))
        began = time.process_time()
        scores[folds == number] = detectors[number](np.asarray(images[folds == number]))
        milliseconds = (time.process_time() - began) / np.sum(folds == number) * 1e3
        print(f"fold {number}: fitted on the others; {milliseconds:.2f} ms of CPU a slice", file=sys.stderr)
    threshold = float(np.quantile(scores[folds > 0], arguments.quantile))

    others = other_pictures()
    found: dict[str, list[NDArray[np.bool_]]] = {}
    for number in numbers:
        slices = [dataset.image(i) for i in np.flatnonzero(folds == number)[:: arguments.every]]
        made = {f"harmless: {kind}": several for kind, several in changed(slices, HARMLESS).items()}
        flag = flag_above(detectors[number], threshold)
        for kind, flags in measure(flag, changed(slices, ALTERED) | others | made).items():
            found.setdefault(kind, []).append(flags)
    print_table(found, set(others), real_rows(dataset, scores > threshold))
    stored = sum(array.nbytes for array in detectors[numbers[0]].arrays().values())
    print(
        f"\nThreshold {threshold:.3f}; {milliseconds:.2f} ms of CPU a slice; {stored / 1e6:.2f} MB of arrays"
    )


def print_table(found: dict[str, list[NDArray[np.bool_]]], same: set[str], real: Iterator[str]) -> None:
    """Print the table; kinds in ``same`` are the same pictures for every detector."""
    print("| kind | pictures | flagged |\n| --- | --- | --- |")
    strange = {kind: flags for kind, flags in found.items() if not kind.startswith("harmless: ")}
    for kind, flags in strange.items():
        print(row(kind, flags, kind in same))
    shares = [np.concatenate(flags).mean() for flags in strange.values()]
    counts = [pictures(flags, kind in same) for kind, flags in strange.items()]
    print(f"| **all strange pictures** | {sum(counts)} | {np.average(shares, weights=counts):.1%} |")
    print(f"| **mean of the kinds** | | {np.mean(shares):.1%} |")
    for line in real:
        print(line)
    for kind, flags in found.items():
        if kind not in strange:
            print(row(kind.replace("harmless: ", "real slices, "), flags, False))


def pictures(flags: list[NDArray[np.bool_]], same: bool) -> int:
    """How many pictures there are of a kind."""
    return len(flags[0]) if same else sum(len(several) for several in flags)


def row(kind: str, flags: list[NDArray[np.bool_]], same: bool) -> str:
    """One row of the table."""
    return f"| {kind} | {pictures(flags, same)} | {np.concatenate(flags).mean():.1%} |"


if __name__ == "__main__":
    main()
