"""The page's files, as a browser has to get them."""

from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tumorlens.server.problems import Kind, ProblemError

_PAGE = Path(__file__).parent / "page"
# A machine's own table may say otherwise, and a browser runs no module that comes as plain text.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mat": "application/octet-stream",
    ".md": "text/markdown; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
}
_ASK_AGAIN = "no-cache"  # kept, but never shown without asking whether it is still the newest


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/`` and its files below ``/static``."""

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        index = _PAGE / "index.html"
        if not index.is_file():
            raise ProblemError(Kind.UNKNOWN, "This installation has no page; install tumorlens again.")
        return FileResponse(index, headers={"Cache-Control": _ASK_AGAIN}, media_type=_TYPES[".html"])

    app.mount("/static", _Files(directory=_PAGE, check_dir=False), name="static")


class _Files(StaticFiles):
    """The page's files and no others."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or that there is none."""
        kind = _TYPES.get(Path(path).suffix.lower())
        if kind is None:
            raise ProblemError(Kind.UNKNOWN, "The page has no such file.")
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _ASK_AGAIN
        if response.status_code == 200 and Headers(raw=response.raw_headers).get("content-type"):
            response.headers["Content-Type"] = kind
        return response
