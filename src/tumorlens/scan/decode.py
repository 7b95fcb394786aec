"""DICOM pixels: where they lie in a file, decoded, rescaled, and the brighter the larger."""

import os
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut
from pydicom.pixels.utils import as_pixel_options, get_expected_length, pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from tumorlens.errors import TumorlensError
from tumorlens.scan.codestream import clean_lossless_jpeg, codestream_size, has_end
from tumorlens.scan.limits import MOST_VALUES

# pydicom warns of every value that isn't quite by the standard. Scanners write many of them, and what can't
# be used is refused here in a sentence. No narrower place would do: values are read when they are asked for.
warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\b")

_KEYWORDS = {
    (0x7FE0, 0x0008): "FloatPixelData",
    (0x7FE0, 0x0009): "DoubleFloatPixelData",
    (0x7FE0, 0x0010): "PixelData",
}
_REPRESENTATIONS = (b"OB", b"OW", b"OF", b"OD", b"UN")
# Of several decoders, those that say what is wrong with damaged data, and neither print nor crash.
_DECODERS = {
    "pillow": [JPEGBaseline8Bit],
    "pyjpegls": JPEGLSTransferSyntaxes,
    "pylibjpeg": JPEG2000TransferSyntaxes,
}
_UNDEFINED = 0xFFFFFFFF  # a length that the standard gives to compressed pixels
_PREAMBLE = 132  # bytes, with "DICM"
_MOST_DEFLATED = 1 << 20  # zlib packs at most 1032 : 1, so that smaller files can't unpack to much over 1 GB
_MOST_INFLATED = 2 * MOST_VALUES


@dataclass(frozen=True)
class PixelPlace:
    """Where a file has its pixels.

    Attributes:
        start: Of the pixel data element's value, bytes from the file's beginning.
        length: Of the value in bytes; None where it is compressed and the file doesn't say.
        keyword: ``PixelData``, ``FloatPixelData`` or ``DoubleFloatPixelData``.
        representation: The element's VR; None where it is implicit.
    """

    start: int
    length: int | None
    keyword: str
    representation: str | None


def find_pixels(file: BinaryIO, header: Dataset) -> PixelPlace | None:
    """The pixels' place in a file whose header was just read; None where nothing follows the header."""
    order = "<" if header.original_encoding[1] else ">"
    element = file.read(12)
    if len(element) < 12:
        return None
    keyword = _KEYWORDS.get(struct.unpack(f"{order}HH", element[:4]))
    if keyword is None:
        return None
    implicit = element[4:6] not in _REPRESENTATIONS  # some headers claim the one and are the other
    head = 8 if implicit else 12
    length = int(struct.unpack(f"{order}L", element[head - 4 : head])[0])
    return PixelPlace(
        file.tell() - 12 + head,
        None if length == _UNDEFINED else length,
        keyword,
        None if implicit else element[4:6].decode("ascii"),
    )


def syntax_of(header: Dataset) -> UID:
    """The transfer syntax; of a file from before there were preambles, the one that it was read by."""
    syntax = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
    if syntax:
        return UID(str(syntax))
    implicit, little = header.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def refuse_deflated_bomb(path: Path, file: BinaryIO) -> None:
    """Refuse a deflated file that would fill the memory; leaves the file at its beginning.

    Raises:
        TumorlensError: It unpacks to more than a scan can have.
    """
    head = file.read(2048)
    file.seek(0)
    size = os.fstat(file.fileno()).st_size
    if size <= _MOST_DEFLATED or DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    file.seek(_PREAMBLE + 12 + int.from_bytes(head[_PREAMBLE + 8 : _PREAMBLE + 12], "little"))
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = 0
    while packed := inflate.unconsumed_tail or file.read(1 << 16):
        inflated += len(inflate.decompress(packed, 1 << 20))
        if inflated > _MOST_INFLATED:
            raise TumorlensError(
                f"{path.name}: expected at most {_MOST_INFLATED >> 20} MB unpacked, got more; don't trust it"
            )
    file.seek(0)


def decoded(path: Path, header: Dataset, place: PixelPlace | None, number: int) -> NDArray[np.generic]:
    """A frame as it is stored: (rows, columns) where it is gray.

    Args:
        path: The file.
        header: Its header.
        place: Of its pixels; None where the file has to be read as a whole.
        number: Of the frame, from 0.

    Raises:
        Exception: What pydicom and the decoders raise on damaged or unknown data.
    """
    if place is None:
        whole = pydicom.dcmread(path, force=True)
        return np.asarray(pixel_array(whole, index=number, raw=True))
    with path.open("rb") as file:
        if syntax_of(header).is_encapsulated:
            return _decompressed(file, header, place, number)
        check_length(os.fstat(file.fileno()).st_size, header, place)
        options: dict[str, Any] = as_pixel_options(header, pixel_keyword=place.keyword)
        if place.representation is not None:
            options["pixel_vr"] = place.representation
        file.seek(place.start)
        values, _ = get_decoder(syntax_of(header)).as_array(file, index=number, raw=True, **options)
    return np.asarray(values)


def check_length(size: int, header: Dataset, place: PixelPlace) -> None:
    """Refuse uncompressed pixels that are cut short or stored in a way that isn't read.

    Args:
        size: Of the file, in bytes.
        header: Its header.
        place: Of its pixels.

    Raises:
        ValueError: They are.
    """
    expected, rest = get_expected_length(header), size - place.start
    there = rest if place.length is None else min(rest, place.length)
    if there < expected:
        raise ValueError(f"{there:,} bytes came of {expected:,}")
    stored, high = header.get("BitsStored"), header.get("HighBit")
    if stored is not None and high is not None and high >= stored:
        raise ValueError(f"the highest of {stored} bits is bit {high}, as no scanner writes it any more")


def _decompressed(file: BinaryIO, header: Dataset, place: PixelPlace, number: int) -> NDArray[np.generic]:
    """A frame of compressed pixels; what it says of itself is compared with the header first."""
    options: dict[str, Any] = as_pixel_options(header, pixel_keyword=place.keyword)
    file.seek(place.start)
    frame = get_frame(
        file,
        number,
        number_of_frames=options["number_of_frames"],
        extended_offsets=options.pop("extended_offsets", None),
    )
    syntax = syntax_of(header)
    size, expected = codestream_size(frame), (header.Rows, header.Columns)
    if size is None and syntax != RLELossless:
        raise ValueError("they don't begin with a whole header")
    if size is not None and size != expected:
        raise ValueError(f"they claim {size[0]} x {size[1]} pixels in place of {expected[0]} x {expected[1]}")
    if syntax in JPEGLSTransferSyntaxes and not has_end(frame):
        raise ValueError("they are cut short")
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        frame = clean_lossless_jpeg(frame, header.BitsStored, header.BitsAllocated)
    plugin = next((name for name, syntaxes in _DECODERS.items() if syntax in syntaxes), "")
    options["number_of_frames"] = 1
    values, _ = get_decoder(syntax).as_array(
        encapsulate([frame]), index=0, raw=True, decoding_plugin=plugin, **options
    )
    return np.asarray(values)


def without_padding(stored: NDArray[np.generic], header: Dataset, *, dark: bool) -> NDArray[np.generic]:
    """Pixels that only fill the picture up (PS3.3, C.7.5.1.1.2) as dark as the darkest of the others.

    Args:
        stored: Any real type.
        header: Says from which value to which pixels are padding, if any are.
        dark: Whether the larger is the darker.
    """
    first = _stored_number(header, "PixelPaddingValue", stored.dtype)
    if first is None:
        return stored
    last = _stored_number(header, "PixelPaddingRangeLimit", stored.dtype)
    low, high = sorted((first, first if last is None else last))
    padded = np.asarray((stored >= low) & (stored <= high))  # type: ignore[operator]
    if padded.all() or not padded.any():
        return stored
    seen: Any = stored[~padded]
    return np.where(padded, seen.max() if dark else seen.min(), stored)


def _stored_number(header: Dataset, keyword: str, dtype: np.dtype[np.generic]) -> int | None:
    """A number that is stored as pixels are; headers often have it with the wrong sign."""
    try:
        value = header.get(keyword)
        number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    except (TypeError, ValueError):
        return None
    if dtype.kind not in "iu":
        return number
    size = 8 * dtype.itemsize
    number %= 1 << size
    return number - (1 << size) if dtype.kind == "i" and number >= 1 << (size - 1) else number


def inverted(values: NDArray[np.generic], bits: int) -> NDArray[np.generic]:
    """What is the darker the larger (MONOCHROME1), the other way round, in the same range.

    Args:
        values: Any real type.
        bits: Of unsigned integers.
    """
    numbers: Any = values
    if values.dtype.kind == "u":
        return np.asarray(numbers ^ values.dtype.type((1 << bits) - 1))
    return np.asarray(~numbers if values.dtype.kind == "i" else -numbers)


def looked_up(stored: NDArray[np.generic], header: Dataset) -> NDArray[np.generic]:
    """What the stored values mean by the header's table."""
    values: NDArray[np.generic] = apply_modality_lut(stored, header)
    return values


def rescaled(stored: NDArray[np.generic], slope: Any, intercept: Any) -> NDArray[np.generic]:
    """What the stored values mean by slope and intercept; None for one that isn't said."""
    slope, intercept = float(1 if slope is None else slope), float(intercept or 0)
    if (slope, intercept) == (1.0, 0.0):
        return stored
    with np.errstate(all="ignore"):  # what overflows is refused for not being finite
        return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
