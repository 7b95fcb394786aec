"""Figure 1: the best, the median and the worst outlines beside the expert's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from tumorlens.evaluate.figures import ORANGE, PAGE_WIDTH, SKY, SMALL, TEXT, new_figure
from tumorlens.evaluate.segmentation import SegmentationEvaluation
from tumorlens.preprocess import to_unit_range
from tumorlens.tumor_type import TumorType

Case = tuple[NDArray[np.generic], NDArray[np.bool_], NDArray[np.bool_]]
_COLUMNS = ("original", "expert's outline", "predicted outline")
_SHOWN_QUANTILE = 0.995  # brighter pixels are white, or else a few vessels leave the rest dark
_NAME_LENGTH = 17


@dataclass(frozen=True)
class SelectedCase:
    """A slice chosen for the figure: its group (``best``, ``median``, ``worst``), file, type and Dice."""

    group: str
    file: str
    label: TumorType
    dice: float


def select_cases(evaluation: SegmentationEvaluation, each: int = 2) -> list[SelectedCase]:
    """Choose slices by Dice and nothing else: the highest, those nearest the median, and the lowest.

    Within a group each slice is another patient's as long as there are patients left, since neighbouring
    slices look alike; ties go by file name.

    Args:
        evaluation: The scores of every slice.
        each: How many slices of each group.

    Raises:
        ValueError: ``each`` is less than 1.
    """
    if each < 1:
        raise ValueError(f"expected at least one case of each group, got {each}; use 2 or 3")
    table = evaluation.slices.sort_values(["dice", "file"], ascending=[False, True], ignore_index=True)
    from_median = (table["dice"] - table["dice"].median()).abs().sort_values(kind="stable").index
    orders = {"best": table.index, "worst": table.index[::-1], "median": from_median}
    taken: set[int] = set()
    chosen: dict[str, list[int]] = {}
    for group, order in orders.items():
        rows = [int(row) for row in order if int(row) not in taken]
        chosen[group] = _one_a_patient(table, rows, each)
        taken.update(chosen[group])
    return [_selected(table, group, row) for group in ("best", "median", "worst") for row in chosen[group]]


def cases_figure(evaluation: SegmentationEvaluation, load: Callable[[str], Case], *, each: int = 2) -> Figure:
    """Best, median and worst slices by Dice: original, the expert's outline, the predicted one.

    Args:
        evaluation: The scores of every slice.
        load: Brings a slice by its file name: pixels (rows, columns) of any range, the expert's and the
            predicted mask, bool, of the same shape. Called once for each slice that is shown.
        each: How many slices of each group.

    Returns:
        A row a slice, three columns. The predicted column repeats the expert's outline, dashed.

    Raises:
        ValueError: ``each`` is less than 1.
    """
    cases = select_cases(evaluation, each)
    figure = new_figure(PAGE_WIDTH, 1.72 * len(cases) + 0.7)
    grid = figure.subplots(len(cases), 3, squeeze=False)
    for column, title in enumerate(_COLUMNS):
        grid[0, column].set_title(title, fontsize=TEXT)
    for row, case in zip(grid, cases, strict=True):
        _draw_case(row, case, *load(case.file))
    lines = [
        Line2D([], [], color=SKY, linewidth=2, linestyle="--", label="expert's outline"),
        Line2D([], [], color=ORANGE, linewidth=2, label="predicted outline"),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    return figure


def _one_a_patient(table: pd.DataFrame, rows: list[int], each: int) -> list[int]:
    """The first ``each`` of ``rows`` with a new patient each, filled up with the first others."""
    fresh: list[int] = []
    used: set[str] = set()
    for row in rows:
        patient = str(table["patient"].loc[row])
        if len(fresh) < each and patient not in used:
            used.add(patient)
            fresh.append(row)
    others = [row for row in rows if row not in fresh]
    return sorted([*fresh, *others[: each - len(fresh)]], key=rows.index)


def _selected(table: pd.DataFrame, group: str, row: int) -> SelectedCase:
    label = TumorType[str(table["label"].loc[row]).upper()]
    return SelectedCase(group, str(table["file"].loc[row]), label, float(table["dice"].loc[row]))


def _draw_case(
    row: NDArray[np.object_],
    case: SelectedCase,
    image: NDArray[np.generic],
    true: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
) -> None:
    values = to_unit_range(image)
    brightest = max(float(np.quantile(values, _SHOWN_QUANTILE)), 1e-6)
    for axes in row:
        axes.imshow(values, cmap="gray", vmin=0, vmax=brightest, interpolation="bilinear")
        axes.set(xticks=[], yticks=[])
    note = f"{case.group}\n{_short(case.file)}\n{case.label.title}\nDice {case.dice:.3f}"
    row[0].set_ylabel(note, rotation=0, ha="right", va="center", fontsize=SMALL, labelpad=6)
    _outline(row[1], true, SKY, tint=0.3)
    _outline(row[2], predicted, ORANGE, tint=0.3)
    _outline(row[2], true, SKY, tint=0)
    if not predicted.any():
        row[2].text(
            0.5,
            0.04,
            "nothing outlined",
            transform=row[2].transAxes,
            ha="center",
            color="white",
            fontsize=SMALL,
        )


def _short(file: str) -> str:
    """A file's name without its folders, its middle left out where it is long."""
    name = PurePosixPath(file).name
    if len(name) <= _NAME_LENGTH:
        return name
    half = (_NAME_LENGTH - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _outline(axes: Axes, mask: NDArray[np.bool_], color: str, tint: float) -> None:
    """Draw the mask's edge, halfway between its pixels and the others; tinted inside, or else dashed."""
    if not mask.any():
        return
    rows, columns = mask.shape
    x, y = np.arange(-1, columns + 1), np.arange(-1, rows + 1)
    padded = np.pad(mask, 1).astype(np.float32)  # closes the outline of a mask that touches the border
    if tint:
        axes.contourf(x, y, padded, levels=[0.5, 1.5], colors=[color], alpha=tint)
    style = "solid" if tint else "dashed"
    axes.contour(x, y, padded, levels=[0.5], colors=[color], linewidths=1.2, linestyles=[style])
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
