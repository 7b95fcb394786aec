"""One HTML page, whole in itself: tables, curves and figures beside the paper's results."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from tumorlens import atomic
from tumorlens.dataset.statistics import Table1
from tumorlens.evaluate.report import PAPER, PAPER_VALUES, in_words
from tumorlens.evaluate.run import evaluation_folders
from tumorlens.train.run import Run
from tumorlens.train.split import Side
from tumorlens.tumor_type import TumorType
from tumorlens.version import __version__


@dataclass(frozen=True)
class _Section:
    """One model on the page."""

    run: Run
    results: dict[str, Any]
    figures: list[tuple[str, str]]
    minutes: float


def write_page(out: Path, table: Table1, segmentation: Run, classification: Run) -> Path:
    """Write ``index.html`` with everything in it; it needs no other file and no network.

    Raises:
        OSError: The page can't be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tumorlens.reproduce", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.j2").render(
        table=table,
        samples=_data_address(out / "samples.png"),
        segmentation=_section(segmentation),
        classification=_section(classification),
        paper=PAPER,
        paper_values=PAPER_VALUES,
        types=[(tumor.name.lower(), tumor.title) for tumor in TumorType],
        version=__version__,
        range=_range,
        words=in_words,
    )
    page = out / "index.html"
    atomic.write_text(page, html)
    return page


def _section(run: Run) -> _Section:
    folder = evaluation_folders(run, Side.TEST)[run.recipe.task]
    captions = {
        "figure-1-cases": "Figure 1. Best, median and worst cases: original, expert's and predicted outline",
        "figure-2-confusion": "Figure 2. Confusion matrix",
        "figure-3-dice": "Figure 3. Dice against epoch",
        "figure-3-accuracy": "Figure 3. Accuracy against epoch",
        "figure-4-loss": "Figure 4. Loss against epoch",
        "figure-5-reliability": "Figure 5. Reliability",
        "figure-6-roc": "Figure 6. ROC curves",
    }
    figures = [(caption, folder / f"{name}.png") for name, caption in captions.items()]
    return _Section(
        run=run,
        results=json.loads((folder / "results.json").read_text()),
        figures=[(caption, _data_address(path)) for caption, path in figures if path.is_file()],
        minutes=float(run.history()["seconds"].sum()) / 60,
    )


def _range(estimate: dict[str, float | None], decimals: int = 3) -> str:
    """A value with its interval, such as ``0.771 (0.742–0.798)``."""
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None:
        return "undefined"
    if low is None or high is None:
        return f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} ({low:.{decimals}f}–{high:.{decimals}f})"


def _data_address(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
