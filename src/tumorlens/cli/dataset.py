"""``tumorlens dataset``: download, check and look at the dataset of Cheng et al."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tumorlens.cli.options import Cache, Data, RecipeName, Set, need_training_extra, progress

app = typer.Typer(help="Download, check and look at the dataset of Cheng et al.", no_args_is_help=True)


@app.command("download")
def download(
    folder: Annotated[Path, typer.Argument(help="Where the .mat files go.")],
    api: Annotated[str | None, typer.Option(help="A server that answers like figshare's API.")] = None,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep the zips once unpacked.")
    ] = False,
) -> None:
    """Download the 3064 published slices (0.9 GB), check and unpack them; goes on where it stopped."""
    from tumorlens.dataset.download import FIGSHARE_API, download

    report = download(
        folder, api or FIGSHARE_API, keep_archives=keep_archives, show_progress=sys.stderr.isatty()
    )
    print(f"{report.folder}: {len(report.fetched)} files downloaded, {len(report.kept)} were there already")


@app.command("verify")
def verify(folder: Annotated[Path, typer.Argument(help="Folder with the .mat files.")]) -> None:
    """Read every file and compare with what was published; exit code 1 if any is missing or broken."""
    from tumorlens.dataset.verify import verify

    report = verify(folder, progress=progress("reading"))
    print("\n".join(report.lines()))
    if not report.ok:
        raise typer.Exit(1)


@app.command("stats")
def stats(
    folder: Annotated[Path, typer.Argument(help="Folder with the .mat files.")],
    out: Annotated[Path, typer.Option(help="Picture of sample slices.")] = Path("samples.png"),
    cache: Cache = None,
) -> None:
    """Print the paper's Table 1 and draw sample slices of each tumor type with their outlines."""
    from tumorlens.dataset import open_dataset
    from tumorlens.dataset.statistics import sample_picture, statistics

    dataset = open_dataset(folder, cache, progress("decoding"))
    print(statistics(dataset).to_markdown())
    sample_picture(dataset, out)
    print(f"{out}: sample slices of each tumor type")


@app.command("preview")
def preview(
    recipe: RecipeName,
    data: Data,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("preview.png"),
    set_: Set = None,
    cache: Cache = None,
) -> None:
    """Draw slices as a recipe augments them, with their outlines, as one PNG."""
    need_training_extra()
    from tumorlens.dataset import open_dataset
    from tumorlens.train.preview import draw_preview
    from tumorlens.train.recipe_file import load_recipe

    checked = load_recipe(recipe, set_ or [])
    draw_preview(checked, open_dataset(data, cache, progress("decoding")), out)
    print(f"{out}: augmented slices with their outlines")
