"""Findings as pictures: the mask, and the outline drawn over the slice."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tumorlens import atomic
from tumorlens.finding.finding import Finding
from tumorlens.preprocess import to_unit_range

OUTLINE = (230, 159, 0)
"""Orange of the palette of Okabe and Ito, told apart from gray by every kind of color vision."""


def write_mask(finding: Finding, path: Path, slice_index: int = 0) -> None:
    """Write a slice's mask as an 8-bit PNG of the slice's own size, 255 on the tumor.

    Raises:
        ValueError: The finding has no mask.
        OSError: The file can't be written.
    """
    if finding.mask is None:
        raise ValueError("expected a finding with a mask, got one without")
    _save(Image.fromarray(finding.mask[slice_index].astype(np.uint8) * 255), path)


def write_overlay(finding: Finding, path: Path, slice_index: int = 0) -> None:
    """Write a slice with the tumor's outline and type as an RGB PNG of the slice's own size.

    Raises:
        OSError: The file can't be written.
    """
    pixels = finding.scan.pixels[slice_index]
    mask = None if finding.mask is None else finding.mask[slice_index]
    picture = overlay_picture(pixels, mask)
    if finding.tumor_type is not None and finding.probabilities is not None:
        _caption(picture, f"{finding.tumor_type.title} {finding.probabilities[finding.tumor_type]:.0%}")
    _save(picture, path)


def overlay_picture(pixels: NDArray[np.generic], mask: NDArray[np.bool_] | None) -> Image.Image:
    """A slice in gray with a mask's outline, 2 pixels wide, inside the mask.

    Args:
        pixels: (rows, columns), any real type and range.
        mask: (rows, columns), or None for the slice alone.
    """
    gray = (to_unit_range(pixels) * 255).astype(np.uint8)
    colored = np.repeat(gray[:, :, None], 3, axis=2)
    if mask is not None:
        colored[_outline(mask)] = OUTLINE
    return Image.fromarray(colored)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask that lie within 2 of its outside."""
    padded = Image.fromarray(np.pad(mask, 2).astype(np.uint8) * 255)
    inner = np.asarray(padded.filter(ImageFilter.MinFilter(5)))[2:-2, 2:-2] > 0
    return np.asarray(mask & ~inner)


def _caption(picture: Image.Image, text: str) -> None:
    size = max(picture.width // 28, 9)
    place = (size // 2, size // 2)
    ImageDraw.Draw(picture).text(
        place,
        text,
        fill=(255, 255, 255),
        font=ImageFont.load_default(size),
        stroke_width=1,
        stroke_fill=(0, 0, 0),
    )


def _save(picture: Image.Image, path: Path) -> None:
    with atomic.replacing(path) as temporary:
        picture.save(temporary, format="PNG")
