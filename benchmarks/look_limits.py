"""What each more look at unsure slices gives, and at how many slices it is.

    python benchmarks/look_limits.py RUNS --data DIR [--members 2] [--temperature 0.8542]

RUNS is a cross-validation's folder. Every slice is looked at by as many of its runs as never saw it, taken in
every order, put together as in a bundle of so many (`tumorlens.ensemble`), with other limits in each row.
The runs look in PyTorch, in 32 bits. Outlines of the highest expected Dice are scored at the networks' own
size. Prints the table of docs/experiments.md.
"""

import argparse
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.ensemble import Batch, Ensemble, Model, Outputs
from tumorlens.evaluate.cross_validation import runs_new_to
from tumorlens.judgement import Judgement, LookAgain
from tumorlens.train.inference import RunModel, runs_ensemble
from tumorlens.train.run import Run
from tumorlens.train.split import Side

_BATCH = 16
_CROPS = (1.0, 0.9, 0.85, 0.8, 0.72)
_LIMITS = {
    (0.92, 0.9): (
        (1, 0.6, 0.7),
        (0.8, 0.6, 0.7),
        (0.8, 0.78, 0),
        (0.8, 0.82, 0),
        (0.8, 0.85, 0),
        (0.8, 0.9, 0),
    ),
    (0.91, 0.9): ((0.8, 0.78, 0), (0.8, 0.85, 0)),
    (0.92, 0.95): ((0.8, 0.85, 0),),
}
"""Second looks' limits (a promised Dice, a type's probability), and third looks' center crops and limits."""


@dataclasses.dataclass(frozen=True)
class Policy:
    """A row of the table.

    Attributes:
        name: What it is.
        members: How many networks.
        flip: Whether mirror images are looked at, too.
        center_crop: How much of their width and height.
        second: At which slices the other networks look; None for all.
        third: At which of these the mirror images are looked at; None for all.
    """

    name: str
    members: int
    flip: bool
    center_crop: float = 1
    second: LookAgain | None = None
    third: LookAgain | None = None


def policies(members: int) -> list[Policy]:
    """What is compared."""
    rows = []
    for count in range(1, members + 1):
        networks = f"{count} network{'s' * (count > 1)}"
        rows.append(Policy(networks, count, flip=False))
        rows += [Policy(f"{networks}, {_mirrored(crop)}", count, True, crop) for crop in _CROPS]
    for limits, thirds in _LIMITS.items():
        second, where = _below(*limits), _told(*limits)
        rows.append(Policy(f"one; the other networks where unsure {where}", members, False, 1, second))
        rows += [
            Policy(
                f"{where} … and {_mirrored(crop)} where all are unsure {_told(*third)}",
                members,
                True,
                crop,
                second,
                _below(*third),
            )
            for crop, *third in thirds
        ]
    return rows


def _mirrored(crop: float) -> str:
    return "mirror images" if crop == 1 else f"mirrored center crops of {crop:.0%}"


def _below(dice: float, probability: float) -> LookAgain:
    return LookAgain(below_dice=dice, below_probability=probability)


def _told(dice: float, probability: float) -> str:
    return f"({dice}, {probability})"


class Remembering:
    """A model that looks at each slice once, and remembers what it said; see `tumorlens.ensemble.Model`."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._told: dict[bytes, tuple[Batch, ...]] = {}
        self.looks = 0

    @property
    def size(self) -> int:
        """Width and height of the input in pixels."""
        return self._model.size

    def __call__(self, batch: Batch) -> Outputs:
        """What was said of each slice, now or before."""
        self.looks += len(batch)
        keys = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in batch]
        new = [index for index, key in enumerate(keys) if key not in self._told]
        if new:
            given = self._model(batch[new])
            told = (given.mask_logits, given.class_logits, given.class_maps)
            assert all(part is not None for part in told), "expected a joint network"
            for place, index in enumerate(new):
                self._told[keys[index]] = tuple(part[place].copy() for part in told if part is not None)
        masks, logits, maps = (
            np.stack(parts) for parts in zip(*map(self._told.__getitem__, keys), strict=True)
        )
        return Outputs(masks, logits, maps)


def scored(
    ensemble: Ensemble, images: NDArray[np.float32], masks: NDArray[np.bool_], labels: NDArray[np.intp]
) -> Iterator[tuple[float, bool]]:
    """Each slice's Dice, and whether it was named rightly."""
    [size] = ensemble.sizes
    for at in range(0, len(images), _BATCH):
        part = slice(at, at + _BATCH)
        opinion = ensemble({size: images[part, None]})
        assert opinion.tumor_probability is not None
        assert opinion.class_logits is not None
        outlined = (
            opinion.tumor_probability
            >= ensemble.judgement.thresholds(opinion.tumor_probability)[:, None, None]
        )
        both, sizes = (outlined & masks[part]).sum((1, 2)), (outlined.sum((1, 2)) + masks[part].sum((1, 2)))
        named = opinion.class_logits.argmax(1) == labels[part]
        yield from zip(
            np.where(sizes == 0, 1.0, 2 * both / np.maximum(sizes, 1)).tolist(), named.tolist(), strict=True
        )


def measured(
    rows: Sequence[Policy], runs: Sequence[Run], dataset: TumorDataset, members: int, temperature: float
) -> dict[str, tuple[float, float, float]]:
    """By row: looks a slice, Dice and accuracy."""
    prepared = prepare_dataset(dataset, runs[0].recipe.size)
    found: dict[str, list[tuple[float, float]]] = {row.name: [] for row in rows}
    looks = dict.fromkeys(found, 0)
    for run in runs:
        looking = runs_new_to(run, runs, members)
        models = [Remembering(RunModel(each)) for each in looking]
        positions = run.split.positions(dataset, Side.TEST)
        images, masks = np.asarray(prepared.images[positions]), np.asarray(prepared.masks[positions])
        labels = np.array([dataset.entries[position].label.class_index for position in positions])
        base = runs_ensemble([run], judgement=Judgement(temperature=temperature))
        for row in rows:
            for order in permutations(models, row.members):
                judgement = base.judgement.model_copy(
                    update={"second_look": row.second, "third_look": row.third}
                )
                ensemble = dataclasses.replace(
                    base, models=order, flip=row.flip, center_crop=row.center_crop, judgement=judgement
                )
                before = sum(model.looks for model in models)
                found[row.name] += scored(ensemble, images, masks, labels)
                looks[row.name] += sum(model.looks for model in models) - before
    return {
        name: (looks[name] / len(scores), *np.mean(scores, axis=0).tolist()) for name, scores in found.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, help="a cross-validation's folder")
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--temperature", type=float, default=0.8542, help="of the type's probabilities")
    arguments = parser.parse_args()
    runs = [Run(folder) for folder in sorted(arguments.runs.glob("fold-*"))]
    rows = policies(arguments.members)
    found = measured(rows, runs, open_dataset(arguments.data), arguments.members, arguments.temperature)
    print("| looks | looks a slice | Dice | accuracy |\n| --- | --- | --- | --- |")
    for row in rows:
        looks, dice, accuracy = found[row.name]
        print(f"| {row.name} | {looks:.2f} | {dice:.3f} | {accuracy:.3f} |")


if __name__ == "__main__":
    main()
