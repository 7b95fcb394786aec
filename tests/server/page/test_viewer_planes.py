"""Every voxel of a scan, of its mask and of its heatmap is shown where it lies, in every plane."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.server.page.desk import Desk, browsing, desk_in
from tests.server.page.volumes import (
    DARK,
    GRAYS,
    HEAT,
    LIES,
    MASK,
    PIXELS,
    SHAPE,
    SPACING,
    assert_shown,
    noisy,
)
from tests.server.page.where import Lie

RATIO = 1.5


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with browsing(RATIO) as browser, desk_in(browser, RATIO) as desk:
        yield desk


@pytest.mark.parametrize("towards", LIES)
def test_every_voxel_lies_where_it_must_in_all_three_planes(desk: Desk, towards: str) -> None:
    lie = LIES[towards]
    for cursor in ((3, 11, 4), (0, 32, 16)):
        desk.show(noisy(lie), layout="planes", slice=cursor[0], cursor=cursor[1:])
        assert assert_shown(desk, lie, (PIXELS, GRAYS), cursor) > 600


@pytest.mark.parametrize("towards", ["SAR", "IAL", "PSR", "RSA"])
def test_planes_across_are_turned_right_even_where_the_slices_arent(desk: Desk, towards: str) -> None:
    """Slices are shown as they come; the server turns them before."""
    lie, cursor = Lie(towards, SHAPE, SPACING), (3, 11, 4)
    desk.show(noisy(lie), layout="planes", slice=3, cursor=[11, 4])
    assert assert_shown(desk, lie, (PIXELS, GRAYS), cursor, panes=(1, 2)) > 150


@pytest.mark.parametrize("towards", ["SPL", "AIL", "RIP"])
def test_mask_and_heatmap_lie_on_their_voxels(desk: Desk, towards: str) -> None:
    lie, cursor = LIES[towards], (3, 11, 4)
    desk.show(noisy(lie, pixels=np.full(SHAPE, DARK)), layout="planes", slice=3, cursor=[11, 4], fill=1)
    assert assert_shown(desk, lie, (MASK, [GRAYS[0], (255, 0, 0)]), cursor) > 600
    desk.apply(fill=0, heat=1)
    assert assert_shown(desk, lie, (HEAT, [GRAYS[0], (0, 255, 0)]), cursor) > 600


def test_tilted_slices_are_named_and_turned_as_upright_ones(desk: Desk) -> None:
    lie, cursor = LIES["IPL"], (1, 20, 9)
    c, s = np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))
    tilt = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    more = {"affine": (tilt @ lie.affine).tolist()}
    desk.show(noisy(lie, **more), layout="planes", slice=1, cursor=cursor[1:])
    assert assert_shown(desk, lie, (PIXELS, GRAYS), cursor) > 600
    assert all(name in desk.words(pane) for pane, name in enumerate(("Axial", "Coronal", "Sagittal")))


@pytest.mark.parametrize("towards", LIES)
def test_each_side_of_a_plane_has_the_letter_of_what_lies_there(desk: Desk, towards: str) -> None:
    lie = LIES[towards]
    desk.show(noisy(lie), layout="planes", slice=3, cursor=[11, 4])
    for pane, index in enumerate((3, 11, 4)):
        look = desk.look(lie, pane)
        written = {each.text: (each.x / look.width, each.y / look.height) for each in desk.texts(pane)}
        letters = lie.letters(pane)
        middles = {"left": (0, 0.5), "right": (1, 0.5), "top": (0.5, 0), "bottom": (0.5, 1)}
        for side, middle in middles.items():
            assert written[letters[side]] == pytest.approx(middle, abs=0.1)
        assert lie.plane(pane).capitalize() in written
        what = ("Slice", "Row", "Column")[pane]
        assert f"{what} {index + 1} of {SHAPE[pane]}" in written


def test_a_scan_that_doesnt_say_how_it_lies_is_cut_along_its_rows_and_columns_without_letters(
    desk: Desk,
) -> None:
    lie, cursor = Lie("IPL", SHAPE, SPACING, is_known=False), (2, 5, 6)
    more = {"affine": None, "plane": None, "directions": None}
    desk.show(noisy(lie, **more), layout="planes", slice=2, cursor=[5, 6])
    assert assert_shown(desk, lie, (PIXELS, GRAYS), cursor) > 600
    for pane in range(3):
        assert not {"L", "R", "A", "P", "S", "I"} & set(desk.words(pane))
