"""HTTP for large files: time limits, further attempts, resuming, and https only."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from tumorlens.errors import TumorlensError
from tumorlens.loopback import is_loopback

_ATTEMPTS = 4
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two packets
_CHUNK = 1 << 16  # bytes; as much is lost at most when a connection breaks
_BUSY = 429
T = TypeVar("T")


class TransferError(TumorlensError):
    """The server or the way to it failed; the same call may succeed later."""


class Client:
    """Gets texts and files; use it as a context manager.

    Args:
        retry_wait: Seconds before the second attempt; doubled for each further one.
    """

    def __init__(self, retry_wait: float = 1.0) -> None:
        self._retry_wait = retry_wait
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"  # so that Range counts the file's own bytes
        self._session.mount("http://", _LoopbackOnly())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def text(self, url: str) -> str:
        """The body at ``url``.

        Raises:
            TumorlensError: The address isn't https, or the server can't be reached or answers with an error.
        """
        return self._persistently(url, lambda: self._get_text(url))

    def transfer(self, url: str, partial: Path, size: int, report: Callable[[int], None]) -> None:
        """Bring ``partial`` to ``size`` bytes, going on from what it holds.

        Args:
            url: Where the whole file is.
            partial: The file that grows; it stays when the connection breaks, for the next attempt.
            size: The size in bytes that the whole file has.
            report: Told the bytes that ``partial`` holds, every now and then.

        Raises:
            TumorlensError: As `text`; or the server sends more than ``size`` bytes.
            OSError: ``partial`` could not be written.
        """
        self._persistently(url, lambda: self._append(url, partial, size, report))

    def _persistently(self, url: str, attempt: Callable[[], T]) -> T:
        _require_safe(url)
        for tried in range(1, _ATTEMPTS + 1):
            try:
                return attempt()
            except (requests.RequestException, _InterruptedError) as error:
                if tried == _ATTEMPTS:
                    raise TransferError(f"{url}: expected an answer, but {_cause(error)}") from error
                time.sleep(self._retry_wait * 2 ** (tried - 1))
        raise AssertionError("unreachable")

    def _get(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        response = self._session.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
        if response.status_code == _BUSY or response.status_code >= 500:
            response.close()
            raise _InterruptedError(f"the server answered HTTP {response.status_code}")
        return response

    def _get_text(self, url: str) -> str:
        with self._get(url, {}) as response:
            _require_success(url, response)
            return response.text

    def _append(self, url: str, partial: Path, size: int, report: Callable[[int], None]) -> None:
        held = partial.stat().st_size if partial.exists() else 0
        if held == size and size:
            return
        if held > size:
            held = 0
        headers = {"Range": f"bytes={held}-"} if held else {}
        with self._get(url, headers) as response:
            if held and response.status_code == requests.codes.requested_range_not_satisfiable:
                partial.unlink()
                raise _InterruptedError("the server refused to go on where the file broke off")
            _require_success(url, response)
            if not _goes_on_at(response, held):
                held = 0
            self._write(url, response, partial, held, size, report)

    def _write(
        self,
        url: str,
        response: requests.Response,
        partial: Path,
        held: int,
        size: int,
        report: Callable[[int], None],
    ) -> None:
        with partial.open("ab" if held else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                held += len(chunk)
                if held > size:
                    raise TumorlensError(f"{url}: expected {size:,} bytes, got more; try again later")
                file.write(chunk)
                report(held)
        if held < size:
            raise _InterruptedError(f"the connection ended after {held:,} of {size:,} bytes")


class _InterruptedError(Exception):
    """An attempt failed in a way that a further one may mend."""


class _LoopbackOnly(HTTPAdapter):
    """Lets plain http through to this very machine only, redirects included."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        _require_safe(request.url or "")
        return super().send(request, stream, timeout, verify, cert, proxies)


def _require_safe(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise TumorlensError(f"{url}: expected an https address, but {error}") from error
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise TumorlensError(f"{url}: expected an https address, got another; nothing was sent to it")


def _require_success(url: str, response: requests.Response) -> None:
    if not response.ok:
        raise TumorlensError(f"{url}: expected the file, got HTTP {response.status_code}; check the address")


def _goes_on_at(response: requests.Response, held: int) -> bool:
    """Whether the body begins at byte ``held``, not at the file's start."""
    return response.status_code == requests.codes.partial_content and response.headers.get(
        "Content-Range", ""
    ).startswith(f"bytes {held}-")


def _cause(error: Exception) -> str:
    """The failure in a few words: requests nests the system's message in several layers of its own."""
    if isinstance(error, requests.Timeout):
        return "none came in time"
    if isinstance(error, requests.ConnectionError):
        return "the connection failed or broke off"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
