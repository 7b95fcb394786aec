"""A trained run's models on one side of its split: measured, written and drawn."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.analyze import Analyzer
from tumorlens.bundle.manifest import Manifest
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.case_figure import cases_figure
from tumorlens.evaluate.classification import ClassificationEvaluation
from tumorlens.evaluate.figures import (
    confusion_figure,
    history_figure,
    reliability_figure,
    roc_figure,
    save_figure,
)
from tumorlens.evaluate.measure import findings, measure
from tumorlens.evaluate.report import Evaluation, write_report
from tumorlens.evaluate.segmentation import SegmentationEvaluation
from tumorlens.judgement import Judgement
from tumorlens.train.inference import analysis_judgement, familiarity_of, runs_ensemble
from tumorlens.train.recipe import AnalysisRecipe
from tumorlens.train.run import Run
from tumorlens.train.split import Side

Progress = Callable[[Iterable[list[int]]], Iterable[list[int]]]


def evaluation_folders(run: Run, side: Side) -> dict[str, Path]:
    """Where the evaluations of a run lie, by task: one for each that its network does."""
    folder = run.folder / f"evaluation-{side}"
    if run.recipe.task == "segmentation":
        return {"segmentation": folder}
    if run.recipe.task == "classification":
        return {"classification": folder}
    return {task: folder / task for task in ("segmentation", "classification", "trust")}


def evaluate_run(
    run: Run, dataset: TumorDataset, side: Side = Side.TEST, progress: Progress = iter
) -> dict[str, Evaluation]:
    """Measure a run's best weights on one side of its split and write the reports and figures.

    Args:
        run: A trained run.
        dataset: The dataset that it was trained on, or one that holds the same files.
        side: Which slices.
        progress: Wraps the batches, to show how far it is.

    Returns:
        By task; a joint run has ``segmentation``, ``classification`` and ``trust``.

    Raises:
        TumorlensError: The run isn't trained, a slice of its split isn't in the dataset, or the side is
            empty.
        OSError: The results can't be written.
    """
    run.split.check(dataset)
    positions = run.split.positions(dataset, side)
    if not positions:
        raise TumorlensError(
            f"{run.folder}: expected slices to {side}, found none in the run's split; choose another side"
        )
    folders = evaluation_folders(run, side)
    known = familiarity_of(run, dataset) if "trust" in folders else None
    analyzer = Analyzer(runs_ensemble([run], known))
    measured = measure(analyzer, dataset, positions, progress)
    evaluations = {task: measured[task] for task in folders}
    for task, evaluation in evaluations.items():
        write_report(evaluation, folders[task], run_protocol(run, side, task))
        draw_evaluation(evaluation, analyzer, dataset, folders[task])
        if task != "trust" and run.split.validation:
            _draw_history(run, task, folders[task])
    return evaluations


def draw_evaluation(evaluation: Evaluation, analyzer: Analyzer, dataset: TumorDataset, folder: Path) -> None:
    """The paper's figures of one task, numbered as there, and those that it lacks."""
    if isinstance(evaluation, SegmentationEvaluation):
        figure = cases_figure(evaluation, lambda file: _case(analyzer, dataset, file))
        save_figure(figure, folder / "figure-1-cases.png")
    elif isinstance(evaluation, ClassificationEvaluation):
        save_figure(confusion_figure(evaluation.metrics.confusion), folder / "figure-2-confusion.png")
        save_figure(reliability_figure(evaluation), folder / "figure-5-reliability.png")
        save_figure(roc_figure(evaluation), folder / "figure-6-roc.png")


def threshold_words(judgement: Judgement) -> str:
    """How pixels are told to be tumor, for a protocol."""
    if judgement.lowest_threshold is None:
        return f"probability threshold {judgement.threshold}"
    return f"threshold of the highest expected Dice, at least {judgement.lowest_threshold}"


def flip_words(used: AnalysisRecipe | Manifest, judgement: Judgement) -> str:
    """What is done with mirror images, for a protocol."""
    if not used.flip:
        return "no averaging over flips"
    of_center = f", the center crop of {used.center_crop:.0%}" if used.center_crop < 1 else ""
    where = "" if judgement.second_look is None else " where unsure"
    return f"averaged over both mirror images{of_center}{where}"


def run_protocol(run: Run, side: Side, task: str) -> dict[str, object]:
    """How a run was trained and on what it is measured, for a report."""
    weights = run.record.weights
    analysis = run.recipe.analysis
    judgement = analysis_judgement(analysis)
    words = f"{threshold_words(judgement)}; {flip_words(analysis, judgement)}"
    masks = f"scored in the slices' own pixels; {words}"
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


def _draw_history(run: Run, task: str, folder: Path) -> None:
    history = run.history()
    history["epoch"] += 1
    score_name = "Dice" if task == "segmentation" else "accuracy"
    if run.recipe.task == "joint":
        score_name = "score"  # the mean of Dice and accuracy
    best = None if run.record.best_epoch is None else run.record.best_epoch + 1
    score = history_figure(history, "score", score_name=score_name, best_epoch=best)
    save_figure(score, folder / f"figure-3-{score_name.lower()}.png")
    save_figure(history_figure(history, "loss", best_epoch=best), folder / "figure-4-loss.png")


def _case(
    analyzer: Analyzer, dataset: TumorDataset, file: str
) -> tuple[NDArray[np.generic], NDArray[np.bool_], NDArray[np.bool_]]:
    position = dataset.position(file)
    [finding] = findings(analyzer, dataset, [position])
    assert finding.mask is not None  # noqa: S101 - only what was outlined is drawn here
    return dataset.image(position), dataset.mask(position), finding.mask[0]
