"""The routes of an analysis's results: its view for the page, and its files."""

import shutil
from collections.abc import Callable
from typing import Annotated, TypeVar, cast

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from tumorlens.errors import TumorlensError
from tumorlens.finding.write import Format
from tumorlens.server import examples
from tumorlens.server.extras import Extras
from tumorlens.server.files import MadeFile, make
from tumorlens.server.findings import Held
from tumorlens.server.headers import REPORT_POLICY
from tumorlens.server.problems import Kind, ProblemError
from tumorlens.server.routes import PATH, service_of
from tumorlens.server.service import Service
from tumorlens.server.view import BYTES_A_PIXEL, View, layers, view_of

T = TypeVar("T")

router = APIRouter(prefix="/v1")
_TYPES = (
    "image/png",
    "application/json",
    "text/html",
    "application/gzip",
    "application/dicom",
    "application/zip",
)
_BYTES = "application/octet-stream"
_BLOCK = 256 << 10


def _extras(request: Request) -> Extras:
    return cast("Extras", request.app.state.extras)


@router.get(PATH + "/view", response_model=View, responses=examples.problems(404, 409, 429))
async def view(request: Request, id: str) -> Response:  # noqa: A002 - the path's own word
    """What is to be known of all slices to draw them."""
    service = service_of(request)
    told = await _extras(request).run(
        lambda: _drawn(service, id, lambda held: view_of(held).model_dump_json())
    )
    return Response(told, media_type="application/json")


@router.get(
    PATH + "/view/slices/{n}",
    response_class=Response,
    responses={
        200: examples.binary(
            "Pixels (uint16, little-endian), mask (0 or 1), heat and probability (0 to 255).", _BYTES
        ),
        **examples.problems(404, 409, 429),
    },
)
async def view_slice(
    request: Request,
    id: str,  # noqa: A002
    n: Annotated[int, Field(ge=0, le=1 << 20, description="The slice, from 0.")],
) -> Response:
    """A slice to draw: rows times columns values each, one part after the other."""
    service = service_of(request)
    packed = _accepts_gzip(request)
    headers = {"Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if packed else {})}
    extras = _extras(request)
    size = await extras.run(lambda: _size(service, id, n))
    await extras.reserve(size)
    try:
        content = await extras.run(lambda: _drawn(service, id, lambda held: layers(held, n, packed=packed)))
    except BaseException:
        extras.release(size)
        raise
    return _Reserved(content, headers, extras, size)


def _drawn(service: Service, id_: str, draw: Callable[[Held], T]) -> T:
    """Draw something of a finding, whose files may be erased meanwhile.

    Raises:
        ProblemError: They are, or the analysis isn't done.
    """
    held = service.finding(id_)
    try:
        return draw(held)
    except (TumorlensError, OSError) as error:
        raise ProblemError(Kind.UNKNOWN, "What was kept of this analysis can't be read any more.") from error


class _Reserved(Response):
    """Bytes that count as on their way until they are sent."""

    media_type = _BYTES

    def __init__(self, content: bytes, headers: dict[str, str], extras: Extras, size: int) -> None:
        super().__init__(content, headers=headers)
        self._extras = extras
        self._reserved = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them block by block: one that is too large for the line waits until the client takes it."""
        try:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
            for at in range(0, len(self.body), _BLOCK):
                block = bytes(self.body[at : at + _BLOCK])
                await send({"type": "http.response.body", "body": block, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._extras.release(self._reserved)


def _size(service: Service, id_: str, index: int) -> int:
    """Bytes of a slice for the page.

    Raises:
        ProblemError: There is no such slice.
    """
    count, rows, columns = service.finding(id_).finding.scan.shape
    if index >= count:
        raise ProblemError(Kind.UNKNOWN, f"expected a slice from 0 to {count - 1}, got {index}.")
    return int(rows * columns * BYTES_A_PIXEL)


@router.get(
    PATH + "/files/{format}",
    response_class=FileResponse,
    responses={
        200: examples.binary("The file; several come as a zip.", *_TYPES),
        **examples.problems(404, 409, 429),
    },
)
async def file(
    request: Request,
    id: str,  # noqa: A002
    format: Format,  # noqa: A002
    inline: Annotated[bool, Query(description="Whether the report is to be shown, not saved.")] = False,
) -> Response:
    """A file of the finding: picture, mask, report, DICOM and more."""
    service = service_of(request)
    made = await _extras(request).run(lambda: _made(service, id, format))
    return _Download(made, inline=inline and format is Format.HTML)


def _made(service: Service, id_: str, format_: Format) -> MadeFile:
    held = service.finding(id_)
    try:
        made = make(held.finding, format_, service.store.temporary)
    except TumorlensError as error:
        raise ProblemError(Kind.NO_SUCH_FILE, str(error)) from error
    if made is None:
        raise ProblemError(Kind.NO_SUCH_FILE, f"This finding has nothing to show as {format_}.")
    return made


class _Download(FileResponse):
    """A file that is gone once it is sent."""

    def __init__(self, made: MadeFile, *, inline: bool) -> None:
        headers = {"Content-Disposition": made.disposition(inline=inline)}
        if inline:
            headers["Content-Security-Policy"] = REPORT_POLICY
        super().__init__(made.path, headers=headers, media_type=made.media_type)
        self._folder = made.path.parent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(shutil.rmtree, self._folder, True)


def _accepts_gzip(request: Request) -> bool:
    told = request.headers.get("accept-encoding", "").lower()
    return any(
        part.split(";")[0].strip() == "gzip" and "q=0" not in part.replace(" ", "").replace("q=0.", "")
        for part in told.split(",")
    )
