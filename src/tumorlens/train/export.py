"""From runs to a bundle: graphs proven against the networks that they come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.bundle import Bundle, Manifest
from tumorlens.bundle.manifest import Graph, Parity, Precision, Result, Training
from tumorlens.bundle.session import OnnxModel
from tumorlens.bundle.write import arrays_bytes, check_name, check_target, member, write_bundle
from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import PreparedSlices, prepare_dataset
from tumorlens.ensemble import Ensemble, Model
from tumorlens.errors import TumorlensError
from tumorlens.familiarity import Familiarity
from tumorlens.judgement import Judgement
from tumorlens.train.inference import RunModel, analysis_judgement
from tumorlens.train.onnx_graph import graph_outputs, in_8_bits, in_16_bits, to_onnx
from tumorlens.train.run import Run, weights_of
from tumorlens.train.split import Side
from tumorlens.version import __version__

PARITY_SLICES = 200
LARGEST_DIFFERENCE = 1e-4
LOWEST_DICE = 0.999
LARGEST_DICE_LOSS = 0.002
_CALIBRATION_SLICES = 128
_CARD = "model-card.md"
_FAMILIARITY = "familiarity.npz"
_BATCH = 16

DATASET = "Brain tumor dataset of Jun Cheng, figshare, doi 10.6084/m9.figshare.1512427"
CITATION = "Cheng et al., PLOS ONE 10(10) e0140381 (2015); Cheng et al., PLOS ONE 11(6) e0157112 (2016)"


@dataclass(frozen=True)
class Answers:
    """What models say of slices: pixel and class probabilities, masks; None for what they don't tell."""

    pixels: NDArray[np.float32] | None
    types: NDArray[np.float64] | None

    @property
    def masks(self) -> NDArray[np.bool_] | None:
        """(n, size, size)."""
        return None if self.pixels is None else self.pixels >= 0.5


def export_runs(
    runs: Sequence[Run],
    dataset: TumorDataset,
    out: Path,
    *,
    name: str,
    precision: Precision = Precision.FP32,
    judgement: Judgement | None = None,
    results: Sequence[Result] = (),
    card: str | None = None,
    report: Callable[[str], None] = print,
) -> Bundle:
    """Turn trained runs into a bundle that needs no PyTorch.

    Every graph is first compared in 32 bits with its network on real slices. A smaller precision is kept only
    if it loses less than 0.002 Dice and no accuracy on them.

    Args:
        runs: One that does both, one for each task, or several whose outputs are averaged.
        dataset: What they were trained on.
        out: The bundle's folder; new or empty.
        name: Of the bundle.
        precision: Of the graphs.
        judgement: Calibration and limits; none by default.
        results: What was measured, for the manifest.
        card: The model card in Markdown.
        report: Told in a line what is going on.

    Raises:
        TumorlensError: A run isn't trained, a graph strays from its network, or a smaller one loses too much.
        OSError: The bundle can't be written.
    """
    check_target(out)
    check_name(name)
    for run in runs:
        run.split.check(dataset)
    prepared = prepare_dataset(dataset, _one_size(runs))
    exported = _export_graphs(runs, precision, prepared, dataset, report)
    parity = _compare(exported, runs, dataset, prepared, report)
    known = _trained_positions(runs, dataset)
    familiar = arrays_bytes(Familiarity.fit(np.asarray(prepared.images[known])).arrays())
    files = {**exported.files, _FAMILIARITY: familiar}
    if card is not None:
        files[_CARD] = card.encode()
    analysis = runs[0].recipe.analysis
    manifest = Manifest(
        schema_version=1,
        name=name,
        tumorlens=__version__,
        created=datetime.now(UTC).replace(microsecond=0),
        size=exported.size,
        flip=analysis.flip,
        center_crop=analysis.center_crop,
        judgement=analysis_judgement(analysis, judgement),
        graphs=exported.graphs,
        familiarity=member(_FAMILIARITY, familiar),
        card=None if card is None else member(_CARD, files[_CARD]),
        parity=parity,
        training=_training(runs, dataset, known),
        results=tuple(results),
    )
    bundle = write_bundle(out, manifest, files)
    report(f"{out}: {sum(len(data) for data in files.values()) / 1e6:.1f} MB, {len(runs)} graph(s)")
    return bundle


@dataclass(frozen=True)
class _Exported:
    """The runs' graphs.

    Attributes:
        size: Width and height of their input.
        graphs: What the manifest says of them.
        files: Their bytes in the precision wanted, by file name.
        exact: The same graphs in 32 bits, loaded.
    """

    size: int
    graphs: tuple[Graph, ...]
    files: dict[str, bytes]
    exact: tuple[Model, ...]

    def small(self) -> list[Model]:
        """The graphs in the precision wanted, loaded."""
        return [OnnxModel(self.files[graph.file], graph, self.size) for graph in self.graphs]


def _export_graphs(
    runs: Sequence[Run],
    precision: Precision,
    prepared: PreparedSlices,
    dataset: TumorDataset,
    report: Callable[[str], None],
) -> _Exported:
    size = _one_size(runs)
    graphs: list[Graph] = []
    files: dict[str, bytes] = {}
    exact: list[Model] = []
    for number, run in enumerate(runs, start=1):
        report(f"{run.folder}: exporting, {precision}")
        in_full, stored = _graph_bytes(run, precision, prepared, dataset)
        file = f"model-{number}.onnx"
        graph = Graph(
            **member(file, stored).model_dump(),
            outputs=graph_outputs(run.recipe.task),
            precision=precision if stored != in_full else Precision.FP32,
            recipe=run.recipe.model_dump(mode="json"),
        )
        graphs.append(graph)
        files[file] = stored
        exact.append(OnnxModel(in_full, graph, size))
    return _Exported(size, tuple(graphs), files, tuple(exact))


def _compare(
    exported: _Exported,
    runs: Sequence[Run],
    dataset: TumorDataset,
    prepared: PreparedSlices,
    report: Callable[[str], None],
) -> Parity:
    """Prove the graphs in 32 bits against the networks, and what a smaller precision loses."""
    slices = _comparison_slices(runs, dataset)
    exact = _ask(exported.exact, prepared, slices)
    parity = _check_parity(exact, _ask([RunModel(run) for run in runs], prepared, slices))
    report(_in_words(parity))
    if any(graph.precision is not Precision.FP32 for graph in exported.graphs):
        _check_loss(_ask(exported.small(), prepared, slices), exact, dataset, prepared, slices, report)
    return parity


def _one_size(runs: Sequence[Run]) -> int:
    sizes = {run.recipe.size for run in runs}
    if len(sizes) != 1:
        raise TumorlensError(f"expected runs of one input size for a bundle, got {sorted(sizes)}")
    return sizes.pop()


def _comparison_slices(runs: Sequence[Run], dataset: TumorDataset) -> list[int]:
    """Up to 200 slices, evenly over the test side; over everything where the runs have no such side."""
    positions = runs[0].split.positions(dataset, Side.TEST) or list(range(len(dataset)))
    chosen = np.linspace(0, len(positions) - 1, min(PARITY_SLICES, len(positions))).round().astype(int)
    return [positions[index] for index in chosen]


def _trained_positions(runs: Sequence[Run], dataset: TumorDataset) -> list[int]:
    return sorted({position for run in runs for position in run.split.positions(dataset, Side.TRAIN)})


def _graph_bytes(
    run: Run, precision: Precision, prepared: PreparedSlices, dataset: TumorDataset
) -> tuple[bytes, bytes]:
    """The graph in 32 bits, and in the wanted precision."""
    model = to_onnx(run.load_network(), run.recipe.task, run.recipe.size)
    in_full = model.SerializeToString()
    if precision is Precision.FP16:
        return in_full, in_16_bits(model).SerializeToString()
    if precision is Precision.INT8:
        positions = run.split.positions(dataset, Side.TRAIN)
        chosen = np.linspace(0, len(positions) - 1, _CALIBRATION_SLICES).round().astype(int)
        images = (np.asarray(prepared.images[positions[index]]) for index in chosen)
        return in_full, in_8_bits(model, images).SerializeToString()
    return in_full, in_full


def _ask(models: Sequence[Model], prepared: PreparedSlices, slices: list[int]) -> Answers:
    ensemble = Ensemble(models)
    [size] = ensemble.sizes
    pixels, types = [], []
    for at in range(0, len(slices), _BATCH):
        batch = np.stack([prepared.images[position] for position in slices[at : at + _BATCH]])[:, None]
        opinion = ensemble({size: batch.astype(np.float32)})
        pixels.append(opinion.tumor_probability)
        types.append(opinion.class_logits)
    given_pixels = [part for part in pixels if part is not None]
    given_types = [part for part in types if part is not None]
    return Answers(
        np.concatenate(given_pixels) if given_pixels else None,
        Judgement().probabilities(np.concatenate(given_types)) if given_types else None,
    )


def _check_parity(graphs: Answers, networks: Answers) -> Parity:
    differences = []
    lowest, same, count = 1.0, 1.0, 0
    if graphs.pixels is not None and networks.pixels is not None:
        differences.append(float(np.abs(graphs.pixels - networks.pixels).max()))
        lowest, count = float(_dice(graphs.masks, networks.masks).min()), len(graphs.pixels)
    if graphs.types is not None and networks.types is not None:
        differences.append(float(np.abs(graphs.types - networks.types).max()))
        same = float((graphs.types.argmax(1) == networks.types.argmax(1)).mean())
        count = len(graphs.types)
    parity = Parity(slices=count, largest_difference=max(differences), same_types=same, lowest_dice=lowest)
    if parity.largest_difference >= LARGEST_DIFFERENCE or same < 1 or lowest <= LOWEST_DICE:
        raise TumorlensError(
            f"expected a graph that says what its network says (probabilities within {LARGEST_DIFFERENCE}, "
            f"the same types, masks' Dice above {LOWEST_DICE}), but {_in_words(parity)}"
        )
    return parity


def _check_loss(
    small: Answers,
    exact: Answers,
    dataset: TumorDataset,
    prepared: PreparedSlices,
    slices: list[int],
    report: Callable[[str], None],
) -> None:
    """Make sure that a smaller graph is as good, measured against the truth."""
    if small.masks is not None and exact.masks is not None:
        true = np.stack([np.asarray(prepared.masks[position]) for position in slices])
        lost = float(_dice(exact.masks, true).mean() - _dice(small.masks, true).mean())
        report(f"Dice lost by the smaller graph: {lost:.5f} on {len(slices)} slices")
        if lost >= LARGEST_DICE_LOSS:
            raise TumorlensError(
                f"expected the smaller graph to lose less than {LARGEST_DICE_LOSS} Dice, it lost {lost:.4f}; "
                "export in a higher precision"
            )
    if small.types is not None and exact.types is not None:
        labels = np.array([dataset.entries[position].label.class_index for position in slices])
        lost = float((exact.types.argmax(1) == labels).mean() - (small.types.argmax(1) == labels).mean())
        report(f"accuracy lost by the smaller graph: {lost:.5f} on {len(slices)} slices")
        if lost > 0:
            raise TumorlensError(
                f"expected the smaller graph to lose no accuracy, it lost {lost:.4f}; "
                "export in a higher precision"
            )


def _dice(first: NDArray[np.bool_] | None, second: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Of each pair of masks (n, rows, columns); 1 where both are empty."""
    assert first is not None  # noqa: S101
    assert second is not None  # noqa: S101
    both = (first & second).sum((1, 2))
    total = first.sum((1, 2)) + second.sum((1, 2))
    return np.asarray(np.where(total == 0, 1.0, 2 * both / np.maximum(total, 1)))


def _in_words(parity: Parity) -> str:
    return (
        f"graph against network on {parity.slices} slices: largest difference of a probability "
        f"{parity.largest_difference:.1e}, same types {parity.same_types:.2%}, lowest Dice of the masks "
        f"{parity.lowest_dice:.5f}"
    )


def _training(runs: Sequence[Run], dataset: TumorDataset, positions: list[int]) -> Training:
    entries = [dataset.entries[position] for position in positions]
    folds = sorted({entry.fold for entry in entries if entry.fold is not None})
    return Training(
        dataset=DATASET,
        licence="CC BY 4.0",
        citation=CITATION,
        slices=len(positions),
        patients=len({entry.patient for entry in entries}),
        folds=tuple(folds) or None,
        weights="; ".join(sorted({weights_of(run.record.weights) for run in runs})),
        commit=runs[0].record.commit,
    )
