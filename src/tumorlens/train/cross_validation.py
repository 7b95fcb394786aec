"""Cross-validation: a recipe trained once for each fold that tests."""

from pathlib import Path

from tumorlens.dataset import TumorDataset
from tumorlens.train.callbacks import Report
from tumorlens.train.fan_out import Job, Means, train_all
from tumorlens.train.recipe import Recipe
from tumorlens.train.run import Run
from tumorlens.train.split import rotations

HERE = Means()


def cross_validate(
    recipe: Recipe,
    dataset: TumorDataset,
    folder: Path,
    *,
    folds: int = 5,
    report: Report = print,
    means: Means = HERE,
) -> list[Run]:
    """Train a recipe with each fold as the test side once; the next fold validates, the others train.

    Folds already trained in ``folder`` are kept, an interrupted one goes on.

    Args:
        recipe: Its split says whether the folds are the author's or groups of patients drawn by its seed.
        dataset: What to divide.
        folder: Gets a run folder ``fold-1``, ``fold-2``, … for each.
        folds: How many groups of patients; the author's folds are as many as the recipe names.
        report: Told in a line what is going on.
        means: What the folds are trained with.

    Raises:
        TumorlensError: As `tumorlens.train.fan_out.train_all`, or fewer than three folds.
    """
    splits = rotations(dataset, recipe.split, folds)
    jobs = [
        Job(f"fold {number} of {len(splits)}", recipe, folder / f"fold-{number}", split)
        for number, split in enumerate(splits, start=1)
    ]
    return train_all(jobs, dataset, means, report)
