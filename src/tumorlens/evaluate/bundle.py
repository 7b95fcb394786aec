"""A bundle, measured as it is used: through the Analyzer, calibrated, with its warnings."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tumorlens.analyze import Analyzer
from tumorlens.bundle import Bundle
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.measure import measure
from tumorlens.evaluate.report import write_report
from tumorlens.evaluate.run import draw_evaluation, flip_words, threshold_words

Progress = Callable[[Iterable[list[int]]], Iterable[list[int]]]


def evaluate_bundle(
    bundle: Bundle,
    dataset: TumorDataset,
    out: Path,
    folds: Sequence[int] | None = None,
    progress: Progress = iter,
) -> list[Path]:
    """Measure a bundle on slices and write the reports and figures.

    Args:
        bundle: Whose models, calibration and limits.
        dataset: Holds the slices.
        out: Gets a folder for each task.
        folds: Which of the author's folds; None for every slice of a fold that the bundle wasn't trained on,
            or simply every slice where either has no folds.
        progress: Wraps the batches, to show how far it is.

    Returns:
        The folders written.

    Raises:
        TumorlensError: There are no such slices, or the bundle is damaged.
        OSError: The results can't be written.
    """
    trained = set(bundle.manifest.training.folds or ())
    wanted = set(folds) if folds else None
    positions = [
        position
        for position, entry in enumerate(dataset.entries)
        if (entry.fold in wanted if wanted else entry.fold is None or entry.fold not in trained)
    ]
    if not positions:
        which = f"folds {sorted(wanted)}" if wanted else "folds not trained on"
        others = "choose others" if wanted else "choose with --fold"
        raise TumorlensError(f"expected slices of {which} in the data, found none; {others}")
    measured = [dataset.entries[position].fold for position in positions]
    absent = sorted((wanted or set()) - set(measured))
    if absent:
        raise TumorlensError(f"expected slices of folds {absent} in the data, found none; leave them out")
    analyzer = Analyzer(bundle)
    known = bool(trained) and None not in measured
    manifest = bundle.manifest
    protocol = {
        "bundle": f"{manifest.name} of {manifest.created:%Y-%m-%d}",
        "precision": ", ".join(graph.precision for graph in manifest.graphs),
        "mirror images": flip_words(manifest, manifest.judgement),
        "measured on": f"{len(positions)} slices"
        + (f" of folds {', '.join(map(str, sorted(wanted)))}" if wanted else ""),
        "of which trained on": sum(fold in trained for fold in measured) if known else "not known",
        "folds trained on": sorted(trained) or None,
        "masks": f"scored in the slices' own pixels; {threshold_words(manifest.judgement)}",
        "tumorlens": manifest.tumorlens,
    }
    folders = []
    for task, evaluation in measure(analyzer, dataset, positions, progress).items():
        folders.append(out / task)
        write_report(evaluation, out / task, protocol)
        draw_evaluation(evaluation, analyzer, dataset, out / task)
    return folders
