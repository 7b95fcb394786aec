"""Pictures (PNG, JPEG) as scans: gray, RGB, palette and 16-bit."""

from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens.errors import TumorlensError
from tumorlens.scan.scan import Scan

_FORMATS = ("PNG", "JPEG")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def is_picture(head: bytes) -> bool:
    """Whether a file's first bytes are those of a PNG or a JPEG."""
    return head.startswith(_SIGNATURES)


def scan_from_picture(path: Path) -> Scan:
    """Read a PNG or JPEG as a scan of one slice; color becomes gray, 16 bits stay 16.

    Raises:
        TumorlensError: The picture is damaged or too large to decode safely.
    """
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            is_gray = picture.mode == "L" or picture.mode.startswith(("I", "F"))
            pixels = np.asarray(picture if is_gray else picture.convert("RGB").convert("L"))
    except Exception as error:  # Pillow lets IndexError, struct.error and others of its parsers through
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TumorlensError(
            f"{path}: expected a whole PNG or JPEG picture, but {reason}; save it again"
        ) from error
    return Scan(pixels[None], source=path)
