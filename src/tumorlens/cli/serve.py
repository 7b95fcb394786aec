"""``tumorlens serve``: the local page and the HTTP API."""

from pathlib import Path
from typing import Annotated

import typer

from tumorlens.cli.options import BundlePath, say

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8765,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", help="Has the token in its first line; else TUMORLENS_TOKEN may have it."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of uploads and results; in the user's cache by default."),
    ] = None,
    keep: Annotated[str, typer.Option(help="How long results are kept, such as 45m, 24h or 7d.")] = "24h",
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="A name under which a proxy in front is asked; needs a token."),
    ] = None,
    bundle: BundlePath = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Open a local page that shows what is found on a scan, and answer programs. Research use only."""
    from tumorlens.server.model import load
    from tumorlens.server.run import serve as run
    from tumorlens.server.settings import Settings, default_data, find_token, seconds

    settings = Settings(
        host=host,
        port=port,
        hosts=tuple(allow_host or ()),
        token=find_token(token_file),
        data=data or default_data(),
        keep=seconds(keep),
    )

    def ready(address: str) -> None:
        say(f"tumorlens serves at {address} (research use only; Ctrl-C stops it)")
        if open_:
            typer.launch(address)

    run(settings, load(bundle), ready)
