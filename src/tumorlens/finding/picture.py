"""Findings as pictures: the mask, and the outline drawn over the slice."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from tumorlens import atomic
from tumorlens.finding.finding import Finding
from tumorlens.finding.margins import shrunk
from tumorlens.preprocess import to_unit_range

OUTLINE = (230, 159, 0)
"""Orange of the palette of Okabe and Ito, told apart from gray by every kind of color vision."""
BAND = (86, 180, 233)
"""Sky blue of the same palette."""
UNCERTAIN = (0.2, 0.8)
"""A pixel between these probabilities may or may not be tumor."""
HEAT_COLORS = ((60, 0, 80), (230, 90, 30), (255, 255, 160))
"""From what hardly spoke for the name to what spoke most for it."""
_HEAT_OPACITY = 0.7
_COMPRESSION = 3  # of slices, takes half of the time of Pillow's own choice and no more room


def write_mask(finding: Finding, path: Path, slice_index: int = 0) -> None:
    """Write a slice's mask as an 8-bit PNG of the slice's own size, 255 on the tumor.

    Raises:
        ValueError: The finding has no mask.
        OSError: The file can't be written.
    """
    if finding.mask is None:
        raise ValueError("expected a finding with a mask, got one without")
    _save(Image.fromarray(finding.mask[slice_index].astype(np.uint8) * 255), path)


def write_overlay(finding: Finding, path: Path, slice_index: int = 0, *, uncertainty: bool = False) -> None:
    """Write a slice with the tumor's outline and type as an RGB PNG of the slice's own size.

    Args:
        finding: What was found.
        path: The picture.
        slice_index: Which slice.
        uncertainty: Also tint the band of pixels that may or may not be tumor.

    Raises:
        OSError: The file can't be written.
    """
    _save(captioned_overlay(finding, slice_index, uncertainty=uncertainty), path)


def captioned_overlay(finding: Finding, slice_index: int, *, uncertainty: bool = False) -> Image.Image:
    """The picture that `write_overlay` writes."""
    pixels = finding.scan.slices[slice_index]
    mask = None if finding.mask is None else finding.mask[slice_index]
    picture = overlay_picture(pixels, mask)
    if uncertainty and finding.tumor_probability is not None:
        picture = _tinted(picture, finding.tumor_probability[slice_index], mask)
    _caption_finding(picture, finding)
    return picture


def write_heatmap(finding: Finding, path: Path, slice_index: int = 0) -> None:
    """Write what spoke for the named type over the slice, as an RGB PNG of the slice's own size.

    The brighter, the more a place spoke for it.

    Raises:
        ValueError: The finding has no heatmap.
        OSError: The file can't be written.
    """
    if finding.heatmap is None:
        raise ValueError("expected a finding with a heatmap, got one without")
    heat = finding.heatmap[slice_index].astype(np.float32)
    picture = with_heat(overlay_picture(finding.scan.slices[slice_index], None), heat)
    _caption_finding(picture, finding)
    _save(picture, path)


def with_heat(picture: Image.Image, heat: NDArray[np.float32]) -> Image.Image:
    """A picture with a map (rows, columns) in [0, 1] over it, the brighter and the less clear the higher."""
    low, middle, high = HEAT_COLORS
    levels = Image.fromarray((heat * 255).astype(np.uint8))
    colors = ImageOps.colorize(levels, black=low, mid=middle, white=high)
    opacity = Image.fromarray((_HEAT_OPACITY * 255 * np.sqrt(heat)).astype(np.uint8))
    return Image.composite(colors, picture, opacity)


def _caption_finding(picture: Image.Image, finding: Finding) -> None:
    if finding.tumor_type is not None and finding.probabilities is not None:
        lines = [f"{finding.tumor_type.title} {finding.probabilities[finding.tumor_type]:.0%}"]
    else:
        lines = []
    lines += [warning.message for warning in finding.warnings]
    if lines:
        _caption(picture, "\n".join(lines))


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


def _tinted(
    picture: Image.Image, probability: NDArray[np.float32], mask: NDArray[np.bool_] | None
) -> Image.Image:
    """A picture with the pixels tinted of which it isn't clear whether they are tumor."""
    low, high = UNCERTAIN
    uncertain = (probability > low) & (probability < high)
    if mask is not None:
        uncertain &= ~_outline(mask)
    opacity = Image.fromarray(uncertain.astype(np.uint8) * 140)
    return Image.composite(Image.new("RGB", picture.size, BAND), picture, opacity)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask that lie within 2 of its outside."""
    return np.asarray(mask & ~shrunk(mask, 2))


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
        picture.save(temporary, format="PNG", compress_level=_COMPRESSION)
