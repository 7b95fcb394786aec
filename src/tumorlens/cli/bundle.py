"""``tumorlens bundle``: look at bundles and check them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at bundles and check them.", no_args_is_help=True)


@app.command("info")
def info(
    path: Annotated[
        Path | None, typer.Argument(help="A bundle's folder; the default bundle's if none.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The whole manifest as JSON.")] = False,
    card: Annotated[bool, typer.Option("--card", help="The model card, in Markdown.")] = False,
) -> None:
    """Print what a bundle says of itself: models, calibration, training, measured results."""
    from tumorlens.bundle import open_bundle
    from tumorlens.bundle.describe import describe
    from tumorlens.bundle.manifest import dump

    bundle = open_bundle(path)
    if card:
        print((bundle.card() or f"{bundle.manifest.name}: no model card").rstrip())
        return
    print(dump(bundle.manifest).rstrip() if json else describe(bundle.manifest))


@app.command("verify")
def verify(
    path: Annotated[
        Path | None, typer.Argument(help="A bundle's folder; the default bundle's if none.")
    ] = None,
) -> None:
    """Check every file of a bundle against its SHA-256 and load it."""
    from tumorlens.bundle import open_bundle

    bundle = open_bundle(path)
    bundle.verify()
    print(f"{bundle.manifest.name}: {len(bundle.manifest.members)} files are what its manifest says")
