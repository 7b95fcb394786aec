"""Compressed frames that claim what they don't have are refused before a decoder sees them.

Some decoders end the whole program there, fill the memory, or search for the end for minutes.
"""

import io
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import compress
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless

from tests.debian import program
from tests.scan.dicom_slice import file_of, noise, refusal
from tumorlens.scan import read_scan
from tumorlens.scan.codestream import clean_lossless_jpeg, codestream_size

SHAPE = (40, 48)


def frame_of(folder: Path, syntax: UID) -> bytes:
    """A compressed frame of 8 bits."""
    pixels = noise(np.uint8, shape=SHAPE)
    if syntax == JPEGBaseline8Bit:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        return buffer.getvalue()
    plain = file_of(folder / "plain", pixels)
    if syntax == JPEGLosslessSV1:
        run = Path(program("dcmdump")).with_name("dcmcjpeg")
        subprocess.run([run, "+e1", plain, plain], check=True)
        dataset = pydicom.dcmread(plain)
    else:
        dataset = pydicom.dcmread(plain)
        compress(dataset, syntax)
    return get_frame(dataset.PixelData, 0, number_of_frames=1)


def file_with(path: Path, frame: bytes, syntax: UID) -> Path:
    dataset = pydicom.dcmread(file_of(path, noise(np.uint8, shape=SHAPE)))
    dataset.PixelData = encapsulate([frame])
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    return path


def jpeg_claims(frame: bytes, start_of_frame: int, rows: int, columns: int) -> bytes:
    at = frame.index(bytes((0xFF, start_of_frame))) + 5
    return frame[:at] + struct.pack(">HH", rows, columns) + frame[at + 4 :]


def j2k_claims(frame: bytes, rows: int, columns: int) -> bytes:
    at = frame.index(b"\xff\x51")
    changed = bytearray(frame)
    for offset, value in ((6, columns), (10, rows), (22, columns), (26, rows)):
        struct.pack_into(">I", changed, at + offset, value)
    return bytes(changed)


CLAIMS: dict[UID, Callable[[bytes, int, int], bytes]] = {
    JPEGBaseline8Bit: lambda frame, rows, columns: jpeg_claims(frame, 0xC0, rows, columns),
    JPEGLosslessSV1: lambda frame, rows, columns: jpeg_claims(frame, 0xC3, rows, columns),
    JPEGLSLossless: lambda frame, rows, columns: jpeg_claims(frame, 0xF7, rows, columns),
    JPEG2000Lossless: j2k_claims,
}


@pytest.mark.parametrize("syntax", CLAIMS, ids=lambda syntax: syntax.name)
def test_a_frame_of_another_size_than_the_header_s_is_refused(tmp_path: Path, syntax: UID) -> None:
    frame = frame_of(tmp_path, syntax)
    assert codestream_size(frame) == SHAPE
    assert read_scan(file_with(tmp_path / "whole", frame, syntax)).pixels.shape == (1, *SHAPE)
    huge = CLAIMS[syntax](frame, 60_000, 60_001)
    assert "they claim 60000 x 60001 pixels in place of 40 x 48" in refusal(
        file_with(tmp_path / "huge", huge, syntax)
    )


@pytest.mark.parametrize("syntax", CLAIMS, ids=lambda syntax: syntax.name)
def test_a_frame_without_a_header_is_refused(tmp_path: Path, syntax: UID) -> None:
    frame = b"\0" + frame_of(tmp_path, syntax)[20:]
    assert "they don't begin with a whole header" in refusal(file_with(tmp_path / "a", frame, syntax))


def test_jpeg_ls_cut_short_is_refused_at_once(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, JPEGLSLossless)
    start = time.monotonic()
    assert "they are cut short" in refusal(file_with(tmp_path / "a", frame[:-30], JPEGLSLossless))
    assert time.monotonic() - start < 1


# Lossless JPEG is decoded by a library that ends the program over a damaged header.


@pytest.fixture(scope="module")
def lossless(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return frame_of(tmp_path_factory.mktemp("lossless"), JPEGLosslessSV1)


def test_remarks_are_left_out_of_lossless_jpeg_and_nothing_else(lossless: bytes) -> None:
    assert lossless[2:4] == b"\xff\xe0"  # the remark of JFIF
    length = int.from_bytes(lossless[4:6], "big")
    assert clean_lossless_jpeg(lossless, 8, 8) == lossless[:2] + lossless[4 + length :].rstrip(b"\0")


def test_a_remark_that_makes_no_sense_does_not_matter(tmp_path: Path, lossless: bytes) -> None:
    """The decoder itself would end the program over it."""
    damaged = lossless.replace(b"JFIF\0\1", b"JFIF\0\xff")
    assert damaged != lossless
    scan = read_scan(file_with(tmp_path / "a", damaged, JPEGLosslessSV1))
    assert np.array_equal(scan.pixels[0], noise(np.uint8, shape=SHAPE))


@pytest.mark.parametrize(
    ("segment", "offset", "value"),
    [
        (0xC3, 0, 255),  # bits of a pixel
        (0xC3, 0, 2),
        (0xC3, 5, 3),  # components
        (0xC3, 7, 0),  # sampling
        (0xC4, 1, 255),  # codes of length 1
        (0xC4, 17, 200),  # the first code's meaning
        (0xDA, 0, 4),  # components
        (0xDA, 3, 0),  # predictor
        (0xDA, 5, 9),  # shift
    ],
)
def test_a_damaged_header_of_lossless_jpeg_is_refused(
    lossless: bytes, segment: int, offset: int, value: int
) -> None:
    damaged = bytearray(lossless)
    damaged[lossless.index(bytes((0xFF, segment))) + 4 + offset] = value
    with pytest.raises(ValueError, match="lossless JPEG"):
        clean_lossless_jpeg(bytes(damaged), 8, 8)


@pytest.mark.parametrize("marker", [0xC3, 0xC4, 0xDA, 0xE0, 0x01])
def test_a_marker_among_the_pixels_of_lossless_jpeg_is_refused(lossless: bytes, marker: int) -> None:
    damaged = bytearray(lossless)
    damaged[-40:-38] = bytes((0xFF, marker))
    with pytest.raises(ValueError, match="damaged or cut short"):
        clean_lossless_jpeg(bytes(damaged), 8, 8)


def test_lossless_jpeg_cut_short_is_refused(lossless: bytes) -> None:
    for length in (2, 10, 40, len(lossless) // 2, len(lossless.rstrip(b"\0")) - 2):
        with pytest.raises(ValueError, match="lossless JPEG"):
            clean_lossless_jpeg(lossless[:length], 8, 8)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_lossless_jpeg_or_refused(data: bytes) -> None:
    for frame in (data, b"\xff\xd8" + data):
        codestream_size(frame)
        with pytest.raises(ValueError, match="lossless JPEG"):
            clean_lossless_jpeg(frame, 8, 16)
