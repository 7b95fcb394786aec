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
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.finding import Finding
from tumorlens.scan import read_scan

_TOGETHER = 16  # slices


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Of two masks; 1 for two empty ones."""
    both = int(one.sum() + other.sum())
    return 2 * int((one & other).sum()) / both if both else 1.0


def compared(one: Finding, other: Finding, tumor: NDArray[np.bool_]) -> list[float]:
    """Dice of each with the expert's outline and with each other, same type or not, largest difference."""
    assert one.mask is not None
    assert other.mask is not None
    assert one.probabilities is not None
    assert other.probabilities is not None
    apart = max(abs(one.probabilities[each] - other.probabilities[each]) for each in one.probabilities)
    masks = one.mask[0], other.mask[0]
    same = one.tumor_type is other.tumor_type
    return [*(dice(mask, tumor) for mask in masks), dice(*masks), float(same), apart]


def rows(analyzers: list[Analyzer], dataset: TumorDataset, positions: range) -> NDArray[np.float64]:
    """`compared` of each slice."""
    told = []
    for at in range(0, len(positions), _TOGETHER):
        part = positions[at : at + _TOGETHER]
        scans = [read_scan(dataset.root / dataset.entries[position].file) for position in part]
        both = zip(*(analyzer.analyze_batch(scans) for analyzer in analyzers), strict=True)
        told += [
            compared(*findings, dataset.mask(position)) for findings, position in zip(both, part, strict=True)
        ]
    return np.array(told)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundles", type=Path, nargs=2, metavar="BUNDLE")
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--every", type=int, default=1, help="look at every Nth slice")
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    analyzers = [Analyzer(bundle) for bundle in arguments.bundles]
    told = rows(analyzers, dataset, range(0, len(dataset), arguments.every))
    first, second, agreement, same, apart = told.T
    print(
        f"{len(told)} slices: Dice with the experts {first.mean():.4f} and {second.mean():.4f}, with each "
        f"other {agreement.mean():.4f} (at least {agreement.min():.3f}); the same types {same.mean():.2%}, "
        f"probabilities within {apart.max():.4f}"
    )


if __name__ == "__main__":
    main()
