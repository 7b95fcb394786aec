"""The pictures of a report: slices in their true proportions, with outline, diameters, heatmap and scale."""

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tumorlens.finding.finding import Finding
from tumorlens.finding.margins import grown, shrunk
from tumorlens.finding.measure import Diameters, Point
from tumorlens.finding.picture import BAND, OUTLINE, with_heat
from tumorlens.parts import box_of
from tumorlens.scan import Scan
from tumorlens.scan.geometry import Plane, plane_of

_MOST_DASHES = 100
_FINER = 2  # lines are drawn this much larger and made smaller
_WINDOW = (0.5, 99.7)  # percentiles of a scan's intensities that become black and white
_SAMPLED_SLICES = 64  # at most
_SAMPLE = 1 << 20  # pixels that are enough to know these
_SCALES_MM = (1, 2, 5, 10, 20, 50, 100)
_QUALITY = 85
_SIDES = {  # what lies at a picture's left, right, top and bottom; see `tumorlens.scan.Scan`
    Plane.AXIAL: ("R", "L", "A", "P"),
    Plane.CORONAL: ("R", "L", "S", "I"),
    Plane.SAGITTAL: ("A", "P", "S", "I"),
}


@dataclass(frozen=True)
class Picture:
    """A picture as an HTML page needs it.

    Attributes:
        address: The picture itself, as a data URI.
        width: In pixels.
        height: In pixels.
    """

    address: str
    width: int
    height: int


Place = tuple[float, float]


@dataclass(frozen=True)
class _Part:
    """The part of a picture on which lines are drawn, larger first, which smooths them.

    Attributes:
        box: Left, top, right and bottom in the picture's pixels.
    """

    box: tuple[int, int, int, int]

    @classmethod
    def around(cls, places: Sequence[Place], margin: float, size: tuple[int, int]) -> Self:
        """The part with some places (x, y) of a finer picture and a margin around, in its pixels.

        Args:
            places: At least one.
            margin: That wide.
            size: The picture's width and height.
        """
        low = [math.floor((min(values) - margin) / _FINER) for values in zip(*places, strict=True)]
        high = [math.ceil((max(values) + margin) / _FINER) for values in zip(*places, strict=True)]
        left, top = (min(max(value, 0), most - 1) for value, most in zip(low, size, strict=True))
        right, bottom = (min(max(value, 1), most) for value, most in zip(high, size, strict=True))
        return cls((left, top, max(right, left + 1), max(bottom, top + 1)))

    @property
    def fine_size(self) -> tuple[int, int]:
        """Its width and height in a finer picture."""
        left, top, right, bottom = self.box
        return (right - left) * _FINER, (bottom - top) * _FINER

    def fine(self, place: Place) -> Place:
        """Where in the finer part a place of the whole finer picture is."""
        return place[0] - self.box[0] * _FINER, place[1] - self.box[1] * _FINER

    def within(self, shape: tuple[int, ...], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Its box in an array (rows, columns) of which a picture of that width and height is made."""
        across, down = shape[1] / size[0], shape[0] / size[1]
        left, top, right, bottom = self.box
        return left * across, top * down, min(right * across, shape[1]), min(bottom * down, shape[0])

    def cover(self, picture: Image.Image, layer: Image.Image) -> None:
        """Lay a finer picture of this part over it."""
        small = layer.resize((layer.width // _FINER, layer.height // _FINER), Image.Resampling.BOX)
        below = picture.crop(self.box).convert("RGBA")
        picture.paste(Image.alpha_composite(below, small).convert("RGB"), self.box)


class SlicePainter:
    """Paints a finding's slices.

    Args:
        finding: What to paint.
        side: The longer side of the pictures in pixels.
        marked: Whether sides of the patient and a scale are written onto them.
    """

    def __init__(self, finding: Finding, side: int, *, marked: bool) -> None:
        scan = finding.scan
        self._finding = finding
        self._window = _window(scan)
        self._size = _size(scan, side)
        self._marked = marked
        self._last: tuple[int, Image.Image] | None = None

    def plain(self, index: int) -> Picture:
        """A slice alone."""
        return self._finished(self._gray(index))

    def outlined(self, index: int) -> Picture:
        """A slice with its outline, and the diameters where they lie in it."""
        picture, mask = self._gray(index), self._finding.mask
        if mask is not None and mask[index].any():
            self._draw_outline(picture, mask[index])
        diameters = self._finding.diameters
        if diameters is not None and diameters.slice_index == index:
            self._draw_diameters(picture, diameters)
        return self._finished(picture)

    def heat(self, index: int) -> Picture:
        """A slice with what spoke for the named type.

        Raises:
            ValueError: The finding has no heatmap.
        """
        heatmap = self._finding.heatmap
        if heatmap is None:
            raise ValueError("expected a finding with a heatmap, got one without")
        values = Image.fromarray(heatmap[index].astype(np.float32)).resize(self._size)
        return self._finished(with_heat(self._gray(index), np.asarray(values).clip(0, 1)))

    def _gray(self, index: int) -> Image.Image:
        """A slice to paint on; the last one is kept, since it is asked for up to three times."""
        last = self._last
        if last is None or last[0] != index:
            last = self._last = (index, self._made_gray(index))
        return last[1].copy()

    def _made_gray(self, index: int) -> Image.Image:
        low, high = self._window
        values = self._finding.scan.slices[index].astype(np.float64)
        shares = ((values / 2 - low / 2) / (high / 2 - low / 2)).clip(0, 1)  # halves, so that none overflows
        picture = Image.fromarray((shares * 255).round().astype(np.uint8))
        return picture.resize(self._size, Image.Resampling.BICUBIC).convert("RGB")

    def _draw_outline(self, picture: Image.Image, mask: NDArray[np.bool_]) -> None:
        """Draw the outline inside of a mask that isn't empty, with a thin shadow around."""
        width = max(max(picture.size) * _FINER // 240, 2)
        rows, columns = box_of(mask)
        corners = [(rows.start - 1.5, columns.start - 1.5), (rows.stop + 0.5, columns.stop + 0.5)]
        part = _Part.around([self._place(corner) for corner in corners], width, picture.size)
        soft = Image.fromarray(mask.astype(np.float32)).resize(
            part.fine_size, Image.Resampling.BILINEAR, box=part.within(mask.shape, picture.size)
        )
        values = np.asarray(soft)
        inside = values >= min(0.5, float(values.max()))
        layer = np.zeros((*inside.shape, 4), np.uint8)
        layer[grown(inside, width // 2) & ~inside] = (0, 0, 0, 150)
        layer[inside & ~shrunk(inside, width)] = (*OUTLINE, 255)
        part.cover(picture, Image.fromarray(layer))

    def _draw_diameters(self, picture: Image.Image, found: Diameters) -> None:
        width = max(max(picture.size) * _FINER // 240, 3)
        strokes = [[self._place(each) for each in pair] for pair in _strokes(found)]
        part = _Part.around([place for stroke in strokes for place in stroke], width + 4, picture.size)
        layer = Image.new("RGBA", part.fine_size, (0, 0, 0, 0))
        draw = ImageDraw.Draw(layer)
        for color, wide in (((0, 0, 0, 190), width + 4), ((*BAND, 255), width)):
            for stroke in strokes:
                draw.line([part.fine(place) for place in stroke], fill=color, width=wide)
        part.cover(picture, layer)

    def _place(self, point: Point) -> Place:
        """Where a point (row, column) of a slice lies on a layer of lines, as (x, y)."""
        _, rows, columns = self._finding.scan.shape
        width, height = self._size
        x = (point[1] + 0.5) / columns * width * _FINER
        return x, (point[0] + 0.5) / rows * height * _FINER

    def _finished(self, picture: Image.Image) -> Picture:
        if self._marked:
            _mark(picture, self._finding.scan)
        return _encoded(picture)


def _window(scan: Scan) -> tuple[float, float]:
    """The intensities that become black and white, for all slices the same."""
    count, rows, columns = scan.shape
    chosen = np.unique(np.linspace(0, count - 1, min(count, _SAMPLED_SLICES)).round().astype(np.intp))
    step = max(1, round((len(chosen) * rows * columns / _SAMPLE) ** (1 / 2)))
    sample = np.stack([scan.slices[index][::step, ::step].astype(np.float64) for index in chosen.tolist()])
    low, high = np.percentile(sample, _WINDOW).tolist()
    if low == high:
        low = min(float(each.min()) for each in scan.slices)
        high = max(float(each.max()) for each in scan.slices)
    return (low, high) if low < high else (low - 1, low + 1)


def _size(scan: Scan, side: int) -> tuple[int, int]:
    """Width and height of a picture in a slice's own proportions."""
    _, rows, columns = scan.shape
    pixel = scan.spacing or (1.0, 1.0)
    height, width = rows * pixel[0], columns * pixel[1]
    longer = max(height, width)
    return max(round(side * width / longer), 1), max(round(side * height / longer), 1)


def _strokes(found: Diameters) -> Iterator[tuple[Point, Point]]:
    """The longest diameter as one stroke, the perpendicular one as dashes."""
    yield found.longest_ends
    begin, end = (np.array(point) for point in found.perpendicular_ends)
    count = 2 * min(max(round(found.perpendicular_mm / 6), 2), _MOST_DASHES) + 1
    for dash in range(0, count, 2):
        ends = [begin + (end - begin) * share for share in (dash / count, (dash + 1) / count)]
        yield (float(ends[0][0]), float(ends[0][1])), (float(ends[1][0]), float(ends[1][1]))


def _mark(picture: Image.Image, scan: Scan) -> None:
    """Write the patient's sides and a scale onto a picture, as far as they are known and there is room."""
    width, height = picture.size
    size = max(width, height) // 26
    if min(width, height) < 8 * size:
        return
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size)

    def write(text: str, place: tuple[float, float], anchor: str) -> None:
        draw.text(place, text, (255, 255, 255), font, anchor, stroke_width=2, stroke_fill=(0, 0, 0))

    gap = size // 2
    if scan.affine is not None:
        left, right, top, bottom = _SIDES[plane_of(scan.affine)]
        write(left, (gap, height / 2), "lm")
        write(right, (width - gap, height / 2), "rm")
        write(top, (width / 2, gap), "mt")
        write(bottom, (width / 2, height - gap), "mb")
    scale = _scale(scan)
    if scale is not None:
        text, share = scale
        end, y = gap + share * width, height - gap
        draw.line([gap - 1, y, end + 1, y], (0, 0, 0), 6)
        draw.line([gap, y, end, y], (255, 255, 255), 3)
        write(text, (gap, y - gap // 2), "ls")


def _scale(scan: Scan) -> tuple[str, float] | None:
    """A round length and its share of a picture's width."""
    if scan.spacing is None:
        return None
    width = scan.shape[2] * scan.spacing[1]
    fitting = [length for length in _SCALES_MM if 0.08 * width <= length <= 0.3 * width]
    if not fitting:
        return None
    length = fitting[-1]
    return f"{length // 10} cm" if length >= 10 else f"{length} mm", length / width


def _encoded(picture: Image.Image) -> Picture:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/jpeg;base64,{text}", *picture.size)
