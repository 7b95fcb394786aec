"""Gray values, outlines and the band of doubt are drawn as the scan's numbers have them."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser

from tests.server.page.desk import Desk, browsing, desk_in
from tests.server.page.viewing import Phantom
from tests.server.page.where import Lie, middle_of

RED, GREEN, BLUE = range(3)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(browser: Browser) -> Iterator[Desk]:
    with desk_in(browser) as desk:
        yield desk


def asked(desk: Desk, module: str, script: str, *given: Any) -> Any:
    """What a module of the viewer answers; ``script`` gets it as ``m`` and what is given as ``g``."""
    return desk.page.evaluate(
        f"async (g) => {{ const m = await import('/viewer/{module}.js'); {script} }}", list(given)
    )


def grays(desk: Desk, low: float, high: float, slope: float = 1, intercept: float = 0) -> NDArray[np.int64]:
    """The gray of each of the 65536 stored values."""
    script = "return [...m.windowTable({ low: g[0], high: g[1] }, g[2], g[3])];"
    words = np.array(asked(desk, "raster", script, low, high, slope, intercept))
    channels: NDArray[np.int64] = np.stack([(words >> shift) & 255 for shift in (0, 8, 16, 24)])
    assert (channels[3] == 255).all()
    assert (channels[0] == channels[1]).all()
    assert (channels[0] == channels[2]).all()
    return np.asarray(channels[0])


@pytest.mark.parametrize(
    ("low", "high", "slope", "intercept"),
    [
        (0, 65535, 1, 0),
        (0, 255, 1, 0),
        (100, 101, 1, 0),
        (-150, 250, 1, -1024),
        (0.25, 0.75, 1 / 65535, 0),
        (40, 400, -0.5, 900),
        (-1e300, 1e300, 1, 0),
    ],
)
def test_a_value_becomes_gray_by_the_formula_of_dicom(
    desk: Desk, low: float, high: float, slope: float, intercept: float
) -> None:
    """LINEAR_EXACT of PS3.3 C.11.2.1.3.2, with center (low + high) / 2 and width high - low, rounded."""
    found = grays(desk, low, high, slope, intercept)
    center, width = low / 2 + high / 2, high - low
    values = np.arange(65536) * slope + intercept
    exact = ((values - center) / width + 0.5) * 255
    exact = np.where(values <= center - width / 2, 0, np.where(values > center + width / 2, 255, exact))
    assert np.abs(found - exact).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("value", [0, 5, 65535])
def test_a_scan_that_is_the_same_everywhere_is_shown(desk: Desk, value: int) -> None:
    more = {"window": {"low": value, "high": value}, "presets": []}
    desk.show(Phantom(np.full((1, 5, 7), value, np.uint16), more=more))
    assert len(np.unique(desk.picture())) == 1
    assert f"W 0  L {value}" in desk.words()


def loops(desk: Desk, mask: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """The outline as polygons, (points, 2): x, y."""
    rows, columns = mask.shape
    script = "return m.loopsAround(Uint8Array.from(g[0]), g[1], g[2]);"
    found = asked(desk, "contour", script, mask.ravel().tolist(), columns, rows)
    return [np.array(each, float).reshape(-1, 2) for each in found]


def turns(loop: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points lie in a polygon (even-odd)."""
    inside = np.zeros(x.shape, np.bool_)
    for (x1, y1), (x2, y2) in zip(loop, np.roll(loop, -1, axis=0), strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside


def area(loop: NDArray[np.float64]) -> float:
    x, y = loop.T
    return float(np.abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2)


def masks() -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(5)
    ring = np.zeros((9, 12), np.uint8)
    ring[2:7, 3:9] = 1
    ring[4, 5:7] = 0
    one, corner = np.zeros((5, 7), np.uint8), np.zeros((5, 7), np.uint8)
    one[2, 3] = corner[0, 0] = corner[4, 6] = 1
    touching = np.zeros((5, 6), np.uint8)
    touching[1, 1] = touching[2, 2] = touching[3, 3] = 1
    return {
        "one pixel": one,
        "in the corners": corner,
        "all": np.ones((4, 3), np.uint8),
        "with a hole": ring,
        "by their corners": touching,
        "a row": np.ones((1, 6), np.uint8),
        "noise": rng.integers(0, 2, (33, 17)).astype(np.uint8),
        "noise on one pixel's width": rng.integers(0, 2, (33, 1)).astype(np.uint8),
    }


@pytest.mark.parametrize("name", masks())
def test_an_outline_encloses_the_mask_and_nothing_else(desk: Desk, name: str) -> None:
    """Each pixel's middle lies within exactly where the mask has it; the line runs over borders of pixels."""
    mask = masks()[name]
    found = loops(desk, mask)
    y, x = np.indices(mask.shape) + 0.5
    inside = np.zeros(mask.shape, np.bool_)
    for loop in found:
        inside ^= turns(loop, x, y)
    assert (inside == mask).all()
    around = np.pad(mask, 1)
    for px, py in np.concatenate(found):
        is_upright = px % 1 == 0  # on the border between a left and a right pixel
        assert (px % 1, py % 1) == ((0, 0.5) if is_upright else (0.5, 0))
        row, column = math.floor(py) + 1, math.floor(px) + 1
        other = around[row, column - 1] if is_upright else around[row - 1, column]
        assert around[row, column] != other


def test_an_outlines_area_is_the_masks_to_half_a_pixel_a_loop(desk: Desk) -> None:
    """Corners are cut by an eighth of a pixel outside and filled by as much inside."""
    mask = masks()["with a hole"]
    outer, hole = sorted(map(area, loops(desk, mask)), reverse=True)
    assert outer == 30 - 0.5
    assert hole == 2 - 0.5


def test_an_empty_mask_has_no_outline(desk: Desk) -> None:
    assert loops(desk, np.zeros((6, 5), np.uint8)) == []
    nothing = np.zeros((3, 6, 5), np.uint8)
    phantom = Phantom(np.full((3, 6, 5), 9, np.uint16), nothing, nothing, nothing)
    desk.show(phantom, outline=True, fill=1, heat=1, uncertain=True, slice=1)
    assert len(np.unique(desk.picture().reshape(-1, 3), axis=0)) == 2  # the picture and what is beside it


@pytest.mark.parametrize("name", ["one pixel", "in the corners", "all", "with a hole"])
def test_the_outline_on_the_screen_separates_the_mask_from_the_rest(desk: Desk, name: str) -> None:
    mask = masks()[name]
    lie = Lie("SPL", (1, *mask.shape), (1, 0.8, 0.5))
    pixels = np.full(lie.shape, 0, np.uint16)
    more = {"window": {"low": 0, "high": 1}}
    desk.show(Phantom(pixels, mask[None], spacing=lie.spacing, more=more), outline=True, zoom=0.5)
    look = desk.look(lie, zoom=0.5)
    across, down = look.middles()
    line = desk.picture()[..., RED] > 128
    for row, column in zip(*np.nonzero(mask), strict=True):
        # From each pixel of the mask to the next one that isn't: one line is crossed, half way.
        for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            r, c = row + dr, column + dc
            is_inside = 0 <= r < mask.shape[0] and 0 <= c < mask.shape[1] and mask[r, c] == 1
            x, y = across[column], down[row]
            width, height = look.size()
            ends = (x, y), (x + dc * width, y + dr * height)
            steps = [
                line[int(y1), int(x1)]
                for y1, x1 in zip(*(np.linspace(ends[0][i], ends[1][i], 400) for i in (1, 0)), strict=True)
            ]
            assert any(steps) == (not is_inside)
            if not is_inside:
                assert np.flatnonzero(steps).mean() / 400 == pytest.approx(0.5, abs=0.06)  # corners are cut


def test_the_band_of_doubt_lies_where_the_probability_is_between_a_quarter_and_three_quarters(
    desk: Desk,
) -> None:
    lie = Lie("SPL", (1, 16, 16), (1, 1, 1))
    probability = np.arange(256, dtype=np.uint8).reshape(lie.shape)
    desk.color(**{"--uncertain": "rgb(0 255 0)"})
    phantom = Phantom(np.zeros(lie.shape, np.uint16), probability=probability, spacing=lie.spacing)
    desk.show(phantom, uncertain=True)
    look, green = desk.look(lie), desk.picture()[..., GREEN]
    across, down = look.middles()
    side = int(look.size()[0] * 0.2)
    for value in range(256):
        x, y = int(across[value % 16]), int(down[value // 16])
        is_hatched = bool((green[y - side : y + side, x - side : x + side] > 100).any())
        assert is_hatched == (0.25 <= value / 255 <= 0.75), value


def test_a_large_picture_that_is_drawn_from_fewer_pixels_stays_in_its_place(desk: Desk) -> None:
    """Above 4096 pixels a side only each third or so is drawn, which moves edges by less than that."""
    lie = Lie("SPL", (1, 9001, 301), (1, 1, 1))
    look: dict[str, Any] = {"zoom": 40.0, "center": (0.5, 6007 / 9001, 127 / 301)}
    away = []
    for shift in range(3):
        pixels, mask = np.zeros(lie.shape, np.uint16), np.zeros(lie.shape, np.uint8)
        block = np.s_[0, 6000 + shift : 6012 + shift, 120 + shift : 132 + shift]
        pixels[block], mask[block] = 255, 1
        more = {"window": {"low": 0, "high": 255}}
        desk.show(Phantom(pixels, mask, spacing=lie.spacing, more=more), **look)
        place = desk.look(lie, **look).screen((0.5, 6006 + shift, 126 + shift))
        away.append(np.subtract(middle_of(desk.picture()[..., GREEN]), place))
        desk.apply(fill=1)
        colors = desk.picture()
        assert middle_of((colors[..., RED] - colors[..., GREEN]).clip(0)) == pytest.approx(place, abs=0.25)
    assert np.mean(away, axis=0) == pytest.approx([0, 0], abs=0.4)


def test_a_small_picture_of_many_pixels_stays_in_its_place(desk: Desk) -> None:
    lie = Lie("SPL", (1, 2501, 1999), (1, 0.3, 0.4))
    pixels = np.zeros(lie.shape, np.uint16)
    pixels[0, 400:430, 1500:1541] = 255
    desk.show(Phantom(pixels, spacing=lie.spacing, more={"window": {"low": 0, "high": 255}}))
    expected = desk.look(lie).screen((0.5, 415, 1520.5))
    assert middle_of(desk.picture()[..., GREEN]) == pytest.approx(expected, abs=0.25)


def test_a_browser_that_plays_a_finer_screen_is_drawn_for_as_finely(browser: Browser) -> None:
    """As the tools of developers do; such a browser tells wrong sizes in device pixels."""
    lie = Lie("SPL", (1, 33, 17), (1, 0.8, 0.5))
    with desk_in(browser, 2) as desk:
        desk.show(Phantom(np.zeros(lie.shape, np.uint16), spacing=lie.spacing))
        box = desk.page.locator(".viewer-pane").bounding_box()
        assert box is not None
        look = desk.look(lie)
        assert (look.width, look.height) == pytest.approx((2 * box["width"], 2 * box["height"]), abs=1)
