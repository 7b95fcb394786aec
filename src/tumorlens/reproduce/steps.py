"""The steps of a reproduction, each skipped where its result is there already."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tumorlens import atomic
from tumorlens.dataset import TumorDataset
from tumorlens.dataset.statistics import sample_picture, statistics
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.run import evaluate_run, evaluation_folders
from tumorlens.reproduce.page import write_page
from tumorlens.train.callbacks import Report
from tumorlens.train.recipe import Recipe
from tumorlens.train.recipe_file import load_recipe
from tumorlens.train.split import Side
from tumorlens.train.trainer import train

Progress = Callable[[Iterable[list[int]]], Iterable[list[int]]]
_PAIRS = {
    "lite": ("lite-segmentation", "lite-classification"),
    "paper": ("paper-segmentation", "paper-classification"),
    "smoke": ("smoke", "smoke-classification"),
}


def recipe_pair(name: str, overrides: Sequence[str] = ()) -> tuple[Recipe, Recipe]:
    """The segmentation and classification recipes of a reproduction.

    Args:
        name: ``lite``, ``paper`` or ``smoke``.
        overrides: ``key=value`` each, for both recipes; ``segmentation.key=value`` or
            ``classification.key=value`` for one.

    Raises:
        TumorlensError: There is no such pair, or an override doesn't fit.
    """
    if name not in _PAIRS:
        raise TumorlensError(f"--recipes: expected {', '.join(_PAIRS)}, got {name}")
    segmentation, classification = (
        load_recipe(recipe, _meant_for(task, overrides))
        for recipe, task in zip(_PAIRS[name], ("segmentation", "classification"), strict=True)
    )
    return segmentation, classification


def reproduce_all(
    recipes: tuple[Recipe, Recipe],
    dataset: TumorDataset,
    out: Path,
    *,
    report: Report = print,
    progress: Progress = iter,
) -> Path:
    """Table 1, both models trained and measured, and one page with all of it.

    Args:
        recipes: To outline and to name.
        dataset: What to train and measure on.
        out: Gets ``samples.png``, ``table-1.md``, the runs ``segmentation`` and ``classification``, and
            ``index.html``.
        report: Told in a line what is going on.
        progress: Wraps the batches of an evaluation, to show how far it is.

    Returns:
        The page.

    Raises:
        TumorlensError: As `tumorlens.train.trainer.train`.
        OSError: The disk is full or can't be written.
    """
    table = statistics(dataset)
    atomic.write_text(out / "table-1.md", table.to_markdown() + "\n")
    sample_picture(dataset, out / "samples.png")
    report(f"{out / 'table-1.md'}: {len(dataset)} slices")
    runs = []
    for recipe in recipes:
        run = train(recipe, dataset, out / recipe.task, resume=True, report=report)
        if (evaluation_folders(run, Side.TEST)[recipe.task] / "results.json").is_file():
            report(f"{run.folder}: already evaluated")
        else:
            evaluate_run(run, dataset, Side.TEST, progress)
            report(f"{run.folder}: evaluated on {len(run.split.test)} slices")
        runs.append(run)
    return write_page(out, table, *runs)


def _meant_for(task: str, overrides: Sequence[str]) -> list[str]:
    other = {"segmentation": "classification", "classification": "segmentation"}[task]
    return [
        override.removeprefix(f"{task}.") for override in overrides if not override.startswith(f"{other}.")
    ]
