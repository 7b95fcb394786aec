"""How long and how much a client may send: bodies have a size, and their blocks have to come in time."""

import asyncio
import time
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tumorlens.server.problems import Kind, ProblemError, response
from tumorlens.server.settings import Settings

_SMALL = 64 << 10  # bytes of a body that isn't an upload
_UPLOADS = "/v1/analyses"
_MULTIPART = 1 << 20  # bytes that boundaries and headers of parts may add to an upload's files
_DRAINED = 4 << 20  # bytes that are read and forgotten so that a refused client reads the answer
_DRAIN_SECONDS = 2.0


class Patience:
    """Ends requests whose body is too large or comes too slowly.

    Args:
        app: What answers.
        settings: How the server runs.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, self._most(scope), self._settings)
        body.is_whole = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        answer = _Answer(send, body, self._settings)
        try:
            body.check_length(headers.get("content-length"))
            await self._app(scope, body, answer)
        except ProblemError as error:
            if answer.is_begun:
                raise
            await response(error.problem, error.headers)(scope, body, answer)

    def _most(self, scope: Scope) -> int:
        is_upload = scope["method"] == "POST" and scope["path"].rstrip("/") == _UPLOADS
        return self._settings.largest_upload + _MULTIPART if is_upload else _SMALL


class _Body:
    """A request's body as it comes in."""

    def __init__(self, receive: Receive, most: int, settings: Settings) -> None:
        self._receive = receive
        self._most = most
        self._settings = settings
        self._size = 0
        self._began = time.monotonic()
        self.is_whole = False

    def check_length(self, told: str | None) -> None:
        """Refuse a body by the length that it tells."""
        if told is None:
            return
        length = int(told) if told.isascii() and told.isdigit() else 0
        if length > self._most:
            raise self._too_large(f"{length:,}")

    async def __call__(self) -> Message:
        """The next block."""
        if self.is_whole:
            return await self._receive()  # waits until the client goes
        message = await self._next()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)
            if self._size > self._most:
                raise self._too_large("more")
        return message

    async def drain(self) -> None:
        """Read what else comes for a moment, and forget it."""
        left = _DRAINED
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self.is_whole and left > 0:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        return
                    left -= len(message.get("body", b""))
                    self.is_whole = not message.get("more_body", False)

    async def _next(self) -> Message:
        idle, slowest = self._settings.idle, self._settings.slowest
        since = time.monotonic() - self._began
        allowed = min(idle, idle + self._size / slowest - since)
        try:
            async with asyncio.timeout(max(allowed, 0)):
                return await self._receive()
        except TimeoutError as error:
            raise ProblemError(
                Kind.TOO_SLOW,
                f"expected at least {slowest:,} bytes a second, got fewer; send it again over a better line",
            ) from error

    def _too_large(self, size: str) -> ProblemError:
        return ProblemError(
            Kind.TOO_LARGE,
            f"expected at most {self._most:,} bytes, got {size}; send one series alone, or zip it",
        )


class _Answer:
    """A response on its way; one to a body that isn't read to its end closes the connection."""

    def __init__(self, send: Send, body: _Body, settings: Settings) -> None:
        self._send = send
        self._body = body
        self._idle = settings.idle
        self.is_begun = False

    async def __call__(self, message: Message) -> None:
        """Send a part of it; a client that doesn't take it in time is left."""
        if message["type"] == "http.response.start":
            self.is_begun = True
            if not self._body.is_whole:
                await self._body.drain()
                if not self._body.is_whole:
                    message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        async with asyncio.timeout(self._idle * 4):
            await self._send(message)
