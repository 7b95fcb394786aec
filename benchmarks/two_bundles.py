"""How far two bundles agree, slice by slice, and with the experts.

    python benchmarks/two_bundles.py BUNDLE OTHER --data DIR [--every 1]

For bundles that should say the same, such as two forms of the same networks; whether the slices were trained
on doesn't matter then. Outlines in the slices' own pixels; one of nothing agrees fully with another one.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.analyze import Analyzer
from tumorlens.batch.unit import blocks
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.evaluate.measure import findings
from tumorlens.evaluate.segmentation import score_slice
from tumorlens.finding import Finding

_TOGETHER = 16  # slices


def compared(one: Finding, other: Finding, tumor: NDArray[np.bool_]) -> list[float]:
    """Dice of each with the expert's outline and with each other, same type or not, largest difference."""
    assert one.mask is not None
    assert other.mask is not None
    assert one.probabilities is not None
    assert other.probabilities is not None
    first, second = one.mask[0], other.mask[0]
    dice = [score_slice(*pair, 1).dice for pair in ((first, tumor), (second, tumor), (first, second))]
    apart = max(abs(one.probabilities[each] - other.probabilities[each]) for each in one.probabilities)
    return [*dice, float(one.tumor_type is other.tumor_type), apart]


def rows(analyzers: list[Analyzer], dataset: TumorDataset, positions: range) -> NDArray[np.float64]:
    """`compared` of each slice."""
    told = []
    for part in blocks(positions, _TOGETHER):
        both = zip(*(findings(analyzer, dataset, part) for analyzer in analyzers), strict=True)
        told += [compared(*pair, dataset.mask(position)) for pair, position in zip(both, part, strict=True)]
    return np.array(told)


def told_in_words(told: NDArray[np.float64]) -> str:
    """What `rows` come to."""
    first, second, agreement, same, apart = told.T
    return (
        f"{len(told)} slices: Dice with the experts {first.mean():.4f} and {second.mean():.4f}, with each "
        f"other {agreement.mean():.4f} (at least {agreement.min():.3f}); the same types {same.mean():.2%}, "
        f"probabilities within {apart.max():.4f}"
    )


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundles", type=Path, nargs=2, metavar="BUNDLE")
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--every", type=int, default=1, help="look at every Nth slice")
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    analyzers = [Analyzer(bundle) for bundle in arguments.bundles]
    print(told_in_words(rows(analyzers, dataset, range(0, len(dataset), arguments.every))))


if __name__ == "__main__":
    main()
