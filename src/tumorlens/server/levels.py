"""A scan's values as numbers of 16 bits, and the windows to look at them through."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tumorlens.finding import Finding
from tumorlens.scan import Scan

_MOST = 0xFFFF
_SHOWN = (0.5, 99.7)  # percentiles that become black and white
_AROUND = (1.0, 99.5)  # the same, of the pixels in and around an outline
_MARGIN = 16  # pixels around it
_SAMPLED_SLICES = 64
_SAMPLE = 1 << 20  # pixels that are enough to know percentiles


@dataclass(frozen=True)
class Window:
    """Values that become black and white, in the source's own numbers."""

    low: float
    high: float


@dataclass(frozen=True)
class Levels:
    """How a scan's values are told and shown.

    Attributes:
        slope: A told number times this, plus ``intercept``, is the source's value.
        intercept: See there.
        window: To begin with.
        presets: Windows by their names.
    """

    slope: float
    intercept: float
    window: Window
    presets: tuple[tuple[str, Window], ...]

    def stored(self, pixels: NDArray[np.generic]) -> NDArray[np.uint16]:
        """A slice's values as numbers from 0 to 65535."""
        if pixels.dtype == np.uint8 and self.slope == 1 and self.intercept == 0:
            return pixels.astype("<u2")
        exact = pixels.astype(np.float64)
        exact -= self.intercept
        exact /= self.slope
        return np.asarray(np.clip(np.rint(exact), 0, _MOST), dtype="<u2")


def levels_of(finding: Finding) -> Levels:
    """The levels of a finding's scan; every slice is looked at once."""
    scan = finding.scan
    low, high, is_whole = _range(scan)
    slope, intercept = _scale(low, high, is_whole=is_whole)
    window = _window(_sample(scan), _SHOWN, low, high)
    presets = [("Automatic", window), ("Full range", Window(low, high))]
    around = _around(finding)
    if around is not None:
        presets.insert(1, ("Around the tumor", _window(around, _AROUND, low, high)))
    return Levels(slope, intercept, window, tuple(presets))


def _range(scan: Scan) -> tuple[float, float, bool]:
    """The smallest and the largest value, and whether all are whole numbers."""
    low, high, is_whole = np.inf, -np.inf, True
    for pixels in scan.slices:
        low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
        is_whole = is_whole and pixels.dtype.kind in "iub"
    return low, high, is_whole


def _scale(low: float, high: float, *, is_whole: bool) -> tuple[float, float]:
    """Slope and intercept; whole numbers stay what they are where they fit."""
    if is_whole and low >= 0 and high <= _MOST:
        return 1.0, 0.0
    if is_whole and high - low <= _MOST:
        return 1.0, low
    half = high / 2 - low / 2  # halves, so that none overflows
    slope = half / _MOST * 2
    return (slope, low) if np.isfinite(slope) and slope > 0 else (1.0, low)


def _sample(scan: Scan) -> NDArray[np.float64]:
    count, rows, columns = scan.shape
    chosen = np.unique(np.linspace(0, count - 1, min(count, _SAMPLED_SLICES)).round().astype(np.intp))
    step = max(1, round((len(chosen) * rows * columns / _SAMPLE) ** 0.5))
    return np.stack([scan.slices[index][::step, ::step].astype(np.float64) for index in chosen.tolist()])


def _around(finding: Finding) -> NDArray[np.float64] | None:
    """The pixels of the largest outline's box and some around; None without an outline."""
    if finding.mask is None or not finding.tumor_slices:
        return None
    index = finding.key_slice
    rows, columns = (np.flatnonzero(finding.mask[index].any(axis=axis)) for axis in (1, 0))
    top, left = max(int(rows[0]) - _MARGIN, 0), max(int(columns[0]) - _MARGIN, 0)
    bottom, right = int(rows[-1]) + _MARGIN + 1, int(columns[-1]) + _MARGIN + 1
    return np.asarray(finding.scan.slices[index][top:bottom, left:right], dtype=np.float64)


def _window(values: NDArray[np.float64], shares: tuple[float, float], low: float, high: float) -> Window:
    dark, bright = np.percentile(values, shares).tolist()
    return Window(dark, bright) if dark < bright else Window(low, high)
