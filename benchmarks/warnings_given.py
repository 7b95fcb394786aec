"""How many pictures without a tumor to be outlined get a warning, and how many real slices.

    python benchmarks/warnings_given.py --data DIR [--bundle DIR | --runs CV --members N --judgement FILE]

Every picture goes the whole way, from pixels to a finding; any warning counts. With `--runs`, pictures made
from real slices, and those slices, are shown only to runs of a cross-validation that are new to them, judged
by the limits of `tumorlens calibrate`; the other pictures to all in turn. With a bundle, what is made from
slices that it was trained on says little: leave it out by `--others-only`.

*Slices without their tumor* show the mirror image of the healthy half over the sick one, where the tumor
leaves one half free; axial and coronal slices only (`views.csv`). They look familiar; what is asked is that
no tumor is outlined.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from odd_pictures import ALTERED, Picture, changed, other_pictures
from tumor_free import without_tumor

from tumorlens import Scan
from tumorlens.analyze import Analyzer
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.evaluate.calibrate import read_judgement
from tumorlens.evaluate.cross_validation import runs_new_to
from tumorlens.finding import WarningKind
from tumorlens.judgement import Judgement
from tumorlens.train.inference import familiarity_of, runs_ensemble
from tumorlens.train.run import Run

VIEWS = Path(__file__).with_name("views.csv")
Kinds = list[frozenset[WarningKind]]


def warned(analyzer: Analyzer, pictures: Sequence[Picture]) -> Kinds:
    """The kinds of warnings that each picture gets."""
    scans = [Scan(np.asarray(picture, np.float32)[None], Path("picture")) for picture in pictures]
    return [
        frozenset(warning.kind for warning in finding.warnings)
        for at in range(0, len(scans), 64)
        for finding in analyzer.analyze_batch(scans[at : at + 64])
    ]


def made_from(dataset: TumorDataset, positions: Sequence[int]) -> dict[str, list[Picture]]:
    """Real slices, the same without their tumor, and altered beyond recognition."""
    with VIEWS.open() as file:
        sagittal = {f"{row['slice']}.mat" for row in csv.DictReader(file) if row["view"] == "sagittal"}
    free = [
        without_tumor(dataset.image(position), dataset.mask(position))
        for position in positions
        if dataset.entries[position].file not in sagittal
    ]
    return {
        "real slices": [dataset.image(position) for position in positions],
        "slices without their tumor": [picture for picture in free if picture is not None],
        **changed([dataset.image(position) for position in positions], ALTERED),
    }


def by_fold(
    runs: Path, members: int, judgement: Judgement, dataset: TumorDataset
) -> Iterator[tuple[Analyzer, list[int]]]:
    """For each fold, the runs that are new to it and the positions of its slices."""
    every = [Run(folder) for folder in sorted(runs.glob("fold-*"))]
    for run in every:
        looking = runs_new_to(run, every, members)
        ensemble = runs_ensemble(looking, familiarity_of(run, dataset), judgement)
        yield Analyzer(ensemble), [dataset.position(file) for file in run.split.test]


def print_table(found: dict[str, Kinds]) -> None:
    """A row a kind of picture: how many, how many with any warning, and with each."""
    print("| | pictures | any warning | " + " | ".join(WarningKind) + " |")
    print("| --- |" + " --- |" * (2 + len(WarningKind)))
    for name, kinds in found.items():
        shares = [np.mean([kind in several for several in kinds]) for kind in WarningKind]
        any_ = np.mean([bool(several) for several in kinds])
        print(
            f"| {name} | {len(kinds)} | {any_:.1%} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"
        )
    strange = [bool(several) for name, kinds in found.items() if name != "real slices" for several in kinds]
    print(f"| **all but real slices** | {len(strange)} | {np.mean(strange):.1%} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, help="the one that comes along, by default")
    parser.add_argument("--runs", type=Path, help="a cross-validation's folder")
    parser.add_argument("--members", type=int, default=1, help="runs that look at each picture")
    parser.add_argument("--judgement", type=Path, help="of 'tumorlens calibrate'")
    parser.add_argument("--every", type=int, default=12, help="take each n-th slice only")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--others-only", action="store_true", help="nothing made from real slices")
    which.add_argument("--slices-only", action="store_true", help="only what is made from real slices")
    arguments = parser.parse_args()

    dataset = open_dataset(arguments.data)
    if arguments.runs:
        judgement = read_judgement(arguments.judgement) if arguments.judgement else Judgement()
        looks = by_fold(arguments.runs, arguments.members, judgement, dataset)
    else:
        looks = iter([(Analyzer(arguments.bundle), list(range(len(dataset))))])
    others = {} if arguments.slices_only else other_pictures()
    found: dict[str, Kinds] = {}
    for analyzer, positions in looks:
        made = {} if arguments.others_only else made_from(dataset, positions[:: arguments.every])
        for name, pictures in (made | others).items():
            found.setdefault(name, []).extend(warned(analyzer, pictures))
    print_table(found)


if __name__ == "__main__":
    main()
