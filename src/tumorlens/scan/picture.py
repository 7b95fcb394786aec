"""Pictures (PNG, JPEG, TIFF, BMP) as scans: gray, RGB, RGBA, palette and 16-bit; a TIFF's pages as slices."""

import contextlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tumorlens.errors import TumorlensError
from tumorlens.scan.limits import LARGEST_SIDE, check_size
from tumorlens.scan.scan import Scan

# Pillow warns of what it mends, and of pictures that are larger than `check_size` lets through anyway.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\b")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM")
_PHOTOMETRIC, _SAMPLE_FORMAT = 262, 339  # tags of a TIFF
_ORIENTATION = 274  # of EXIF
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2


def is_picture(head: bytes) -> bool:
    """Whether a file's first bytes are those of a PNG, a JPEG, a TIFF or a BMP."""
    return head.startswith(_SIGNATURES)


def scan_from_picture(path: Path) -> Scan:
    """Read a picture as a scan; color becomes gray, 16 bits and fractions stay.

    Raises:
        TumorlensError: The picture is damaged, too large to decode safely, or its pages differ in size.
    """
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            pixels = _pages(path, picture)
    except TumorlensError:
        raise
    except Image.DecompressionBombError as error:
        raise TumorlensError(
            f"{path.name}: expected a picture of at most {LARGEST_SIDE} pixels a side, got far more; scale it"
        ) from error
    except Exception as error:  # Pillow lets IndexError, struct.error and others of its parsers through
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TumorlensError(
            f"{path}: expected a whole PNG, JPEG, TIFF or BMP picture, but {reason}; save it again"
        ) from error
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise TumorlensError(f"{path.name}: expected finite pixel values, got NaN or infinity; set them to 0")
    return Scan(pixels, source=path)


def _pages(path: Path, picture: Image.Image) -> NDArray[np.generic]:
    """A TIFF's pages, or the picture, as (slices, rows, columns); no page of another size is decoded."""
    count = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    check_size(path.name, count, picture.height, picture.width)
    if picture.format in ("JPEG", "PNG"):
        picture = _upright(picture)
    size = picture.size
    pixels: NDArray[np.generic] | None = None
    for index in range(count):
        picture.seek(index)
        if picture.size != size:
            raise TumorlensError(
                f"{path.name}: expected pages of one size, got {size[0]} x {size[1]} and "
                f"{picture.width} x {picture.height}; save them one by one"
            )
        page = _gray(picture)
        if pixels is None:
            pixels = np.empty((count, *page.shape), page.dtype.newbyteorder("="))
        if page.dtype.kind != pixels.dtype.kind or page.dtype.itemsize != pixels.dtype.itemsize:
            raise TumorlensError(
                f"{path.name}: expected pages of one type, got {pixels.dtype} and {page.dtype}; save them "
                "one by one"
            )
        pixels[index] = page
    assert pixels is not None  # noqa: S101 - a picture has at least one page
    return pixels


def _upright(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF data say, as every viewer shows it; as it is where they make no sense."""
    picture.load()
    with contextlib.suppress(Exception):
        return ImageOps.exif_transpose(picture) if picture.getexif().get(_ORIENTATION, 1) != 1 else picture
    return picture


def _gray(picture: Image.Image) -> NDArray[np.generic]:
    is_gray = picture.mode == "L" or picture.mode.startswith(("I", "F"))
    values = np.asarray(picture if is_gray else picture.convert("RGB").convert("L"))
    return _as_tagged(picture, values) if is_gray and picture.format == "TIFF" else values


def _as_tagged(picture: Any, values: NDArray[Any]) -> NDArray[np.generic]:
    """A TIFF's gray values as its tags say; Pillow knows no signed 8 and unsigned 32 bits."""
    kind = picture.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]
    if picture.mode == "I" and kind == _UNSIGNED:
        values = values.view(np.uint32)
    if picture.mode == "L" and kind == _SIGNED:
        values = values.view(np.int8)
    # Of 8 bits, Pillow turns white at zero into black at zero itself.
    if picture.mode != "L" and picture.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        return np.asarray(-values if values.dtype.kind == "f" else ~values)
    return values
