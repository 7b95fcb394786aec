import itertools
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorlens.pacs.errors import PacsError
from tumorlens.pacs.multipart import BrokenOffError, read_parts

BOUNDARY = b"b0undary"


def body_of(parts: list[bytes], preamble: bytes = b"") -> bytes:
    """As a server writes it."""
    opened = b"".join(b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (BOUNDARY, p) for p in parts)
    return preamble + opened + b"--%s--\r\n" % BOUNDARY


def chunked(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in itertools.chain(sizes, itertools.repeat(7)):
        if at >= len(body):
            return
        yield body[at : at + size]
        at += size


def read(chunks: Iterator[bytes]) -> list[bytes]:
    return [b"".join(part) for part in read_parts(chunks, BOUNDARY, "there")]


# Bytes that look like the start of a delimiter are the hard ones.
contents = st.lists(
    st.lists(st.sampled_from([b"\r", b"\n", b"-", b"\r\n--", b"\r\n--b0", b"x", b"\0" * 9])).map(b"".join)
)
cuts = st.lists(st.integers(1, 40), max_size=30)


@given(contents, cuts, st.sampled_from([b"", b"\r\n", b"a word before\r\n"]))
def test_parts_come_back_however_the_stream_is_cut(
    parts: list[bytes], sizes: list[int], before: bytes
) -> None:
    assert read(chunked(body_of(parts, before), sizes)) == parts


@given(contents, cuts, st.data())
def test_a_stream_that_ends_early_is_never_taken_for_a_whole_one(
    parts: list[bytes], sizes: list[int], data: st.DataObject
) -> None:
    body = body_of(parts)
    kept = data.draw(st.integers(0, len(body) - 3))  # the last delimiter's end may be missing, not more
    with pytest.raises(BrokenOffError):
        read(chunked(body[:kept], sizes))


def test_a_part_that_nobody_reads_is_passed_over() -> None:
    parts = read_parts(chunked(body_of([b"first", b"second"]), []), BOUNDARY, "there")
    next(parts)
    assert b"".join(next(parts)) == b"second"


def test_headers_without_an_end_are_refused() -> None:
    endless = itertools.chain([b"--b0undary\r\n"], itertools.repeat(b"X-A: b\r\n" * 4096))
    with pytest.raises(PacsError, match="headers have no end"):
        read(endless)


def test_memory_stays_flat_however_long_a_part_is() -> None:
    opening, mebibyte = b"--b0undary\r\n\r\n", b"\1" * (1 << 20)
    stream = itertools.chain([opening], itertools.repeat(mebibyte, 64), [b"\r\n--b0undary--"])
    tracemalloc.start()
    try:
        length = sum(len(chunk) for part in read_parts(stream, BOUNDARY, "there") for chunk in part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length == 64 << 20
    assert peak < 8 << 20
