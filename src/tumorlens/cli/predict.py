"""The commands that look at scans."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tumorlens.cli.options import (
    BundlePath,
    LargestComponent,
    Uncertainty,
    need_training_extra,
    path_given,
    say,
)
from tumorlens.errors import TumorlensError

if TYPE_CHECKING:
    from tumorlens.analyze import Analyzer
    from tumorlens.predict import Outcome
    from tumorlens.scan.stack import Stack

app = typer.Typer()

Series = Annotated[
    str | None,
    typer.Option(
        "--series",
        help="Of several DICOM series, the one with this place in 'tumorlens series', UID or description.",
    ),
]
_WIDTH = 160  # columns of the table where there is no terminal


@app.command()
def predict(
    scans: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCAN...",
            parser=path_given,
            help="DICOM files, folders or zips, NIfTI, .mat, PNG, JPEG, TIFF, BMP, or folders of these.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIRECTORY",
            parser=path_given,
            help="Gets the results, in the places that the scans have.",
        ),
    ],
    write: Annotated[
        list[str] | None,
        typer.Option(
            "--write",
            metavar="FORMAT,...",
            help="overlay, mask, heatmap, json, html, nifti, seg, sr, capture. Default: overlay,json,html.",
        ),
    ] = None,
    series: Series = None,
    largest_component: LargestComponent = False,
    resume: Annotated[bool, typer.Option("--resume", help="Skip scans that were finished before.")] = False,
    keep_identity: Annotated[
        bool, typer.Option("--keep-identity", help="Say in JSON, report and file names whose scan it is.")
    ] = False,
    uncertainty: Uncertainty = False,
    bundle: BundlePath = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", help="Instead of a bundle, a run that outlines, one that names, or both."),
    ] = None,
) -> None:
    """Outline and name the tumor on scans. Research use only; not a diagnosis."""
    from tumorlens.finding.write import DEFAULT_FORMATS, WriteOptions, as_format
    from tumorlens.predict import PredictOptions
    from tumorlens.predict import predict as predict_scans

    if run and bundle:
        raise TumorlensError("expected --bundle or --run, got both")
    names = [name.strip() for item in write or () for name in item.split(",") if name.strip()]
    options = PredictOptions(
        formats=[as_format(name) for name in names] or DEFAULT_FORMATS,
        write=WriteOptions(uncertainty=uncertainty, keep_identity=keep_identity),
        series=series,
        largest_component=largest_component,
        resume=resume,
    )
    analyzer = _analyzer(bundle, run)
    with _progress() as advance:
        outcomes = predict_scans(analyzer, scans, out, options, report=_report, advance=advance)
    _finish(outcomes)


@app.command(name="series")
def list_series(
    scan: Annotated[
        Path,
        typer.Argument(metavar="SCAN", parser=path_given, help="A folder, a zip or a file of DICOM."),
    ],
) -> None:
    """List the DICOM series in a folder or zip, and say which one 'predict' would take."""
    from tumorlens.scan import list_series as stacks_in
    from tumorlens.scan.choice import choose

    studies: dict[str, list[Stack]] = {}
    for stack in stacks_in(scan):  # predict takes those of a folder one by one
        studies.setdefault(stack.text("StudyInstanceUID") if scan.is_dir() else "", []).append(stack)
    for number, stacks in enumerate(studies.values(), start=1):
        if len(studies) > 1:
            say(f"study {number} of {len(studies)}")
        for place, stack in enumerate(stacks, start=1):
            say(f"{place}) {stack}")
        _, reason = choose(stacks, None, scan.name)
        say(f"predict takes {reason or 'the only one'}")


def _analyzer(bundle: Path | None, runs: list[Path] | None) -> "Analyzer":
    from tumorlens.analyze import Analyzer

    if not runs:
        return Analyzer(bundle)
    need_training_extra()
    from tumorlens.train.inference import runs_ensemble
    from tumorlens.train.run import Run

    return Analyzer(runs_ensemble([Run(folder) for folder in runs]))


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A line with how many scans and slices are done, on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    lock = threading.Lock()
    done = {"scans": 0, "slices": 0}
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("slices", total=None)

        def advance(scans: int, slices: int) -> None:
            with lock:
                done["scans"] += scans
                done["slices"] += slices
                bar.update(task, completed=done["slices"], description=f"{done['scans']} scans done; slices")

        yield advance


def _report(outcome: "Outcome") -> None:
    if outcome.failed:
        print(f"tumorlens: {outcome.words}", file=sys.stderr, flush=True)
    else:
        say(f"{outcome.name}: {outcome.words}")


def _finish(outcomes: Sequence["Outcome"]) -> None:
    """Close with a table, where there is more than one scan, and with the exit code."""
    failures = sum(outcome.failed for outcome in outcomes)
    if len(outcomes) > 1:
        terminal = Console().is_terminal
        Console(width=None if terminal else _WIDTH).print(_table(outcomes))
    if failures:
        raise typer.Exit(2 if failures == len(outcomes) else 1)


def _table(outcomes: Sequence["Outcome"]) -> Table:
    done = sum(not outcome.failed and not outcome.skipped for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    table = Table(title=f"{done} done, {skipped} skipped, {failed} failed", show_lines=False)
    table.add_column("scan", overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column("what was found, or why not", overflow="fold")
    for outcome in outcomes:
        state = "failed" if outcome.failed else "skipped" if outcome.skipped else "done"
        table.add_row(_plain(outcome.name), state, _plain(outcome.words))
    return table


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
