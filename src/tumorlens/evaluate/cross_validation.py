"""The runs of a cross-validation, measured one by one and together."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tumorlens import atomic
from tumorlens.dataset import TumorDataset
from tumorlens.evaluate.run import evaluate_run, evaluation_folder
from tumorlens.train.run import Run
from tumorlens.train.split import Side

Progress = Callable[[Iterable[list[int]]], Iterable[list[int]]]
_HEADLINES = {
    "segmentation": ("dice", "iou", "hd95_mm"),
    "classification": ("accuracy", "balanced_accuracy", "calibration_error"),
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
    names = _HEADLINES[runs[0].recipe.task]
    rows: list[dict[str, Any]] = []
    tables = []
    for number, run in enumerate(runs, start=1):
        evaluation = evaluate_run(run, dataset, Side.TEST, progress)
        results = json.loads((evaluation_folder(run, Side.TEST) / "results.json").read_text())
        rows.append({"fold": number, **{name: results["scores"][name]["value"] for name in names}})
        tables.append(evaluation.slices)
    values = pd.DataFrame(rows).set_index("fold")
    summary = {name: {"mean": float(values[name].mean()), "sd": float(values[name].std())} for name in names}
    atomic.write_text(
        folder / "results.json", json.dumps({"folds": rows, "over folds": summary}, indent=1) + "\n"
    )
    with atomic.replacing(folder / "slices.csv") as temporary:
        pd.concat(tables).to_csv(temporary, index=False, float_format="%.6g")
    text = _markdown(values, names)
    atomic.write_text(folder / "results.md", text + "\n")
    return text


def _markdown(values: pd.DataFrame, names: tuple[str, ...]) -> str:
    lines = ["| fold | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for fold, row in values.iterrows():
        lines.append(f"| {fold} | " + " | ".join(f"{row[name]:.4f}" for name in names) + " |")
    spread = [f"{np.mean(values[name]):.4f} ± {np.std(values[name], ddof=1):.4f}" for name in names]
    lines.append("| mean ± SD | " + " | ".join(spread) + " |")
    return "\n".join(lines)
