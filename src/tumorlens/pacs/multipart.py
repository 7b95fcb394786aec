"""Multipart answers (RFC 2046) as they come, part by part, whatever a part's size.

dicomweb-client holds each part in memory and takes one that broke off for a whole one. Here a part counts
only once the delimiter behind it was seen.
"""

from collections.abc import Iterable, Iterator
from email.message import Message

import requests

from tumorlens.pacs.errors import PacsError

_LONGEST_HEADERS = 1 << 14
_CHUNK = 1 << 18
DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Asks for DICOM files as they are stored."""


class BrokenOffError(Exception):
    """An answer ended before it was complete."""


def parts_of(response: requests.Response, name: str) -> Iterator[Iterator[bytes]]:
    """The parts of an answer with DICOM files, each in chunks; read one to its end before the next.

    Args:
        response: Opened for streaming.
        name: Of the server, for messages.

    Raises:
        PacsError: It is something else than DICOM files.
        BrokenOffError: It ended too early.
    """
    message = Message()
    message["Content-Type"] = response.headers.get("Content-Type", "")
    kind, boundary = message.get_content_type(), message.get_boundary()
    chunks = response.iter_content(_CHUNK)
    if kind == "application/dicom":  # a single file without a wrapping, as some servers send it
        return iter([chunks])
    if kind != "multipart/related" or not boundary:
        shown = kind if kind.isprintable() else "something else"
        raise PacsError(f"{name}: expected DICOM files (multipart/related), got {shown[:60]}")
    return read_parts(chunks, boundary.encode("latin-1", "replace"), name)


def read_parts(chunks: Iterable[bytes], boundary: bytes, name: str) -> Iterator[Iterator[bytes]]:
    """The parts of a multipart body, each in chunks.

    Raises:
        PacsError: A part's headers have no end.
        BrokenOffError: The last delimiter is missing.
    """
    reader = _Reader(chunks, b"\r\n--" + boundary, name)
    for _ in reader.body():  # what stands before the first part means nothing
        pass
    while not reader.closes():
        reader.skip_headers()
        body = reader.body()
        yield body
        for _ in body:  # what the caller didn't care to read
            pass


class _Reader:
    """A window on a stream, no longer than two chunks."""

    def __init__(self, chunks: Iterable[bytes], delimiter: bytes, name: str) -> None:
        self._chunks = iter(chunks)
        self._delimiter = delimiter
        self._name = name
        self._held = bytearray(b"\r\n")  # the first delimiter may open the body

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise BrokenOffError
        self._held += chunk

    def body(self) -> Iterator[bytes]:
        """What comes before the next delimiter, and step over that."""
        length = len(self._delimiter)
        while (at := self._held.find(self._delimiter)) < 0:
            safe = len(self._held) - length + 1  # the delimiter may have begun
            if safe > 0:
                yield bytes(self._held[:safe])
                del self._held[:safe]
            self._more()
        yield bytes(self._held[:at])
        del self._held[: at + length]

    def closes(self) -> bool:
        """Whether the delimiter just passed was the last."""
        while len(self._held) < 2:
            self._more()
        return self._held.startswith(b"--")

    def skip_headers(self) -> None:
        """Step over a part's headers and the empty line behind them."""
        while (at := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _LONGEST_HEADERS + _CHUNK:
                raise PacsError(f"{self._name}: expected DICOM files, got a part whose headers have no end")
            self._more()
        del self._held[: at + 4]
