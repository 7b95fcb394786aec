"""The command line: thin functions, one a command. Exit codes: 0 done, 1 some inputs failed, 2 a mistake."""

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tumorlens.cli import bundle as bundle_commands
from tumorlens.cli import dataset as dataset_commands
from tumorlens.cli import training as training_commands
from tumorlens.cli.options import need_training_extra, say
from tumorlens.errors import TumorlensError
from tumorlens.version import __version__

if TYPE_CHECKING:
    from tumorlens.analyze import Analyzer

app = typer.Typer(
    help="Outline and name brain tumors on contrast-enhanced T1 MRI. Research use only; not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dataset_commands.app, name="dataset")
app.add_typer(training_commands.app)
app.add_typer(bundle_commands.app, name="bundle")


def main() -> None:
    """Run the command line; a user's mistake becomes one line and exit code 2."""
    try:
        app()
    except TumorlensError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _stopped(130)
    except SystemExit as end:
        if end.code in (130, 143):  # typer swallows Ctrl-C and exits with this code without a word
            _stopped(int(end.code))
        raise
    except OSError as error:
        _fail(_disk_words(error))


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"tumorlens {__version__}")
        raise typer.Exit


@app.command()
def predict(
    slices: Annotated[list[Path], typer.Argument(metavar="SLICE...", help=".mat, PNG or JPEG files.")],
    out: Annotated[
        Path, typer.Option("--out", help="Gets a mask, an overlay, a heatmap and a JSON for each slice.")
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle of 'tumorlens export'; by default the one that comes along.")
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", help="Instead of a bundle, a run that outlines, one that names, or both."),
    ] = None,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Tint pixels that may or may not be tumor in the overlays.")
    ] = False,
) -> None:
    """Outline and name the tumor on slices. Research use only; not a diagnosis."""
    from tumorlens.analyze import Analyzer
    from tumorlens.predict import predict_files

    if run and bundle:
        raise TumorlensError("expected --bundle or --run, got both")
    analyzer = _runs_analyzer(run) if run else Analyzer(bundle)
    failures = predict_files(analyzer, slices, out, report=say, uncertainty=uncertainty)
    for failure in failures:
        print(f"tumorlens: {failure}", file=sys.stderr)
    if failures:
        raise typer.Exit(2 if len(failures) == len(slices) else 1)


def _runs_analyzer(folders: list[Path]) -> "Analyzer":
    need_training_extra()
    from tumorlens.analyze import Analyzer
    from tumorlens.train.inference import runs_ensemble
    from tumorlens.train.run import Run

    return Analyzer(runs_ensemble([Run(folder) for folder in folders]))


def _disk_words(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}the disk is full; nothing half-written was left; free some space and run this again"
    return f"{where}{error.strerror or error}"


def _stopped(code: int) -> None:
    print("tumorlens: interrupted; what was finished is whole", file=sys.stderr)
    sys.exit(code)


def _fail(message: str) -> None:
    print(f"tumorlens: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
