"""What a compressed frame says of itself: checked before a decoder sees it, since some trust it and crash."""

import re
import struct
from collections.abc import Iterator

_J2K = b"\xff\x4f\xff\x51"  # the beginning of a JPEG 2000 codestream and its sizes
_START = b"\xff\xd8"
_MARKER, _END = 0xFF, 0xD9
_STARTS_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_LOSSLESS, _TABLES, _SCAN, _RESTARTS = 0xC3, 0xC4, 0xDA, 0xDD
_REMARKS = {*range(0xE0, 0xF0), 0xFE}  # what programs leave in a file for each other
_AMONG_PIXELS = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a marker that isn't one between rows
_MOST_CODES = 17  # a difference of 16 bits can have so many lengths


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns by the header of JPEG, JPEG-LS or JPEG 2000; None where it is none of these."""
    place = frame.find(_J2K, 0, 1 << 16)
    if place >= 0 and len(frame) >= place + 24:
        right, bottom, left, top = struct.unpack_from(">4L", frame, place + 8)
        return bottom - top, right - left
    for kind, content, _ in _segments(frame):
        if kind in _STARTS_OF_FRAME and len(content) >= 5:
            rows, columns = struct.unpack_from(">2H", content, 1)
            return int(rows), int(columns)
    return None


def has_end(frame: bytes) -> bool:
    """Whether JPEG or JPEG-LS ends as it should; without that, a decoder looks for it for seconds."""
    return bytes((_MARKER, _END)) in frame[-16:]


def clean_lossless_jpeg(frame: bytes, stored: int, allocated: int) -> bytes:
    """A gray frame of lossless JPEG (ITU-T T.81, process 14) with nothing but what decoding it takes.

    Args:
        frame: The codestream.
        stored: Bits of a pixel by the DICOM header.
        allocated: Bits that a pixel takes in memory.

    Raises:
        ValueError: It is something else or damaged.
    """
    kept, seen, pixels = [_START], set(), 0
    for kind, content, end in _segments(frame):
        pixels = end
        if kind in _REMARKS:
            continue
        if not _is_valid(kind, content, stored, allocated):
            raise ValueError(f"segment {kind:#x} of its lossless JPEG is damaged")
        seen.add(kind)
        kept.append(struct.pack(">BBH", _MARKER, kind, len(content) + 2) + content)
    if seen - {_RESTARTS} != {_LOSSLESS, _TABLES, _SCAN}:
        raise ValueError("its lossless JPEG has no whole header")
    last = _AMONG_PIXELS.search(frame, pixels)
    if last is None or last.group()[1] != _END:
        raise ValueError("its lossless JPEG is damaged or cut short")
    return b"".join([*kept, frame[pixels : last.end()]])


def _segments(frame: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The kinds, contents and ends of the segments of JPEG and JPEG-LS before the pixels."""
    end = len(_START)
    while frame[:2] == _START and len(frame) >= end + 4 and frame[end] == _MARKER:
        kind, length = struct.unpack_from(">BH", frame, end + 1)
        content = frame[end + 4 : end + 2 + length]
        end += 2 + length
        yield kind, content, end
        if kind == _SCAN or len(content) != length - 2:
            return


def _is_valid(kind: int, content: bytes, stored: int, allocated: int) -> bool:
    if kind == _TABLES:
        return _are_tables(content)
    if kind == _LOSSLESS:  # bits, rows, columns, one component with its name, sampling and table
        return len(content) == 9 and stored <= content[0] <= allocated and content[5:8:2] == b"\x01\x11"
    if kind == _SCAN:  # one component with its name and table, the predictor, no end, no shift
        return len(content) == 6 and content[0] == 1 and content[3] in range(1, 8) and content[4:] == b"\0\0"
    return kind == _RESTARTS and len(content) == 2


def _are_tables(content: bytes) -> bool:
    """Whether these are tables of Huffman codes for differences."""
    while len(content) >= 17:
        counts = content[1:17]
        symbols, content = content[17 : 17 + sum(counts)], content[17 + sum(counts) :]
        codes = 0
        for length, count in enumerate(counts, start=1):
            codes = 2 * codes + count
            if codes > 1 << length:
                return False
        if (
            len(symbols) != sum(counts)
            or len(symbols) > _MOST_CODES
            or max(symbols, default=0) >= _MOST_CODES
        ):
            return False
    return not content
