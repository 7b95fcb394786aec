"""Scans whose voxels can be told from their neighbors, and whether each is where it must be."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.server.page.desk import Desk
from tests.server.page.viewing import Phantom
from tests.server.page.where import Lie, Three

SHAPE, SPACING = (5, 33, 17), (4.0, 0.8, 0.5)
LIES = {towards: Lie(towards, SHAPE, SPACING) for towards in ("SPL", "IPL", "PIL", "AIL", "RIP", "LIP")}
BRIGHT, DARK = 200, 60  # of 255
GRAYS = [(DARK,) * 3, (BRIGHT,) * 3]

_READ = re.compile(r"(?:Slice (\d+), row|Row) (\d+), column (\d+): (\d+)\.?0*")

Layers = tuple[NDArray[np.uint8], Sequence[tuple[int, ...]]]
Shown = tuple[NDArray[np.int32], NDArray[np.bool_]]


def noise(seed: int) -> NDArray[np.uint8]:
    """Zeros and ones, so that no shift, turn or mirroring goes unseen."""
    return np.random.default_rng(seed).integers(0, 2, SHAPE).astype(np.uint8)


PIXELS, MASK, HEAT = noise(1), noise(2), noise(3)


def noisy(lie: Lie, pixels: NDArray[np.int64] | None = None, **more: object) -> Phantom:
    """A scan of noise."""
    gray = np.where(PIXELS == 1, BRIGHT, DARK) if pixels is None else pixels
    said = {
        "affine": lie.affine.tolist(),
        "plane": lie.plane(0),
        "directions": lie.letters(0),
        "window": {"low": 0, "high": 255},
    }
    return Phantom(gray.astype(np.uint16), MASK, 255 * HEAT, spacing=lie.spacing, more=said | more)


def shown(desk: Desk, lie: Lie, pane: int, cursor: Three, **look: Any) -> Shown:
    """Colors at the middles of a pane's pixels, and which of them can be seen beside the crosshair."""
    where = desk.look(lie, pane, **look)
    across, down = where.middles()
    colors = desk.grid(pane, across, down)
    at_x, at_y = where.screen((cursor[0] + 0.5, cursor[1] + 0.5, cursor[2] + 0.5))
    free_x, free_y = (abs(a - b) > 4 * desk.ratio for a, b in ((across, at_x), (down, at_y)))
    return colors, (colors[..., 0] >= 0) & free_y[:, None] & free_x[None]


def assert_shown(
    desk: Desk, lie: Lie, layers: Layers, cursor: Three, panes: Sequence[int] = range(3), **look: Any
) -> int:
    """Compare planes with the scan, voxel by voxel; how many voxels were compared.

    Args:
        layers: A volume of zeros and ones, and the colors that these have.
    """
    volume, colors = layers
    count = 0
    for pane in panes:
        found, seen = shown(desk, lie, pane, cursor, **look)
        expected = lie.section(volume, pane, cursor[pane])
        away = np.stack([abs(found - color).sum(axis=2) for color in colors])
        assert (away.argmin(axis=0) == expected)[seen].all(), lie.plane(pane)
        count += int(seen.sum())
    return count


NUMBERS = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)


def numbered(lie: Lie) -> Phantom:
    """A scan in which each voxel has a value of its own."""
    more = {"affine": lie.affine.tolist(), "plane": lie.plane(0), "directions": lie.letters(0)}
    return Phantom(NUMBERS, spacing=lie.spacing, more=more)


def read(desk: Desk) -> tuple[Three, int] | None:
    """The voxel and the value that are said to be under the pointer."""
    text = desk.readout
    found = _READ.fullmatch(text)
    if found is None:
        assert text == "", text
        return None
    slice_, row, column, value = (int(each or 1) for each in found.groups())
    return (slice_ - 1, row - 1, column - 1), value
