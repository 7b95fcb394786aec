"""A recipe trained with every combination of some settings, compared by their validation scores."""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tumorlens import atomic
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.train.callbacks import Report
from tumorlens.train.fan_out import Job, Means, train_all
from tumorlens.train.recipe_file import load_recipe
from tumorlens.train.run import Run

_LONGEST_NAME = 200  # file systems take 255 bytes


def sweep(
    recipe: str,
    overrides: Sequence[str],
    varied: Sequence[str],
    dataset: TumorDataset,
    folder: Path,
    means: Means,
    report: Report = print,
) -> str | None:
    """Train all combinations on the recipe's split, those already trained excepted, and write one table.

    Writes ``results.md``, ``results.json`` and ``results.csv``, best validation score first.

    Args:
        recipe: A shipped recipe's name or a YAML file.
        overrides: As of `load_recipe`, for all runs.
        varied: ``key=value,value,…`` each.
        dataset: What to train on.
        folder: Gets a run folder for each combination, named after its values.
        means: What the runs are trained with.
        report: Told in a line what is going on.

    Returns:
        The Markdown; None on a rank that doesn't lead.

    Raises:
        TumorlensError: A setting isn't ``key=value,value,…``, a recipe is wrong, or as `train_all`.
    """
    combinations = combinations_of(varied)
    jobs = []
    for number, values in enumerate(combinations, start=1):
        sets = [f"{key}={json.dumps(value)}" for key, value in values.items()]
        title = f"run {number} of {len(combinations)}, {_name(values)}"
        jobs.append(Job(title, load_recipe(recipe, [*overrides, *sets]), folder / _name(values)))
    if len({job.folder for job in jobs}) < len(jobs):
        raise TumorlensError("--vary: expected values that differ, got the same one twice")
    runs = train_all(jobs, dataset, means, report)
    return _write_table(folder, combinations, runs) if means.ranks.leads else None


def combinations_of(varied: Sequence[str]) -> list[dict[str, Any]]:
    """Each combination of the values, the last key's changing fastest.

    Raises:
        TumorlensError: A setting isn't ``key=value,value,…``, or a key is there twice.
    """
    settings: dict[str, list[Any]] = {}
    for text in varied:
        key, _, values = text.partition("=")
        try:
            settings_of_key = yaml.safe_load(f"[{values}]")
        except yaml.YAMLError:
            settings_of_key = []
        if not key or not settings_of_key or key in settings:
            raise TumorlensError(
                f"--vary {text}: expected key=value,value,… with each key once, such as "
                "training.batch_size=8,16"
            )
        settings[key] = settings_of_key
    return [dict(zip(settings, values, strict=True)) for values in itertools.product(*settings.values())]


def _name(values: Mapping[str, Any]) -> str:
    parts = (
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()
    )
    return re.sub(r"[^\w.=+,-]+", "_", ",".join(parts))[:_LONGEST_NAME].strip("._") or "run"


def _write_table(folder: Path, combinations: Sequence[Mapping[str, Any]], runs: Sequence[Run]) -> str:
    rows = [
        {
            "run": run.folder.name,
            **values,
            "validation_score": run.record.best_score,
            "best_epoch": (run.record.best_epoch or 0) + 1,
            "epochs": len(run.history()),
            "seconds": float(run.history()["seconds"].sum()),
        }
        for values, run in zip(combinations, runs, strict=True)
    ]
    rows.sort(key=lambda row: -math.inf if row["validation_score"] is None else row["validation_score"])
    rows.reverse()
    atomic.write_text(folder / "results.json", json.dumps({"runs": rows}, indent=1) + "\n")
    with atomic.replacing(folder / "results.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    text = _markdown(rows)
    atomic.write_text(folder / "results.md", text + "\n")
    return text


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table without the folders' names, which the values tell."""
    names = [name for name in rows[0] if name != "run"]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(name, row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def _cell(name: str, value: object) -> str:
    if value is None:
        return "n/a"
    if name == "validation_score":
        return f"{value:.4f}"
    return f"{value:.0f}" if name == "seconds" else str(value).replace("|", "\\|")
