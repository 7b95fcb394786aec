"""``tumorlens batch``: an archive of scans, one row each."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tumorlens.cli.ending import QuietExit, endable
from tumorlens.cli.options import BundlePath, LargestComponent, Uncertainty, say
from tumorlens.errors import TumorlensError

if TYPE_CHECKING:
    from tumorlens.batch import BatchOptions, Summary
    from tumorlens.batch.progress import Watcher

app = typer.Typer()


@app.command()
def batch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a zip, a text file with a path or URL a line, or a URL such as s3://bucket/folder.",
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="DEST", help="Folder or URL that gets rows and files.")
    ],
    engine: Annotated[
        str,
        typer.Option(
            metavar="ENGINE",
            help="local: this machine, in threads or processes; or just one of these; or ray, a cluster.",
        ),
    ] = "local",
    write: Annotated[
        list[str] | None,
        typer.Option(
            "--write",
            metavar="FORMAT,...",
            help="Files beside the rows: overlay, mask, heatmap, json, html, nifti, seg, sr, capture.",
        ),
    ] = None,
    series: Annotated[
        str | None, typer.Option(help="Of several DICOM series, the one with this UID or description.")
    ] = None,
    study_depth: Annotated[
        int | None,
        typer.Option(
            min=0, help="Folders so many levels below SOURCE are a study each; else every folder is."
        ),
    ] = None,
    largest_component: LargestComponent = False,
    keep_identity: Annotated[
        bool, typer.Option("--keep-identity", help="Say in rows, files and names whose scan it is.")
    ] = False,
    uncertainty: Uncertainty = False,
    bundle: BundlePath = None,
    chunk: Annotated[int, typer.Option(min=1, max=10_000, help="Inputs whose rows are one file.")] = 64,
    workers: Annotated[
        int | None, typer.Option(min=1, help="At most so many at once; by default as many as cores.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Analyse again what failed before.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster; else one of this command's own.")
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Tell on stderr how it goes, one JSON object a line.")
    ] = False,
    metrics_file: Annotated[
        Path | None, typer.Option("--metrics-file", help="Keep numbers for Prometheus in this text file.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", help="At the end, show in this HTML file where the time went.")
    ] = None,
) -> None:
    """Analyse an archive; give the same command again to go on after a stop. Research use only."""
    from tumorlens.batch.extras import need_batch_extra, need_cluster_extra

    need_batch_extra()
    from tumorlens.batch import BatchOptions, Engine
    from tumorlens.finding.write import WriteOptions, as_format

    if engine not in list(Engine):
        raise TumorlensError(f"expected --engine {', '.join(Engine)}, got {engine!r}")
    if address is not None and engine != Engine.RAY:
        raise TumorlensError(f"expected --engine ray with --address, got --engine {engine}")
    if engine == Engine.RAY:
        need_cluster_extra()
    names = [name.strip() for item in write or () for name in item.split(",") if name.strip()]
    options = BatchOptions(
        formats=tuple(as_format(name) for name in names),
        write=WriteOptions(uncertainty=uncertainty, keep_identity=keep_identity),
        series=series,
        largest_component=largest_component,
        bundle=None if bundle is None else bundle.resolve(),
        study_depth=study_depth,
        chunk=chunk,
        engine=Engine(engine),
        workers=workers,
        retry_failed=retry_failed,
        address=address,
    )
    _finish(_run(source, out, options, metrics_file, profile, log_json=log_json), quiet=log_json)


def _run(
    source: str,
    out: str,
    options: "BatchOptions",
    metrics_file: Path | None,
    profile: Path | None,
    *,
    log_json: bool,
) -> "Summary":
    from tumorlens.batch import run_batch
    from tumorlens.batch.json_log import log

    try:
        with endable(quiet=log_json) as wait:
            return run_batch(source, out, options, _watchers(metrics_file, profile, log_json=log_json), wait)
    except (KeyboardInterrupt, SystemExit) as end:
        if log_json:
            raise QuietExit(130 if isinstance(end, KeyboardInterrupt) else end.code) from None
        typer.echo("tumorlens: give the same command again to go on", err=True)
        raise
    except (TumorlensError, OSError) as error:
        if not log_json:
            raise
        log("error", "error", kind=type(error).__name__)  # the words may have a path that names a patient
        raise typer.Exit(2) from error


def _watchers(metrics_file: Path | None, profile: Path | None, *, log_json: bool) -> "list[Watcher]":
    from tumorlens.batch.json_log import JsonLog
    from tumorlens.batch.metrics import MetricsFile
    from tumorlens.batch.profile import Profile
    from tumorlens.batch.terminal import Terminal

    for path in (metrics_file, profile):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise TumorlensError(f"{path}: expected a file in a folder that exists; make it, or name another")
    watchers: list[Watcher] = [JsonLog() if log_json else Terminal()]
    watchers += [] if metrics_file is None else [MetricsFile(metrics_file)]
    watchers += [] if profile is None else [Profile(profile)]
    return watchers


def _finish(summary: "Summary", *, quiet: bool) -> None:
    """Close with a line and the exit code."""
    if not quiet:
        before = f", {summary.before:,} inputs done before" if summary.before else ""
        if summary.failed_before:
            before += f", of which {summary.failed_before:,} failed (--retry-failed tries them again)"
        say(f"{summary.scans - summary.failed:,} scans done, {summary.failed:,} failed{before}")
    if summary.failed:
        raise typer.Exit(2 if summary.failed == summary.scans else 1)
