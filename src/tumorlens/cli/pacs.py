"""``tumorlens pacs``: series from a hospital's archive and results into it, over DICOMweb."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tumorlens.cli.ending import endable
from tumorlens.cli.options import BundlePath, say
from tumorlens.errors import TumorlensError

if TYPE_CHECKING:
    from tumorlens.pacs.entry import Query, SeriesEntry, StudyEntry
    from tumorlens.pacs.server import PacsServer
    from tumorlens.pacs.state import Record

app = typer.Typer(
    help="Series from a hospital's archive (PACS) and results into it, over DICOMweb.", no_args_is_help=True
)

Url = Annotated[
    str, typer.Argument(metavar="URL", help="The service, such as https://pacs.example.org/dicom-web.")
]
User = Annotated[
    str | None,
    typer.Option(
        help="Who asks; the password is in TUMORLENS_PACS_PASSWORD or in --password-file. "
        "Without a user, TUMORLENS_PACS_TOKEN may have a bearer token."
    ),
]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="Has the password in its first line.")
]
Authority = Annotated[
    Path | None, typer.Option("--ca", help="PEM file of the authority that signed the server's certificate.")
]
InsecureHttp = Annotated[
    bool,
    typer.Option("--insecure-http", help="Allow http to another machine: passwords and patients in clear."),
]
StateFile = Annotated[Path, typer.Argument(metavar="STATE", help="The state file of a watch.")]


@app.command("pull")
def pull(
    url: Url,
    out: Annotated[Path, typer.Option("--out", help="The folder that gets the files.")],
    patient: Annotated[str | None, typer.Option(help="PatientID.")] = None,
    study: Annotated[str | None, typer.Option(help="StudyInstanceUID.")] = None,
    accession: Annotated[str | None, typer.Option(help="AccessionNumber.")] = None,
    date: Annotated[str | None, typer.Option(help="20240301, or 20240301-20240331.")] = None,
    modality: Annotated[str | None, typer.Option(help="Of at least one series, such as MR.")] = None,
    series: Annotated[
        str | None, typer.Option(help="The series with this UID or description; else the likeliest T1.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All series of the study.")] = False,
    user: User = None,
    password_file: PasswordFile = None,
    ca: Authority = None,
    insecure_http: InsecureHttp = False,
) -> None:
    """Fetch the T1 series of one study; lists the studies where several match."""
    from tumorlens.pacs.entry import Query
    from tumorlens.pacs.pull import pull_series

    if series and all_:
        raise TumorlensError("expected --series or --all, got both")
    query = Query(patient, study, accession, date, modality)
    server = _server(url, user, password_file, ca, insecure_http)
    chosen = _chosen(server, _only(server, query), series, everything=all_)
    for pulled in pull_series(server, chosen, out):
        say(f"{pulled.folder}: {pulled.fetched} files fetched, {pulled.kept} were there already")


@app.command("push")
def push(
    url: Url,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DICOM files, or folders of them.")],
    user: User = None,
    password_file: PasswordFile = None,
    ca: Authority = None,
    insecure_http: InsecureHttp = False,
) -> None:
    """Store DICOM files, and ask the server whether it has each of them now."""
    from tumorlens.pacs.push import push as push_files

    found = _dicom_files(files)
    server = _server(url, user, password_file, ca, insecure_http)
    outcomes = push_files(
        server,
        found,
        lambda each: typer.echo(
            f"{each.path}: {each.words}" if each.stored else f"tumorlens: {each.words}", err=not each.stored
        ),
    )
    failures = sum(not outcome.stored for outcome in outcomes)
    if failures:
        raise typer.Exit(2 if failures == len(outcomes) else 1)


@app.command("watch")
def watch(
    url: Url,
    state: Annotated[Path, typer.Option("--state", help="Remembers each study; made if missing.")],
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")] = 60,
    days: Annotated[
        int,
        typer.Option(
            min=0, help="Studies of so many days up to the last look, and since; 0 for all that there are."
        ),
    ] = 2,
    modality: Annotated[str, typer.Option(help="Of at least one series; empty for any.")] = "MR",
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds without a new image before a study is taken.")
    ] = 900,
    attempts: Annotated[int, typer.Option(min=1, help="How often to try with a study.")] = 5,
    pause: Annotated[
        float, typer.Option(min=0, help="Seconds before a second attempt; four times that before a third.")
    ] = 60,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed studies again.")] = False,
    bundle: BundlePath = None,
    user: User = None,
    password_file: PasswordFile = None,
    ca: Authority = None,
    insecure_http: InsecureHttp = False,
) -> None:
    """Analyse each new study once, and store a segmentation and a report. Research use; not a diagnosis."""
    from tumorlens.pacs.state import WatchLock, WatchState
    from tumorlens.pacs.watch import Watch, WatchOptions

    options = WatchOptions(every, days or None, modality or None, settle, attempts, pause)
    server = _server(url, user, password_file, ca, insecure_http)
    state.parent.mkdir(parents=True, exist_ok=True)
    with endable() as wait, WatchLock(state), WatchState(state) as remembered:
        if retry_failed:
            say(f"{remembered.revive()} failed studies get another chance")
        work = state.with_name(f"{state.name}.work")
        watching = Watch(server, remembered, work, _analysis(bundle), options, report=say, wait=wait)
        say(f"watching {server.name}; end it with Ctrl-C")
        if not watching.run(1 if once else None):
            raise typer.Exit(2)


@app.command("status")
def status(
    state: StateFile,
    uids: Annotated[
        bool, typer.Option("--uids", help="Say each study's StudyInstanceUID, to find it on the server.")
    ] = False,
) -> None:
    """Say how many studies a watch has done, and list those that it hasn't, with the reason."""
    from tumorlens.pacs.state import State, WatchState

    with WatchState(state, create=False) as remembered:
        records = remembered.records()
    counts = [(each, sum(record.state is each for record in records)) for each in State]
    say(", ".join(f"{count} {each}" for each, count in counts if count) or "no study yet")
    for record in records:
        if record.state is not State.DONE:
            say(_status_line(record, uids))


def _status_line(record: "Record", uids: bool) -> str:
    from tumorlens.pacs.privacy import label

    name = f"study {label(record.uid)}" + (f" ({record.uid})" if uids else "")
    tried = f" after {record.attempts} attempts" if record.attempts > 1 else ""
    return f"{name}: {record.state}{tried}" + (f": {record.reason}" if record.reason else "")


def _server(
    url: str, user: str | None, password_file: Path | None, ca: Path | None, insecure_http: bool
) -> "PacsServer":
    from tumorlens.pacs.access import find_credentials
    from tumorlens.pacs.server import PacsServer

    credentials = find_credentials(user, password_file, os.environ)
    return PacsServer(url, credentials, ca=ca, insecure_http=insecure_http)


def _only(server: "PacsServer", query: "Query") -> "StudyEntry":
    """The study that a query means; several are listed for the user to choose from."""
    if query.empty:
        raise TumorlensError(
            "expected --patient, --study, --accession, --date or --modality, got none of them"
        )
    found = server.find_studies(query)
    if not found:
        raise TumorlensError(f"{server.name}: expected a study that matches, found none")
    if len(found) > 1:
        for study in sorted(found, key=lambda each: (each.date, each.uid)):
            say(_study_line(study))
        raise TumorlensError(f"{len(found)} studies match; choose one by --study")
    return found[0]


def _study_line(study: "StudyEntry") -> str:
    images = f"{study.instances or '?'} image{'' if study.instances == 1 else 's'}"
    return "  ".join((study.uid, study.date, "/".join(study.modalities), images, study.description)).rstrip()


def _chosen(
    server: "PacsServer", study: "StudyEntry", series: str | None, *, everything: bool
) -> "list[SeriesEntry]":
    from tumorlens.pacs.choice import choose_series

    if everything:
        listed = server.find_series(study.uid)
        if not listed:
            raise TumorlensError(f"{server.name}: expected a study with series, found none")
        return listed
    entry, reason = choose_series(server, study.uid, series)
    if reason:
        say(reason)
    return [entry]


def _dicom_files(paths: Sequence[Path]) -> list[Path]:
    from tumorlens.scan.reader import is_dicom, read_head

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file())
            found += [each for each in inside if is_dicom(read_head(each))]
        else:
            read_head(path)  # says why it can't be read
            found.append(path)
    if not found:
        raise TumorlensError("expected DICOM files, found none in the folders given")
    return found


def _analysis(bundle: Path | None) -> Callable[[Path, Path], Sequence[Path]]:
    """What a watch does with a pulled series: a segmentation and a report where a tumor is outlined."""
    from tumorlens.analyze import Analyzer
    from tumorlens.finding import WarningKind
    from tumorlens.finding.write import Format, write_finding
    from tumorlens.pacs.errors import NothingSuitableError
    from tumorlens.scan import read_scan

    analyzer = Analyzer(bundle)

    def analyse(scan: Path, out: Path) -> Sequence[Path]:
        finding = analyzer.analyze(read_scan(scan))
        strange = [each for each in finding.warnings if each.kind is WarningKind.UNFAMILIAR]
        if strange:  # nothing that radiologists would find beside their images
            raise NothingSuitableError(f"{strange[0].message}; nothing was stored")
        return write_finding(finding, out, "result", [Format.SR])  # the segmentation comes along

    return analyse
