"""What lies under the pointer is what is said, moved, measured and shown there."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from tests.server.page.desk import Desk, browsing, desk_in
from tests.server.page.viewing import Phantom
from tests.server.page.volumes import LIES, NUMBERS, numbered, read
from tests.server.page.where import Lie, Place

LIE = LIES["SPL"]
RATIO = 1.5


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with browsing(RATIO) as browser, desk_in(browser, RATIO) as desk:
        yield desk


def test_nothing_is_said_once_the_pointer_has_left(desk: Desk) -> None:
    desk.show(numbered(LIE), slice=1)
    desk.point(0, *desk.look(LIE).screen((1.5, 16.5, 8.5)))
    assert read(desk) == ((1, 16, 8), NUMBERS[1, 16, 8])
    desk.page.mouse.move(5, 5)
    assert read(desk) is None


def test_what_is_said_follows_the_slice_under_a_pointer_that_rests(desk: Desk) -> None:
    desk.show(numbered(LIE), slice=1)
    desk.point(0, *desk.look(LIE).screen((1.5, 16.5, 8.5)))
    desk.page.mouse.wheel(0, 100)
    assert read(desk) == ((2, 16, 8), NUMBERS[2, 16, 8])
    desk.page.locator(".viewer-stage").press("PageDown")
    assert read(desk) == ((4, 16, 8), NUMBERS[4, 16, 8])


@pytest.mark.parametrize("pane", range(3))
def test_panning_carries_the_picture_along_with_the_pointer(desk: Desk, pane: int) -> None:
    desk.show(numbered(LIE), layout="planes", slice=2, cursor=[20, 8], tool="pan", zoom=2)
    look = desk.look(LIE, pane, zoom=2)
    start = look.screen((2.5, 20.5, 8.5))
    end = (start[0] + 31, start[1] - 44)
    desk.drag(pane, start, end)
    after = desk.look(LIE, pane, zoom=2, center=tuple(desk.state["center"]))
    assert after.screen((2.5, 20.5, 8.5)) == pytest.approx(end, abs=0.75 * desk.ratio)
    assert read(desk) == ((2, 20, 8), NUMBERS[2, 20, 8])


@pytest.mark.parametrize("pane", range(3))
def test_zooming_by_the_wheel_leaves_what_is_under_the_pointer_there(desk: Desk, pane: int) -> None:
    desk.show(numbered(LIE), layout="planes", slice=2, cursor=[20, 8], zoom=1.5)
    place = desk.look(LIE, pane, zoom=1.5).screen((1.7, 13.3, 6.2))
    desk.point(pane, *place)
    desk.page.keyboard.down("Control")
    for step in (-100, -100, -100, 100):
        desk.page.mouse.wheel(0, step)
    desk.page.keyboard.up("Control")
    state = desk.state
    assert state["zoom"] == pytest.approx(1.5 * 1.2**2)
    after = desk.look(LIE, pane, zoom=state["zoom"], center=tuple(state["center"]))
    assert after.screen((1.7, 13.3, 6.2)) == pytest.approx(place, abs=0.75 * desk.ratio)


@pytest.mark.parametrize("pane", range(3))
def test_the_wheel_goes_through_the_planes_of_the_pane_under_it(desk: Desk, pane: int) -> None:
    desk.show(numbered(LIE), layout="planes", slice=2, cursor=[20, 8])
    look = desk.look(LIE, pane)
    desk.point(pane, look.width / 2, look.height / 2)
    desk.page.mouse.wheel(0, 100)
    expected = [2, 20, 8]
    expected[pane] += 1
    assert [desk.state["slice"], *desk.state["cursor"]] == expected
    what = ("Slice", "Row", "Column")[pane]
    assert f"{what} {expected[pane] + 1} of {LIE.shape[pane]}" in desk.words(pane)


@pytest.mark.parametrize("lie", [LIE, LIES["AIL"]], ids=lambda lie: lie.towards)
@pytest.mark.parametrize("pane", range(3))
def test_a_click_with_the_crosshair_brings_all_planes_to_that_voxel(desk: Desk, pane: int, lie: Lie) -> None:
    at, voxel = [2, 20, 8], [4, 7, 13]
    desk.show(numbered(lie), layout="planes", slice=at[0], cursor=at[1:], tool="crosshair")
    voxel[pane] = at[pane]
    x, y = desk.look(lie, pane).screen((voxel[0] + 0.5, voxel[1] + 0.5, voxel[2] + 0.5))
    desk.page.mouse.click(*desk.client(pane, x, y))
    assert [desk.state["slice"], *desk.state["cursor"]] == voxel
    for other in range(3):
        what = ("Slice", "Row", "Column")[other]
        assert f"{what} {voxel[other] + 1} of {lie.shape[other]}" in desk.words(other)
        look = desk.look(lie, other)
        desk.point(other, *look.screen((voxel[0] + 0.5, voxel[1] + 0.5, voxel[2] + 0.5)))
        assert read(desk) == (tuple(voxel), NUMBERS[tuple(voxel)])


def millimetres(lie: Lie, start: Place, end: Place) -> float:
    return float(np.linalg.norm((np.array(end) - start) * lie.spacing))


@pytest.mark.parametrize("pane", range(3))
def test_a_ruler_is_as_long_as_the_millimetres_between_its_ends(desk: Desk, pane: int) -> None:
    rng = np.random.default_rng(pane)
    desk.show(numbered(LIE), layout="planes", slice=2, cursor=[20, 8], tool="ruler")
    for zoom in (1, 1.3):
        ends = []
        for _ in range(2):
            place = rng.uniform(0.2, 0.8, 3) * LIE.shape
            place[pane] = (2, 20, 8)[pane]
            ends.append(tuple(place.tolist()))
        desk.apply(zoom=zoom, center=[0.5, 0.5, 0.5])
        look = desk.look(LIE, pane, zoom=zoom)
        desk.drag(pane, look.screen(ends[0]), look.screen(ends[1]))
        [written] = [each for each in desk.texts(pane) if re.fullmatch(r"\d+\.\d mm", each.text)]
        pixel = 1.5 * desk.ratio / look.pixels_a_mm
        assert float(written.text[:-3]) == pytest.approx(millimetres(LIE, ends[0], ends[1]), abs=0.05 + pixel)
        assert max(look.screen(each)[0] for each in ends) < written.x
        desk.page.keyboard.press("Delete")
        assert [each for each in desk.texts(pane) if re.fullmatch(r"\d+\.\d mm", each.text)] == []


def test_a_ruler_over_whole_voxels_says_their_millimetres_exactly(desk: Desk) -> None:
    desk.show(numbered(LIE), slice=2, tool="ruler")
    stage = desk.page.locator(".viewer-stage")
    stage.press("Enter")
    assert ruler(desk) == 17 * 0.5  # it stops at the picture's edges
    for _ in range(3):
        stage.press("ArrowLeft")
    assert ruler(desk) == 14 * 0.5
    stage.press("Shift+ArrowDown")
    assert ruler(desk) == pytest.approx(np.hypot(14 * 0.5, 10 * 0.8), abs=0.05)
    stage.press("Enter")  # the other end
    stage.press("ArrowRight")
    stage.press("ArrowDown")
    assert ruler(desk) == pytest.approx(np.hypot(13 * 0.5, 9 * 0.8), abs=0.05)


def test_a_ruler_on_a_scan_without_spacing_counts_pixels(desk: Desk) -> None:
    desk.show(Phantom(NUMBERS[:1]), tool="ruler")
    lie = Lie("SPL", (1, 33, 17), (1, 1, 1))
    look = desk.look(lie)
    desk.drag(0, look.screen((0.5, 4, 2)), look.screen((0.5, 16, 11)))
    assert "15 px" in desk.words()
    assert not any("mm" in each for each in desk.words())


def ruler(desk: Desk) -> float:
    [found] = [each for each in desk.words() if re.fullmatch(r"\d+\.\d mm", each)]
    return float(found[:-3])


@pytest.mark.parametrize("pane", range(3))
def test_two_fingers_keep_what_lies_under_them(desk: Desk, pane: int) -> None:
    session = desk.page.context.new_cdp_session(desk.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    desk.show(numbered(LIE), layout="planes", slice=2, cursor=[20, 8], zoom=1.5)
    look = desk.look(LIE, pane, zoom=1.5)
    places = (2.1, 18.3, 6.2), (2.8, 21.9, 9.4)
    start = [look.screen(place) for place in places]
    middle = np.mean(start, axis=0)
    end = [middle + 1.6 * np.subtract(each, middle) + (20, -15) for each in start]
    for kind, share in (("touchStart", 0), ("touchMove", 0.25), ("touchMove", 0.6), ("touchMove", 1)):
        points = [np.add(a, share * np.subtract(b, a)) for a, b in zip(start, end, strict=True)]
        at = [desk.client(pane, float(x), float(y)) for x, y in points]
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(at)]},
        )
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    state = desk.state
    assert state["zoom"] == pytest.approx(1.5 * 1.6, rel=0.02)
    after = desk.look(LIE, pane, zoom=state["zoom"], center=tuple(state["center"]))
    for place, expected in zip(places, end, strict=True):
        assert after.screen(place) == pytest.approx(tuple(expected), abs=2 * desk.ratio)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
