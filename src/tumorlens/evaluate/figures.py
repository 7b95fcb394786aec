"""The figures of an evaluation: confusion matrix, training history, reliability and ROC curves.

Every function returns a matplotlib ``Figure`` that belongs to no window and no global state; `save_figure`
writes it. Colors are those of Okabe and Ito (Color Universal Design, 2008), which people with any color
vision tell apart, and every color comes with a second cue: a marker, a line style or a printed number.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_roc

from tumorlens.atomic import replacing
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.calibration import CALIBRATION_BINS, confidence_bins
from tumorlens.evaluate.classification import ClassificationEvaluation
from tumorlens.tumor_type import TumorType

PAGE_WIDTH = 6.5  # inches between the margins of a letter or A4 page
DPI = 150
TITLE, TEXT, SMALL = 11, 9.5, 8.5  # points

BLUE, ORANGE, GREEN, SKY, VERMILION, GRAY = "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#666666"
CLASS_COLORS = {TumorType.MENINGIOMA: BLUE, TumorType.GLIOMA: VERMILION, TumorType.PITUITARY: GREEN}
_CLASS_LINES = {TumorType.MENINGIOMA: "-", TumorType.GLIOMA: "--", TumorType.PITUITARY: "-."}

History = pd.DataFrame | Sequence[Mapping[str, float]]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to ``path`` as a PNG, whole or not at all.

    Raises:
        OSError: The file could not be written.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, facecolor="white")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, apart from pyplot's global state."""
    margins = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=margins, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def confusion_figure(confusion: NDArray[np.integer], title: str = "Predicted and true tumor type") -> Figure:
    """The confusion matrix: slices in each cell, and their share of the row, which is a true type.

    Args:
        confusion: Slices by true (rows) and predicted type (columns), (3, 3), in class index order.
        title: What stands above.

    Raises:
        ValueError: ``confusion`` isn't (3, 3).
    """
    if confusion.shape != (len(TumorType),) * 2:
        raise ValueError(
            f"expected a confusion matrix of shape (3, 3), got {confusion.shape}; count all types"
        )
    totals = confusion.sum(axis=1, keepdims=True)
    share = 100 * confusion / np.maximum(totals, 1)
    notes = np.asarray(
        [
            [f"{n}\n{percent:.1f}%" for n, percent in zip(*rows, strict=True)]
            for rows in zip(confusion, share, strict=True)
        ]
    )
    figure = new_figure(5.2, 4.4)
    axes = figure.add_subplot()
    sns.heatmap(
        share, annot=notes, fmt="", cmap="Blues", vmin=0, vmax=100, square=True, linewidths=1.5, ax=axes,
        annot_kws={"size": TITLE}, cbar_kws={"label": "share of the true type's slices (%)", "shrink": 0.74},
    )  # fmt: skip
    names = [label.title for label in TumorType]
    axes.set_xticks(np.arange(3) + 0.5, names, rotation=0)
    rows = [f"{name}\n(n = {n})" for name, n in zip(names, totals[:, 0], strict=True)]
    axes.set_yticks(np.arange(3) + 0.5, rows, rotation=0)
    _label(axes, title, "predicted type", "true type")
    bar = figure.axes[1]
    bar.tick_params(labelsize=SMALL)
    bar.yaxis.label.set_fontsize(SMALL)
    return figure


def history_figure(
    history: History,
    quantity: Literal["score", "loss"],
    *,
    score_name: str = "Dice",
    best_epoch: int | None = None,
) -> Figure:
    """Score or loss against epoch, training and validation together, the best epoch marked.

    Args:
        history: A row an epoch with epoch, train_loss, validation_loss, train_score and validation_score;
            missing values are left out of the line.
        quantity: Which of the two to draw.
        score_name: What the score is called, such as ``Dice`` or ``accuracy``.
        best_epoch: The epoch whose weights were kept; by default the one with the best validation score.

    Raises:
        TumorlensError: A column is missing, or there is no epoch with a validation score.
    """
    table = _history_table(history)
    if best_epoch is None:
        best_epoch = int(table["epoch"].iloc[np.nanargmax(table["validation_score"].to_numpy())])
    name = f"{score_name[:1].upper()}{score_name[1:]}" if quantity == "score" else "Loss"
    figure = new_figure(PAGE_WIDTH, 3.8)
    axes = figure.add_subplot()
    few = len(table) <= 60
    for part, color, line, marker in (("train", BLUE, "--", "o"), ("validation", VERMILION, "-", "s")):
        drawn = table[["epoch", f"{part}_{quantity}"]].dropna()
        label = "training" if part == "train" else part
        axes.plot(
            *drawn.to_numpy().T, line, color=color, marker=marker if few else "", markersize=3.5, label=label
        )
    _mark_best(axes, table, f"validation_{quantity}", best_epoch)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.08)
    _label(axes, f"{name} by epoch", "epoch", name)
    _finish(axes)
    return figure


def reliability_figure(evaluation: ClassificationEvaluation) -> Figure:
    """How often the classifier is right against how sure it says it is, above how many slices say so.

    A calibrated classifier's points lie on the diagonal. Bins are those of the calibration error.
    """
    confidence = evaluation.probabilities.max(axis=1)
    correct = evaluation.slices["correct"].to_numpy(dtype=np.float64)
    slot = np.minimum(confidence_bins(evaluation.probabilities), CALIBRATION_BINS - 1)
    count = np.bincount(slot, minlength=CALIBRATION_BINS)
    filled = count > 0
    mean_confidence = np.bincount(slot, confidence, CALIBRATION_BINS)[filled] / count[filled]
    accuracy = np.bincount(slot, correct, CALIBRATION_BINS)[filled] / count[filled]

    figure = new_figure(5.0, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    left = max(0.0, np.floor(10 * confidence.min()) / 10)
    upper.plot([0, 1], [0, 1], "--", color=GRAY, label="perfectly calibrated")
    upper.plot(mean_confidence, accuracy, "-o", color=BLUE, markersize=5, label="this classifier")
    upper.set(xlim=(left, 1.01), ylim=(-0.02, 1.02))
    error = f"{evaluation.metrics.calibration_error:.3f}"
    _label(upper, "Reliability of the classifier's confidence", "", "accuracy in the bin")
    _finish(upper, f"calibration error {error}")
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    lower.bar(edges[:-1], count, width=np.diff(edges), align="edge", color=SKY, edgecolor="white")
    lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _label(lower, "", "confidence in the predicted type", "slices")
    _finish(lower, legend=False)
    figure.align_ylabels()
    return figure


def roc_figure(evaluation: ClassificationEvaluation) -> Figure:
    """The ROC curve of each tumor type against the other two, with the area under it and its interval."""
    figure = new_figure(5.2, 5.0)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], ":", color=GRAY, linewidth=1)
    for label in TumorType:
        positive = evaluation.labels == label.class_index
        if positive.all() or not positive.any():
            continue
        scores = np.clip(evaluation.probabilities[:, label.class_index], 0, 1)
        curve = binary_roc(torch.from_numpy(scores), torch.from_numpy(positive.astype(np.int64)))
        area = f"{label.title}: {evaluation.metrics.per_class[label].auroc:.3f}"
        line, color = _CLASS_LINES[label], CLASS_COLORS[label]
        axes.plot(curve[0].numpy(), curve[1].numpy(), line, color=color, label=area, linewidth=1.8)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    _label(axes, "ROC curve of each type against the others", "false positive rate", "true positive rate")
    _finish(axes, f"area under the curve ({100 * evaluation.level:g}% interval)")
    return figure


def _history_table(history: History) -> pd.DataFrame:
    table = pd.DataFrame(history)
    columns = ["epoch", "train_loss", "validation_loss", "train_score", "validation_score"]
    missing = [column for column in columns if column not in table]
    if missing:
        raise TumorlensError(
            f"expected a history with {', '.join(columns)}, got none of {', '.join(missing)}"
        )
    if table["validation_score"].isna().all():
        raise TumorlensError(
            "expected at least one epoch with a validation score, got none; train for an epoch"
        )
    return table[columns].astype(np.float64).sort_values("epoch", ignore_index=True)


def _mark_best(axes: Axes, table: pd.DataFrame, column: str, epoch: int) -> None:
    axes.axvline(epoch, color=GRAY, linestyle=":", linewidth=1)
    value = table.loc[table["epoch"] == epoch, column]
    if value.empty or value.isna().all():
        return
    label = f"best epoch: {epoch} ({float(value.iloc[0]):.3f})"
    axes.plot(
        [epoch], [value.iloc[0]], "*", color=ORANGE, markeredgecolor="black", markersize=13, label=label
    )


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=TITLE)
    axes.set_xlabel(x, fontsize=TEXT)
    axes.set_ylabel(y, fontsize=TEXT)
    axes.tick_params(labelsize=SMALL)


def _finish(axes: Axes, legend_title: str = "", legend: bool = True) -> None:
    axes.grid(visible=True, color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)
    sns.despine(ax=axes)
    if legend:
        axes.legend(title=legend_title or None, fontsize=SMALL, title_fontsize=SMALL, framealpha=0.9)
