"""Uploads: a multipart body becomes a folder of numbered files, block by block.

No name that a client gives becomes part of a path. What arrives is gathered until it is worth a thread's
while to write it, so that nothing blocks the event loop and little is held in memory.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tumorlens.server.analysis import Ask
from tumorlens.server.labels import ending, label
from tumorlens.server.problems import Kind, ProblemError
from tumorlens.server.reading import may_be_volume

_FILES, _SERIES, _LARGEST = "files", "series", "largest_component"
_LONGEST_FIELD = 1024
_MOST_FIELDS = 16
_MOST_HEADER = 8192  # bytes of a part's header; names of folders can be long
_HEAD = 1024  # bytes that tell what a file is
_GATHERED = 1 << 20  # bytes held before they are written
_WORDS = {
    "true": True,
    "1": True,
    "on": True,
    "yes": True,
    "false": False,
    "0": False,
    "off": False,
    "no": False,
    "": False,
}


@dataclass(frozen=True)
class Upload:
    """What arrived.

    Attributes:
        label: What it is called; see `tumorlens.server.labels.label`.
        size: Of all files, in bytes.
        ask: What is wanted.
        is_volume: Whether it may be more than a slice.
        write: Writes what is still held in memory; not on the event loop.
    """

    label: str
    size: int
    ask: Ask
    is_volume: bool
    write: Callable[[], None]


async def receive(
    content_type: str, body: AsyncIterator[bytes], begin: Callable[[], Path], *, most_files: int
) -> Upload:
    """Receive an upload.

    Args:
        content_type: The request's.
        body: Its blocks.
        begin: Makes the folder for the files; called in a thread once there is something to write.
        most_files: That are taken.

    Raises:
        ProblemError: It isn't multipart, is damaged or cut short, has no file or too many; the disk is full.
        ClientDisconnect: The client went away.
    """
    parts = _Parts(begin, most_files)
    parser = _parser(content_type, parts)
    try:
        async for block in body:
            parser.write(block)
            if parts.gathered > _GATHERED:
                await asyncio.to_thread(parts.write)
        parser.finalize()
        parts.check()
    except FormParserError as error:
        raise ProblemError(
            Kind.NOT_UNDERSTOOD, "expected a multipart/form-data body, but it is damaged; send it again"
        ) from error
    except OSError as error:
        raise ProblemError(Kind.FULL, "The server can't write what you send; try again later.") from error
    finally:
        if not parts.is_whole:
            parts.abandon()
    return parts.told()


def _parser(content_type: str, parts: "_Parts") -> MultipartParser:
    kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ProblemError(
            Kind.NO_UPLOAD,
            "expected a multipart/form-data body with the field files, got another kind; send the scan so",
        )
    try:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_part_data": parts.data,
                "on_part_end": parts.end_part,
                "on_header_field": parts.header_name,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.headers_end,
                "on_end": parts.end,
            },
        )
    except FormParserError as error:
        raise ProblemError(
            Kind.NO_UPLOAD,
            "expected a boundary of multipart/form-data, got none that can be used; send it again",
        ) from error


@dataclass
class _Part:
    """A part of the body: a file, or a field with its text."""

    disposition: bytes = b""
    name: str = ""
    is_file: bool = False
    text: bytearray = field(default_factory=bytearray)


class _Parts:
    """Takes the parser's calls."""

    def __init__(self, begin: Callable[[], Path], most_files: int) -> None:
        self._begin = begin
        self._folder: Path | None = None
        self._most_files = most_files
        self._part = _Part()
        self._header = (bytearray(), bytearray())
        self._names: list[str] = []
        self._fields: dict[str, str] = {}
        self._blocks: list[tuple[int, bytes]] = []
        self._open: tuple[int, IO[bytes]] | None = None
        self._size = 0
        self._head = b""
        self.is_whole = False
        self.gathered = 0

    def begin(self) -> None:
        self._part = _Part()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._gather_header(0, data[start:end])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._gather_header(1, data[start:end])

    def header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._part.disposition = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def headers_end(self) -> None:
        part = self._part
        _, options = parse_options_header(part.disposition)
        part.name = options.get(b"name", b"").decode("utf-8", "replace")
        part.is_file = b"filename" in options and part.name == _FILES
        if not part.is_file:
            return
        if len(self._names) >= self._most_files:
            raise ProblemError(
                Kind.TOO_LARGE,
                f"expected at most {self._most_files:,} files, got more; send one series alone",
            )
        self._names.append(options[b"filename"].decode("utf-8", "replace"))
        self._blocks.append((len(self._names), b""))

    def data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.is_file:
            block = data[start:end]
            self._blocks.append((len(self._names), block))
            if len(self._names) == 1 and len(self._head) < _HEAD:
                self._head += block[:_HEAD]
            self._size += end - start
            self.gathered += end - start
            return
        if len(part.text) + end - start > _LONGEST_FIELD:
            raise ProblemError(
                Kind.NOT_UNDERSTOOD,
                f"expected files in the field {_FILES} and short texts else, got a long one; rename it",
            )
        part.text += data[start:end]

    def end_part(self) -> None:
        part = self._part
        if part.is_file:
            return
        if len(self._fields) >= _MOST_FIELDS:
            raise ProblemError(Kind.NOT_UNDERSTOOD, f"expected at most {_MOST_FIELDS} fields, got more")
        self._fields[part.name] = part.text.decode("utf-8", "replace")

    def end(self) -> None:
        self.is_whole = True

    def check(self) -> None:
        """Refuse what isn't whole, has no file, or says what isn't understood."""
        if not self.is_whole:
            raise ProblemError(
                Kind.NOT_UNDERSTOOD, "expected a whole upload, but it breaks off; send it again"
            )
        if not self._names:
            raise ProblemError(
                Kind.NOT_UNDERSTOOD,
                f"expected one or more files in the field {_FILES}, got none; choose a scan",
            )
        if self._fields.get(_LARGEST, "").strip().lower() not in _WORDS:
            raise ProblemError(
                Kind.NOT_UNDERSTOOD, f"expected {_LARGEST} to be true or false, got another text"
            )

    def write(self) -> None:
        """Write what was gathered; in a thread of its own."""
        if self._folder is None:
            self._folder = self._begin()
        blocks, self._blocks, self.gathered = self._blocks, [], 0
        for number, block in blocks:
            if self._open is None or self._open[0] != number:
                self.abandon()
                kind = ending(self._names[number - 1])
                self._open = (number, (self._folder / f"{number:06d}{kind}").open("wb"))
            self._open[1].write(block)

    def close(self) -> None:
        """Write the rest; in a thread of its own."""
        self.write()
        self.abandon()

    def abandon(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def told(self) -> Upload:
        """What arrived."""
        largest = _WORDS[self._fields.get(_LARGEST, "").strip().lower()]
        ask = Ask(series=self._fields.get(_SERIES, "").strip() or None, largest_component=largest)
        is_volume = may_be_volume(len(self._names), self._size, self._head)
        return Upload(label(self._names), self._size, ask, is_volume, self.close)

    def _gather_header(self, which: int, data: bytes) -> None:
        self._header[which].extend(data)
        if len(self._header[which]) > _MOST_HEADER:
            raise ProblemError(Kind.NOT_UNDERSTOOD, "expected short headers of each part, got a long one")
