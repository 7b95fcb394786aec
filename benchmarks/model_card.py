"""What a model card tells: how good the judgements are by tumor type, tumor size, view and fold.

    python benchmarks/model_card.py FOLDER [--views CSV] [--out FILE.md]
    python benchmarks/model_card.py FOLDER --worst FILE.png --data DIR [--cache DIR]
        [--runs CV --members N | --bundle BUNDLE]

FOLDER is what `tumorlens cross-validate` with a recipe that outlines and names wrote, or what
`tumorlens evaluate BUNDLE --out FOLDER` did. The tables are Markdown. Every number has a 95% interval over
patients, as the evaluations themselves have.

The worst slices are those of the lowest Dice; where it is the same, the larger tumor comes first. Their
outlines are predicted anew: by the run of FOLDER whose test side holds the slice, with ``--members`` together
with others that are new to it; or by ``--bundle``
(``default`` is the one that comes with tumorlens). The script stops where the Dice isn't the measured one.
"""

import argparse
import itertools
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from tumorlens import atomic
from tumorlens.analyze import Analyzer
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.dataset.files import slice_number
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.bootstrap import LEVEL, RESAMPLES, PatientBootstrap
from tumorlens.evaluate.cross_validation import runs_new_to
from tumorlens.evaluate.figures import ORANGE, SKY, SMALL, TEXT, new_figure, save_figure
from tumorlens.evaluate.measure import findings
from tumorlens.evaluate.segmentation import score_slice
from tumorlens.preprocess import to_unit_range
from tumorlens.train.inference import runs_ensemble
from tumorlens.train.run import Run
from tumorlens.tumor_type import TumorType

SCORES = {"Dice": "dice", "accuracy": "correct", "pointing game": "pointing", "flagged": "flagged"}
MEANING = (
    "Dice: of the outlines, the mean over slices. Accuracy: share of slices whose tumor type is named right. "
    "Pointing game: share of slices on which the heatmap's strongest pixel lies inside the true outline. "
    "Flagged: share of slices with at least one warning; every slice shows a tumor."
)
VIEWS = ("axial", "coronal", "sagittal")
UNKNOWN_VIEW = "not recorded"
SIZE_BOUNDS_MM2 = (200, 500, 1000, 2000)  # circles of 16, 25, 36 and 50 mm across
WORST = 10
PER_ROW = 5
DICE_TOLERANCE = 0.02  # the same weights on another machine move a pixel or two of an outline
SHOWN_QUANTILE = 0.995  # brighter pixels are white, or else a few vessels leave the rest dark

Mask = NDArray[np.bool_]
Groups = dict[str, pd.DataFrame]


# --- Reading ----------------------------------------------------------------------------------------------


def read_results(folder: Path, views: Path) -> pd.DataFrame:
    """What was measured of each slice.

    Args:
        folder: With ``segmentation``, ``classification`` and ``trust``, a ``slices.csv`` in each.
        views: A CSV with the columns ``slice``, the published number, and ``view``.

    Returns:
        A row a slice: file, patient, label, fold, true_area_mm2, view, size and the columns of `SCORES`.

    Raises:
        TumorlensError: A table is missing, lacks a column, or the three aren't of the same slices.
    """
    table = read_columns(
        folder / "segmentation" / "slices.csv",
        ["file", "patient", "label", "fold", "true_area_mm2", "dice"],
    )
    for task, columns in (("classification", ["correct"]), ("trust", ["pointing", "flagged"])):
        other = read_columns(folder / task / "slices.csv", ["file", *columns])
        if sorted(other["file"]) != sorted(table["file"]):
            raise TumorlensError(f"{folder}: expected the same slices in {task} as in segmentation")
        table = table.merge(other, on="file", validate="one_to_one")
    view_of = read_columns(views, ["slice", "view"]).set_index("slice")["view"].to_dict()
    numbers = [slice_number(Path(file)) for file in table["file"]]
    return table.assign(
        view=[view_of.get(number, UNKNOWN_VIEW) for number in numbers],
        size=[size_words(area) for area in table["true_area_mm2"]],
    )


def read_columns(path: Path, columns: list[str]) -> pd.DataFrame:
    """Some columns of a CSV, names and patients as text.

    Raises:
        TumorlensError: The file can't be read or lacks a column.
    """
    try:
        table = pd.read_csv(path, usecols=columns, dtype={"file": str, "patient": str})
    except (OSError, ValueError) as error:
        raise TumorlensError(f"{path}: expected the columns {', '.join(columns)}, but {error}") from error
    return table


def size_words(area_mm2: float) -> str:
    """The size group of a tumor by the area of its true outline on the slice."""
    place = int(np.searchsorted(SIZE_BOUNDS_MM2, area_mm2, side="right"))
    return size_names()[place]


def size_names() -> list[str]:
    """The size groups from small to large."""
    bounds = SIZE_BOUNDS_MM2
    between = [f"{low}–{high} mm²" for low, high in itertools.pairwise(bounds)]
    return [f"< {bounds[0]} mm²", *between, f"≥ {bounds[-1]} mm²"]


# --- Tables -----------------------------------------------------------------------------------------------


def card(table: pd.DataFrame) -> str:
    """All tables as Markdown."""
    patients = table["patient"].nunique()
    parts = [
        f"{len(table)} slices of {patients} patients. {MEANING}",
        f"Intervals: {LEVEL:.0%}, percentile bootstrap over patients ({RESAMPLES} resamples, seed 0).",
    ]
    for title, groups in sections(table).items():
        present = {name: rows for name, rows in groups.items() if len(rows)}
        if present:
            parts += [f"## {title}", markdown(present)]
    return "\n\n".join(parts) + "\n"


def sections(table: pd.DataFrame) -> dict[str, Groups]:
    """The slices by what they are told apart by; a group may be empty."""
    types = {tumor.title: table[table["label"] == tumor.name.lower()] for tumor in TumorType}
    views = (*VIEWS, UNKNOWN_VIEW)
    folds = sorted(int(fold) for fold in table["fold"].dropna().unique())
    return {
        "All slices": {"all": table},
        "By tumor type": types,
        "By tumor size, the true area on the slice": groups_of(table, "size", size_names()),
        "By view": groups_of(table, "view", views),
        "By the author's fold": {f"fold {fold}": table[table["fold"] == fold] for fold in folds},
        "By tumor type and view": {
            f"{title}, {view}": rows
            for title, part in types.items()
            for view, rows in groups_of(part, "view", views).items()
        },
    }


def groups_of(table: pd.DataFrame, column: str, values: list[str] | tuple[str, ...]) -> Groups:
    """The slices by the values of a column."""
    return {value: table[table[column] == value] for value in values}


def markdown(groups: Groups) -> str:
    """A row a group: how many slices and patients, and each score with its interval."""
    lines = [
        "|  | slices | patients | " + " | ".join(SCORES) + " |",
        "| --- |" + " ---: |" * 2 + " --- |" * len(SCORES),
    ]
    for name, rows in groups.items():
        bootstrap = PatientBootstrap(rows["patient"].tolist())
        scores = [
            format(bootstrap.mean(rows[column].to_numpy(np.float64)), ".3f") for column in SCORES.values()
        ]
        lines.append(f"| {name} | {len(rows)} | {bootstrap.patients} | " + " | ".join(scores) + " |")
    return "\n".join(lines)


# --- The worst slices -------------------------------------------------------------------------------------


def worst_slices(table: pd.DataFrame, n: int = WORST) -> pd.DataFrame:
    """The slices of the lowest Dice, the larger tumor first where it is the same."""
    order = table.sort_values(["dice", "true_area_mm2", "file"], ascending=[True, False, True])
    return order.head(n)


def analyzers(
    folder: Path, members: int, bundle: str | None, files: list[str]
) -> list[tuple[Analyzer, list[str]]]:
    """Who analysed which of these slices when they were measured.

    Raises:
        TumorlensError: There is no bundle, and a slice is on no run's test side or a run is damaged.
    """
    if bundle is not None:
        return [(Analyzer(None if bundle == "default" else Path(bundle)), files)]
    found: list[tuple[Analyzer, list[str]]] = []
    left = set(files)
    runs = [Run(path) for path in sorted(folder.glob("fold-*"))]
    for run in runs:
        mine = [file for file in files if file in set(run.split.test)]
        if mine:
            found.append((Analyzer(runs_ensemble(runs_new_to(run, runs, members))), mine))
        left -= set(mine)
    if left:
        raise TumorlensError(
            f"{folder}: expected runs fold-1, fold-2, … that tested {', '.join(sorted(left))}, found none; "
            "for the results of a bundle name it with --bundle"
        )
    return found


def predicted_masks(
    folder: Path, members: int, bundle: str | None, dataset: TumorDataset, worst: pd.DataFrame
) -> list[Mask]:
    """The outlines that were measured, predicted anew, (rows, columns) each, in the order of ``worst``.

    Raises:
        TumorlensError: As `analyzers`, or an outline's Dice isn't the measured one.
    """
    masks: dict[str, Mask] = {}
    for analyzer, files in analyzers(folder, members, bundle, worst["file"].tolist()):
        found = findings(analyzer, dataset, [dataset.position(file) for file in files])
        for file, finding in zip(files, found, strict=True):
            if finding.mask is None:
                raise TumorlensError(f"{file}: expected an outline, but these models only name")
            masks[file] = finding.mask[0]
    for file, measured in zip(worst["file"], worst["dice"], strict=True):
        position = dataset.position(file)
        dice = score_slice(masks[file], dataset.mask(position), dataset.entries[position].spacing).dice
        if abs(dice - measured) > DICE_TOLERANCE:
            raise TumorlensError(
                f"{file}: expected the measured Dice {measured:.3f}, got {dice:.3f}; "
                "measure again with these models"
            )
    return [masks[file] for file in worst["file"]]


def worst_figure(worst: pd.DataFrame, dataset: TumorDataset, predicted: list[Mask]) -> Figure:
    """The worst slices, each with the expert's and the predicted outline."""
    rows = -(-len(worst) // PER_ROW)
    figure = new_figure(2.2 * PER_ROW, 2.65 * rows + 0.4)
    grid = figure.subplots(rows, PER_ROW, squeeze=False).ravel()
    for axes in grid[len(worst) :]:
        axes.set_visible(False)
    for axes, (_, row), mask in zip(grid[: len(worst)], worst.iterrows(), predicted, strict=True):
        position = dataset.position(str(row["file"]))
        title = TumorType[str(row["label"]).upper()].title
        view = "" if row["view"] == UNKNOWN_VIEW else f", {row['view']}"
        name = PurePosixPath(str(row["file"])).name
        axes.set_title(f"{name}: {title}{view}\nDice {row['dice']:.3f}", fontsize=SMALL)
        draw_slice(axes, dataset.image(position), dataset.mask(position), mask)
    lines = [
        Line2D([], [], color=SKY, linewidth=2, linestyle="--", label="expert's outline"),
        Line2D([], [], color=ORANGE, linewidth=2, label="predicted outline"),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=TEXT, frameon=False)
    return figure


def draw_slice(axes: Axes, image: NDArray[np.generic], true: Mask, predicted: Mask) -> None:
    """A slice with both outlines; the colors differ for every color vision, and so do the lines."""
    values = to_unit_range(image)
    brightest = max(float(np.quantile(values, SHOWN_QUANTILE)), 1e-6)
    axes.imshow(values, cmap="gray", vmin=0, vmax=brightest, interpolation="bilinear")
    axes.set(xticks=[], yticks=[])
    draw_outline(axes, predicted, ORANGE, "solid")
    draw_outline(axes, true, SKY, "dashed")
    if not predicted.any():
        note = axes.text(0.5, 0.03, "nothing outlined", transform=axes.transAxes, fontsize=SMALL)
        note.set(color="white", ha="center")


def draw_outline(axes: Axes, mask: Mask, color: str, style: str) -> None:
    """Draw a mask's edge, halfway between its pixels and the others."""
    if not mask.any():
        return
    rows, columns = mask.shape
    x, y = np.arange(-1, columns + 1), np.arange(-1, rows + 1)
    padded = np.pad(mask, 1).astype(np.float32)  # closes the outline of a mask that touches the border
    axes.contour(x, y, padded, levels=[0.5], colors=[color], linewidths=1.2, linestyles=[style])
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))


def main() -> None:
    """Write the tables, and the picture where it is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--views", type=Path, default=Path(__file__).with_name("views.csv"))
    parser.add_argument("--out", type=Path, help="the tables; printed by default")
    parser.add_argument("--worst", type=Path, help="a picture of the worst outlines; needs --data")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--runs", type=Path, help="the cross-validation's runs, where FOLDER is members-N")
    parser.add_argument("--members", type=int, default=1, help="how many of them looked at each slice")
    parser.add_argument("--bundle", help="what FOLDER is the evaluation of, unless a cross-validation")
    arguments = parser.parse_args()
    if arguments.worst and not arguments.data:
        parser.error("--worst needs --data")
    try:
        table = read_results(arguments.folder, arguments.views)
        if arguments.out:
            atomic.write_text(arguments.out, card(table))
        else:
            print(card(table))
        if arguments.worst:
            dataset = open_dataset(arguments.data, arguments.cache)
            worst = worst_slices(table)
            runs = arguments.runs or arguments.folder
            masks = predicted_masks(runs, arguments.members, arguments.bundle, dataset, worst)
            save_figure(worst_figure(worst, dataset, masks), arguments.worst)
    except TumorlensError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
