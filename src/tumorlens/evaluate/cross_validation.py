"""The runs of a cross-validation, measured one by one and together."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from tumorlens import atomic
from tumorlens.dataset import TumorDataset
from tumorlens.evaluate.run import evaluate_run, evaluation_folders
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


def _gather(
    folder: Path, names: tuple[str, ...], results: list[dict[str, Any]], tables: list[pd.DataFrame]
) -> str:
    rows = [
        {"fold": number, **{name: result["scores"][name]["value"] for name in names}}
        for number, result in enumerate(results, start=1)
    ]
    values = pd.DataFrame(rows).set_index("fold").astype(float)
    summary = {
        name: {"mean": _defined(values[name].mean()), "sd": _defined(values[name].std())} for name in names
    }
    text = json.dumps({"folds": rows, "over folds": summary}, indent=1, allow_nan=False)
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
