"""The command line: thin functions, one a command. Exit codes: 0 done, 1 some inputs failed, 2 a mistake."""

import io
import sys
import warnings
from typing import Annotated

import typer

from tumorlens.cli import batch as batch_commands
from tumorlens.cli import bundle as bundle_commands
from tumorlens.cli import dataset as dataset_commands
from tumorlens.cli import pacs as pacs_commands
from tumorlens.cli import predict as predict_commands
from tumorlens.cli import serve as serve_commands
from tumorlens.cli import training as training_commands
from tumorlens.cli.ending import QuietExit
from tumorlens.errors import TumorlensError, is_disk_full
from tumorlens.version import __version__

app = typer.Typer(
    help="Outline and name brain tumors on contrast-enhanced T1 MRI. Research use only; not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(predict_commands.app)
app.add_typer(batch_commands.app)
app.add_typer(serve_commands.app)
app.add_typer(pacs_commands.app, name="pacs")
app.add_typer(dataset_commands.app, name="dataset")
app.add_typer(training_commands.app)
app.add_typer(bundle_commands.app, name="bundle")


def main() -> None:
    """Run the command line; a user's mistake becomes one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else it is closed, or a test's
            stream.reconfigure(errors="backslashreplace")  # what a terminal can't show ends nothing
    # Hospitals' headers often break the standard; remarks on it are not for users.
    warnings.filterwarnings("ignore", module=r"pydicom|highdicom|nibabel")
    try:
        app()
    except TumorlensError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _stopped(130)
    except SystemExit as end:
        # typer swallows Ctrl-C and exits with this code without a word
        if end.code in (130, 143) and not isinstance(end, QuietExit):
            _stopped(int(end.code))
        raise
    except OSError as error:
        _fail(_disk_words(error))
    except ImportError as error:
        if _was_interrupted(error):  # numpy takes Ctrl-C while it is loaded for a broken installation
            _stopped(130)
        raise


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"tumorlens {__version__}")
        raise typer.Exit


def _disk_words(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if is_disk_full(error):
        return f"{where}the disk is full; nothing half-written was left; free some space and run this again"
    return f"{where}{error.strerror or error}"


def _was_interrupted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _stopped(code: int) -> None:
    print("tumorlens: interrupted; what was finished is whole", file=sys.stderr)
    sys.exit(code)


def _fail(message: str) -> None:
    print(f"tumorlens: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
