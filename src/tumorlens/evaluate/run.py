"""`evaluate_run`: a trained run's models on one side of its split, measured, written and drawn."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.analyze import Model, mask_from_logits, probabilities_from_logits
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.case_figure import cases_figure
from tumorlens.evaluate.classification import ClassificationEvaluation, evaluate_classification
from tumorlens.evaluate.figures import (
    confusion_figure,
    history_figure,
    reliability_figure,
    roc_figure,
    save_figure,
)
from tumorlens.evaluate.report import Evaluation, write_report
from tumorlens.evaluate.segmentation import SegmentationCase, SegmentationEvaluation, evaluate_segmentation
from tumorlens.preprocess import prepare_image
from tumorlens.train.inference import RunModel
from tumorlens.train.run import Run
from tumorlens.train.split import Side

Progress = Callable[[Iterable[list[int]]], Iterable[list[int]]]
_BATCH = 16


def evaluation_folders(run: Run, side: Side) -> dict[str, Path]:
    """Where the evaluations of a run lie, by task: one for each that its network does."""
    folder = run.folder / f"evaluation-{side}"
    if run.recipe.task != "joint":
        return {run.recipe.task: folder}
    return {task: folder / task for task in ("segmentation", "classification")}


def evaluate_run(
    run: Run, dataset: TumorDataset, side: Side = Side.TEST, progress: Progress = iter
) -> dict[str, Evaluation]:
    """Measure a run's best weights on one side of its split and write the reports and figures.

    Masks are scored in the slices' own pixels, after the way back from the model's input size.

    Args:
        run: A trained run.
        dataset: The dataset that it was trained on, or one that holds the same files.
        side: Which slices.
        progress: Wraps the batches, to show how far it is.

    Returns:
        By task, ``segmentation`` or ``classification``; both for a joint run.

    Raises:
        TumorlensError: The run isn't trained, or a slice of its split isn't in the dataset.
        OSError: The results can't be written.
    """
    run.split.check(dataset)
    model = RunModel(run)
    positions = run.split.positions(dataset, side)
    parts = [positions[start : start + _BATCH] for start in range(0, len(positions), _BATCH)]
    evaluations: dict[str, Evaluation] = {}
    for task, folder in evaluation_folders(run, side).items():
        evaluation: Evaluation
        if task == "segmentation":
            evaluation = evaluate_segmentation(_cases(model, dataset, progress(parts)))
        else:
            evaluation = _classified(model, dataset, positions, progress(parts))
        write_report(evaluation, folder, _protocol(run, side, task))
        _draw(run, model, dataset, evaluation, folder)
        evaluations[task] = evaluation
    return evaluations


def _inputs(dataset: TumorDataset, positions: list[int], size: int) -> NDArray[np.float32]:
    return np.stack([prepare_image(dataset.image(position), size) for position in positions])[:, None]


def _cases(model: Model, dataset: TumorDataset, batches: Iterable[list[int]]) -> Iterator[SegmentationCase]:
    for positions in batches:
        logits = model(_inputs(dataset, positions, model.size)).mask_logits
        if logits is None:
            raise TumorlensError("expected a model that outlines, got one that doesn't")
        for position, slice_logits in zip(positions, logits, strict=True):
            entry = dataset.entries[position]
            yield SegmentationCase(
                file=entry.file,
                patient=entry.patient,
                label=entry.label,
                spacing_mm=entry.spacing,
                true=dataset.mask(position),
                predicted=mask_from_logits(slice_logits[None], entry.shape)[0],
                fold=entry.fold,
            )


def _classified(
    model: Model, dataset: TumorDataset, positions: list[int], batches: Iterable[list[int]]
) -> ClassificationEvaluation:
    logits = [model(_inputs(dataset, batch, model.size)).class_logits for batch in batches]
    probabilities = probabilities_from_logits(np.concatenate([part for part in logits if part is not None]))
    return evaluate_classification([dataset.entries[position] for position in positions], probabilities)


def _protocol(run: Run, side: Side, task: str) -> dict[str, object]:
    weights = run.record.weights
    masks = "scored in the slices' own pixels; probability threshold 0.5; no averaging over flips"
    return {
        "recipe": run.recipe.name,
        "encoder": run.recipe.model.encoder,
        "pretrained weights": weights["source"] if weights else "none (random start)",
        "split": run.recipe.split.model_dump(),
        "slices trained on": len(run.split.train),
        "measured on": f"{side} ({len(run.split.files(side))} slices)",
        "weights of epoch": None if run.record.best_epoch is None else run.record.best_epoch + 1,
        "epochs run": len(run.history()),
        "input size": run.recipe.size,
        **({"masks": masks} if task == "segmentation" else {}),
        "tumorlens": run.record.tumorlens,
        "commit": run.record.commit,
    }


def _draw(run: Run, model: Model, dataset: TumorDataset, evaluation: Evaluation, folder: Path) -> None:
    """The paper's figures, numbered as there, and those that it lacks."""
    history = run.history()
    history["epoch"] += 1
    if isinstance(evaluation, SegmentationEvaluation):
        figure = cases_figure(evaluation, lambda file: _case(model, dataset, file))
        save_figure(figure, folder / "figure-1-cases.png")
        score_name = "Dice"
    else:
        save_figure(confusion_figure(evaluation.metrics.confusion), folder / "figure-2-confusion.png")
        save_figure(reliability_figure(evaluation), folder / "figure-5-reliability.png")
        save_figure(roc_figure(evaluation), folder / "figure-6-roc.png")
        score_name = "accuracy"
    if run.recipe.task == "joint":
        score_name = "score"  # the mean of Dice and accuracy
    best = None if run.record.best_epoch is None else run.record.best_epoch + 1
    score = history_figure(history, "score", score_name=score_name, best_epoch=best)
    save_figure(score, folder / f"figure-3-{score_name.lower()}.png")
    save_figure(history_figure(history, "loss", best_epoch=best), folder / "figure-4-loss.png")


def _case(
    model: Model, dataset: TumorDataset, file: str
) -> tuple[NDArray[np.generic], NDArray[np.bool_], NDArray[np.bool_]]:
    position = dataset.position(file)
    [case] = _cases(model, dataset, [[position]])
    return dataset.image(position), case.true, case.predicted
