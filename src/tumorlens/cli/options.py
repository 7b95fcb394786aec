"""What commands share: options, progress, and the sentence for a missing extra."""

import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from tumorlens.errors import TumorlensError

T = TypeVar("T")

Data = Annotated[Path, typer.Option("--data", help="Folder with the dataset's .mat files.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Where the decoded copy lies; inside the data folder by default."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a recipe's key, such as training.batch_size=8."
    ),
]
BundlePath = Annotated[
    Path | None,
    typer.Option("--bundle", help="A bundle of 'tumorlens export'; by default the one that comes along."),
]
LargestComponent = Annotated[
    bool, typer.Option("--largest-component", help="Keep only the largest connected part of the outline.")
]
Uncertainty = Annotated[
    bool, typer.Option("--uncertainty", help="Tint pixels that may or may not be tumor in the overlays.")
]
RecipeName = Annotated[str, typer.Argument(help="A shipped recipe's name or a YAML file.")]


def path_given(text: str) -> Path:
    """A path of the command line.

    An empty one isn't the current folder: a variable that isn't set would give it.

    Raises:
        typer.BadParameter: It is empty.
    """
    if not text.strip():
        raise typer.BadParameter("expected a path, got an empty text; is a variable not set?")
    return Path(text)


def progress(description: str) -> Callable[[Iterable[T]], Iterable[T]]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    return lambda items: track(
        items, description, console=console, disable=not console.is_terminal, transient=True
    )


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def need_training_extra() -> None:
    """Make sure that PyTorch and the rest are there.

    Raises:
        TumorlensError: They aren't; the message has the line that installs them.
    """
    if importlib.util.find_spec("lightning") is None or importlib.util.find_spec("torch") is None:
        raise TumorlensError(
            "this command needs PyTorch and more; install them with: pip install 'tumorlens[train]'"
        )


def read_text(path: Path) -> str:
    """A text file's content.

    Raises:
        TumorlensError: It can't be read or isn't text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TumorlensError(f"{path}: expected a text file in UTF-8, but {error}") from error
