"""A finding as the page draws it: facts about all slices, and each slice's pixels, mask and maps as bytes."""

import gzip
import math

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tumorlens.finding import SliceMaps
from tumorlens.scan.geometry import Plane, plane_of
from tumorlens.server.findings import Held
from tumorlens.server.levels import Window

BYTES_A_PIXEL = 5
"""Two of the pixel, one each of mask, heatmap and probability."""

_FAST = 1  # of gzip's levels
_SIDES = {  # what lies at a picture's left, right, top and bottom; see `tumorlens.scan.Scan`
    Plane.AXIAL: ("R", "L", "A", "P"),
    Plane.CORONAL: ("R", "L", "S", "I"),
    Plane.SAGITTAL: ("A", "P", "S", "I"),
}

Row = tuple[float, float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class WindowPart(_Part):
    """What becomes black and white, in the source's own values."""

    low: float = Field(examples=[0])
    high: float = Field(examples=[812])


class PresetPart(WindowPart):
    """A window with a name."""

    name: str = Field(examples=["Full range"])


class Directions(_Part):
    """What of the patient lies at each side of a slice: R, L, A, P, S or I."""

    left: str = Field(examples=["R"])
    right: str = Field(examples=["L"])
    top: str = Field(examples=["A"])
    bottom: str = Field(examples=["P"])


class View(_Part):
    """What is to be known of all slices to draw them."""

    shape: tuple[int, int, int] = Field(description="Slices, rows, columns.", examples=[(24, 512, 512)])
    spacing: tuple[float | None, float | None, float | None] = Field(
        description="Distance between the centers of slices, rows and columns in mm; null where not known."
    )
    window: WindowPart = Field(description="To begin with.")
    presets: tuple[PresetPart, ...] = Field(description="To choose from.")
    slope: float = Field(description="A stored pixel times this, plus the intercept, is the source's value.")
    intercept: float = Field(description="See slope.")
    plane: Plane | None = Field(description="Along which the slices lie, or nearly so.")
    directions: Directions | None = Field(description="Null where the source doesn't say.")
    affine: tuple[Row, Row, Row, Row] | None = Field(
        description="Rows of the matrix from (slice, row, column, 1) to the patient's coordinates in mm, LPS."
    )
    key_slice: int = Field(description="The slice with the largest outline, from 0.")
    outlined: tuple[int, ...] = Field(description="Outlined pixels of each slice.")
    outlines: bool = Field(description="Whether the model outlines.")
    heatmap: bool = Field(description="Whether the model tells what spoke for the type.")


def view_of(held: Held) -> View:
    """What the page has to know of a finding before it draws slices."""
    finding, levels = held.finding, held.levels
    scan = finding.scan
    plane = None if scan.affine is None else plane_of(scan.affine)
    spacing = scan.spacing or (None, None)
    return View(
        shape=scan.shape,
        spacing=(scan.slice_spacing, *spacing),
        window=_window(levels.window),
        presets=tuple(PresetPart(name=name, **_window(each).model_dump()) for name, each in levels.presets),
        slope=levels.slope,
        intercept=levels.intercept,
        plane=plane,
        directions=None if plane is None else _directions(plane),
        affine=None if scan.affine is None else tuple(map(tuple, scan.affine.tolist())),
        key_slice=finding.key_slice,
        outlined=finding.tumor_pixels or (0,) * len(scan.slices),
        outlines=finding.mask is not None,
        heatmap=finding.heatmap is not None,
    )


def layers(held: Held, index: int, *, packed: bool = False) -> bytes:
    """A slice's pixels (16 bits, little-endian), mask (0 or 1), heatmap and probability (0 to 255).

    Args:
        held: The finding.
        index: Of the slice, from 0.
        packed: Whether as gzip.
    """
    finding = held.finding
    pixels = held.levels.stored(finding.scan.slices[index])
    size = pixels.size
    mask = bytes(size) if finding.mask is None else finding.mask[index].astype(np.uint8).tobytes()
    maps = (_levels_of_map(each, index, size) for each in (finding.heatmap, finding.tumor_probability))
    told = b"".join((pixels.tobytes(), mask, *maps))
    return gzip.compress(told, _FAST, mtime=0) if packed else told


def _levels_of_map(values: SliceMaps | NDArray[np.float32] | None, index: int, size: int) -> bytes:
    if values is None:
        return bytes(size)
    scaled = values[index] * np.float32(255)
    np.rint(scaled, out=scaled)
    return scaled.clip(0, 255, out=scaled).astype(np.uint8).tobytes()


def _window(window: Window) -> WindowPart:
    return WindowPart(low=_finite(window.low), high=_finite(window.high))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.copysign(1e300, value)


def _directions(plane: Plane) -> Directions:
    left, right, top, bottom = _SIDES[plane]
    return Directions(left=left, right=right, top=top, bottom=bottom)
