"""Picture, mask, outline, heatmap, crosshair and ruler meet to a fraction of a screen pixel."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.server.page.desk import COLORS, Desk, browsing, desk_in
from tests.server.page.viewing import Phantom
from tests.server.page.volumes import GRAYS, LIES, NUMBERS, PIXELS, assert_shown, noisy, numbered, read
from tests.server.page.where import Lie, Look, Place, Three, middle_of

LIE = Lie("SPL", (3, 33, 17), (4.0, 0.8, 0.5))
VOXEL: Three = (1, 20, 11)
MIDDLE: Place = (1.5, 20.5, 11.5)
LOOKS = [(1.0, (0.5, 0.5, 0.5)), (1.7, (0.4, 0.61, 0.58)), (3.3, (0.5, 0.57, 0.61))]
FINE = 0.2  # device pixels
LINE = 0.5  # the same; an edge of a line is smoothed
SMOOTHING = 28  # the browser, without a graphics card, enlarges in steps of a 16th of a voxel, rounded down
RED, GREEN, BLUE = range(3)


@pytest.fixture(scope="module", params=[1, 1.5, 2])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The viewer on a screen with so many device pixels a CSS pixel."""
    with browsing(request.param) as browser, desk_in(browser, request.param) as desk:
        yield desk


def scan(lie: Lie = LIE, dark: int = 0, bright: int = 255) -> Phantom:
    """One voxel is bright, outlined and hot."""
    pixels = np.full(lie.shape, dark, np.uint16)
    mask, heat = np.zeros(lie.shape, np.uint8), np.zeros(lie.shape, np.uint8)
    pixels[VOXEL], mask[VOXEL], heat[VOXEL] = bright, 1, 255
    return Phantom(pixels, mask, heat, spacing=lie.spacing, more={"window": {"low": 0, "high": 255}})


@pytest.mark.parametrize(("zoom", "center"), LOOKS)
def test_everything_drawn_of_a_voxel_has_its_middle_where_the_voxel_has(
    desk: Desk, zoom: float, center: tuple[float, float, float]
) -> None:
    look: dict[str, Any] = {"zoom": zoom, "center": center}
    desk.show(scan(), slice=1, **look)
    place, sizes = desk.look(LIE, **look).screen(MIDDLE), desk.look(LIE, **look).size()
    smooth = pytest.approx(place, abs=FINE + max(sizes) / SMOOTHING)
    expected = pytest.approx(place, abs=FINE)
    assert middle_of(desk.picture()[..., GREEN]) == smooth
    desk.show(scan(bright=0), slice=1, heat=1, **look)
    green = desk.picture()[..., GREEN]
    green[-60 * int(np.ceil(desk.ratio)) :] = 0  # the legend
    assert middle_of(green) == smooth
    desk.apply(heat=0, fill=1)
    assert middle_of(desk.picture()[..., RED]) == expected
    desk.apply(fill=0, outline=True)
    assert middle_of(desk.picture()[..., RED]) == pytest.approx(place, abs=LINE)


@pytest.mark.parametrize(("zoom", "center"), LOOKS)
def test_a_filled_voxel_ends_at_the_voxels_edges(
    desk: Desk, zoom: float, center: tuple[float, float, float]
) -> None:
    look = desk.look(LIE, zoom=zoom, center=center)
    desk.show(scan(), slice=1, fill=1, zoom=zoom, center=center)
    x, y = look.screen(MIDDLE)
    width, height = look.size()
    red = desk.picture()[..., RED] - desk.picture()[..., GREEN]
    across, down = red[int(y)] / 255, red[:, int(x)] / 255
    # Its corners are cut, so that beside the very middle a little is missing.
    assert across.sum() == pytest.approx(width, abs=2)
    assert down.sum() == pytest.approx(height, abs=2)
    assert np.flatnonzero(across > 0.5)[0] == pytest.approx(x - width / 2, abs=1.5)
    assert np.flatnonzero(down > 0.5)[0] == pytest.approx(y - height / 2, abs=1.5)


def test_the_crosshair_crosses_in_the_middle_of_its_voxel(desk: Desk) -> None:
    lie = Lie("SPL", LIE.shape, LIE.spacing, is_known=False)
    desk.show(scan(), layout="planes", slice=1, cursor=VOXEL[1:])
    for pane in range(3):
        color = desk.picture(pane)
        is_line = (color[..., RED] > 200) & (color[..., BLUE] > 200) & (color[..., GREEN] < 60)
        x, y = desk.look(lie, pane).screen(MIDDLE)
        assert is_line.sum(axis=0).argmax() + 0.5 == pytest.approx(x, abs=1)
        assert is_line.sum(axis=1).argmax() + 0.5 == pytest.approx(y, abs=1)


def test_a_ruler_is_drawn_from_where_the_pointer_went_down_to_where_it_went_up(desk: Desk) -> None:
    desk.show(scan(bright=0), slice=1, tool="ruler", zoom=1.4)
    look = desk.look(LIE, zoom=1.4)
    start, end = look.screen((1.5, 12.5, 4.5)), look.screen((1.5, 24.5, 12.5))
    desk.drag(0, start, end)
    desk.page.keyboard.press("Escape")
    blue = desk.picture()[..., BLUE] - desk.picture()[..., GREEN]
    middle = tuple((a + b) / 2 for a, b in zip(start, end, strict=True))
    mouse = 1.25 * desk.ratio  # it moves by CSS pixels
    assert middle_of(blue.clip(0)) == pytest.approx(middle, abs=mouse)
    rows, columns = np.nonzero(blue > 100)
    caps = 5 * desk.ratio  # across the ends
    assert columns.min() == pytest.approx(start[0], abs=caps + 2)
    assert columns.max() == pytest.approx(end[0], abs=caps + 2)
    assert rows.min() == pytest.approx(start[1], abs=caps + 2)
    assert rows.max() == pytest.approx(end[1], abs=caps + 2)


@pytest.mark.parametrize("pane", range(3))
def test_the_scale_is_as_long_as_it_says(desk: Desk, pane: int) -> None:
    lie = Lie("SPL", LIE.shape, LIE.spacing)
    more = {"affine": lie.affine.tolist(), "plane": "axial", "directions": lie.letters(0)}
    desk.color(**{"--viewer-text": "rgb(0 255 255)"})
    desk.show(Phantom(np.zeros(lie.shape, np.uint16), spacing=lie.spacing, more=more), layout="planes")
    desk.color(**COLORS)
    color = desk.picture(pane)
    is_bar = color[..., GREEN] - color[..., RED] > 60
    row = is_bar.sum(axis=1).argmax()
    [said] = [each for each in desk.words(pane) if each.endswith((" mm", " cm"))]
    length = float(said[:-3]) * (10 if said.endswith("cm") else 1)
    look = desk.look(lie, pane)
    assert is_bar[row].sum() == pytest.approx(length * look.pixels_a_mm, abs=3 * desk.ratio)


def test_a_screen_shows_a_canvas_pixel_by_pixel(desk: Desk) -> None:
    """Nothing is enlarged or shifted between canvas and screen."""
    desk.show(scan(dark=40), slice=1, zoom=2)
    left, top = desk.page.evaluate(
        "(({ left, top }) => [left, top])(document.querySelector('.viewer-pane').getBoundingClientRect())"
    )
    canvas = desk.picture()
    screen = desk.screenshot()
    at = round(left * desk.ratio), round(top * desk.ratio)
    part = screen[at[1] : at[1] + canvas.shape[0], at[0] : at[0] + canvas.shape[1]]
    assert part.shape == canvas.shape
    inner = (slice(10, -10), slice(10, -10))  # the focus' ring is drawn over the edge
    assert np.abs(part - canvas)[inner].max() <= 2


def test_every_voxel_lies_where_it_must_at_any_zoom_and_center(desk: Desk) -> None:
    rng = np.random.default_rng(7)
    lie, cursor = LIES["SPL"], (3, 11, 4)
    desk.show(noisy(lie), layout="planes", slice=3, cursor=[11, 4])
    count = 0
    for _ in range(8):
        zoom, center = float(np.exp(rng.uniform(np.log(0.6), np.log(9)))), tuple(rng.uniform(0, 1, 3))
        desk.apply(zoom=zoom, center=center)
        count += assert_shown(desk, lie, (PIXELS, GRAYS), cursor, zoom=zoom, center=center)
    assert count > 1000


def within(look: Look, voxel: Three, rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """A place on the canvas that is in a voxel, so many device pixels from its edge."""
    x, y = look.screen((voxel[0] + 0.5, voxel[1] + 0.5, voxel[2] + 0.5))
    room = [max(size / 2 - margin, 0) for size in look.size()]
    return x + rng.uniform(-room[0], room[0]), y + rng.uniform(-room[1], room[1])


def test_the_voxel_under_the_pointer_is_named_with_its_value_at_any_zoom_and_center(desk: Desk) -> None:
    rng = np.random.default_rng(11)
    lie, at = LIES["SPL"], (2, 20, 8)
    desk.show(numbered(lie), layout="planes", slice=at[0], cursor=at[1:])
    met = 0
    for _ in range(90):
        zoom, center = float(np.exp(rng.uniform(np.log(0.6), np.log(20)))), tuple(rng.uniform(0, 1, 3))
        pane = int(rng.integers(3))
        desk.apply(zoom=zoom, center=center)
        look = desk.look(lie, pane, zoom=zoom, center=center)
        place = rng.integers(lie.shape).tolist()
        place[pane] = at[pane]
        voxel = (place[0], place[1], place[2])
        x, y = within(look, voxel, rng, margin=2 * desk.ratio)
        if not (2 < x < look.width - 2 and 2 < y < look.height - 2) or min(look.size()) < 4 * desk.ratio:
            continue
        desk.point(pane, x, y)
        assert read(desk) == (voxel, NUMBERS[voxel])
        met += 1
    assert met > 20
    desk.apply(zoom=0.6, center=[0.5, 0.5, 0.5])
    look = desk.look(lie, 0, zoom=0.6)
    for beside in ((2.5, -0.2, 8.5), (2.5, 33.2, 8.5), (2.5, 16.5, -0.3), (2.5, 16.5, 17.3)):
        desk.point(0, *look.screen(beside))
        assert read(desk) is None
