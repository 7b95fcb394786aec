"""The runs of a cross-validation, measured one by one and together."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from tumorlens import atomic
from tumorlens.analyze import Analyzer
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.measure import measure
from tumorlens.evaluate.report import Evaluation, write_report
from tumorlens.evaluate.run import draw_evaluation, evaluate_run, evaluation_folders, run_protocol
from tumorlens.train.inference import familiarity_of, runs_ensemble
from tumorlens.train.run import Run
from tumorlens.train.split import Side

Progress = Callable[[Iterable[list[int]]], Iterable[list[int]]]
_HEADLINES = {
    "segmentation": ("dice", "iou", "hd95_mm"),
    "classification": ("accuracy", "balanced_accuracy", "calibration_error"),
    "trust": ("pointing_game", "energy_inside"),
}


def evaluate_folds(runs: list[Run], dataset: TumorDataset, folder: Path, progress: Progress = iter) -> str:
    """Measure each run on its test fold and gather the results.

    Writes ``results.json``, ``results.md`` and ``slices.csv`` (every slice once, by a model new to it).

    Returns:
        The Markdown: a row a fold, then mean and standard deviation over the folds.

    Raises:
        TumorlensError: As `tumorlens.evaluate.run.evaluate_run`.
        OSError: The results can't be written.
    """
    folders = [evaluation_folders(run, Side.TEST) for run in runs]
    evaluations = [evaluate_run(run, dataset, Side.TEST, progress) for run in runs]
    texts = []
    for task in folders[0]:
        place = folder / task if len(folders[0]) > 1 else folder
        results = [json.loads((fold[task] / "results.json").read_text()) for fold in folders]
        texts.append(_gather(place, _HEADLINES[task], results, [fold[task].slices for fold in evaluations]))
    return "\n\n".join(texts)


def evaluate_members(
    runs: list[Run], dataset: TumorDataset, folder: Path, members: int, progress: Progress = iter
) -> str:
    """Measure several runs of a cross-validation together on each slice that is new to all of them.

    With two folds to train on, one to validate and one to test, a fold is new to the run that tests on it
    and, where nothing was chosen by validation, to the one that validates on it, too. What they say is put
    together as in a bundle of so many runs.

    Writes a folder for each fold, and the same files as `evaluate_folds`.

    Args:
        runs: Of the cross-validation.
        dataset: What was divided.
        folder: Where the results go.
        members: How many runs look at each slice.
        progress: Wraps the batches, to show how far it is.

    Returns:
        The Markdown: a row a fold, then mean and standard deviation over the folds.

    Raises:
        TumorlensError: A fold isn't new to so many runs.
        OSError: The results can't be written.
    """
    measured: list[dict[str, Evaluation]] = []
    for number, run in enumerate(runs, start=1):
        looking = runs_new_to(run, runs, members)
        known = familiarity_of(run, dataset)
        analyzer = Analyzer(runs_ensemble(looking, known))
        found = measure(analyzer, dataset, run.split.positions(dataset, Side.TEST), progress)
        for task, evaluation in found.items():
            protocol = run_protocol(run, Side.TEST, task) | {
                "runs together": ", ".join(each.folder.name for each in looking)
            }
            write_report(evaluation, folder / f"fold-{number}" / task, protocol)
            draw_evaluation(evaluation, analyzer, dataset, folder / f"fold-{number}" / task)
        measured.append(found)
    texts = []
    for task in measured[0]:
        places = [folder / f"fold-{number}" / task for number in range(1, len(runs) + 1)]
        results = [json.loads((place / "results.json").read_text()) for place in places]
        tables = [found[task].slices for found in measured]
        texts.append(_gather(folder / task, _HEADLINES[task], results, tables, members))
    return "\n\n".join(texts)


def runs_new_to(run: Run, runs: Iterable[Run], members: int) -> list[Run]:
    """A run of a cross-validation and others to which its test fold is new as well, ``members`` in all.

    Raises:
        TumorlensError: There are fewer.
    """
    new = [run, *(other for other in runs if other is not run and is_new_to(run.split.test, other))]
    if len(new) < members:
        raise TumorlensError(
            f"{run.folder}: expected its test fold to be new to {members} runs, got {len(new)}; "
            "nothing may be chosen by validation there: training.validate_from is to be the last epoch"
        )
    return new[:members]


def is_new_to(files: Iterable[str], run: Run) -> bool:
    """Whether a run learned nothing of slices: neither its weights nor which of its epochs is the best."""
    learned = set(run.split.train)
    training = run.recipe.training
    if training.first_validated_epoch < training.epochs - 1:
        learned |= set(run.split.validation)
    return learned.isdisjoint(files)


def _gather(
    folder: Path,
    names: tuple[str, ...],
    results: list[dict[str, Any]],
    tables: list[pd.DataFrame],
    members: int = 1,
) -> str:
    rows = [
        {"fold": number, **{name: result["scores"][name]["value"] for name in names}}
        for number, result in enumerate(results, start=1)
    ]
    values = pd.DataFrame(rows).set_index("fold").astype(float)
    summary = {
        name: {"mean": _defined(values[name].mean()), "sd": _defined(values[name].std())} for name in names
    }
    gathered = {"runs a slice": members, "folds": rows, "over folds": summary}
    text = json.dumps(gathered, indent=1, allow_nan=False)
    atomic.write_text(folder / "results.json", text + "\n")
    with atomic.replacing(folder / "slices.csv") as temporary:
        pd.concat(tables).to_csv(temporary, index=False, float_format="%.6g")
    text = _markdown(values, names)
    atomic.write_text(folder / "results.md", text + "\n")
    return text


def _defined(value: float) -> float | None:
    """None, JSON's null, for what no fold defines."""
    return float(value) if math.isfinite(value) else None


def _markdown(values: pd.DataFrame, names: tuple[str, ...]) -> str:
    shown = values.map("{:.4f}".format).replace("nan", "n/a")
    lines = ["| fold | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    lines += [f"| {fold} | " + " | ".join(row) + " |" for fold, row in shown.iterrows()]
    spread = [f"{values[name].mean():.4f} ± {values[name].std():.4f}" for name in names]
    lines.append("| mean ± SD | " + " | ".join(spread).replace("nan ± nan", "n/a") + " |")
    return "\n".join(lines)
