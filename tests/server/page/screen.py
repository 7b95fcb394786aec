"""What is on the screen, in pixels, and what ought to be there."""

import io
from base64 import b64decode
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page
from scipy import ndimage

OUTLINE = (230, 159, 0)
"""The outline's colour."""

Mask = NDArray[np.bool_]
Picture = NDArray[np.int32]
Spacing = tuple[float | None, float | None, float | None]


def pane(page: Page, index: int = 0) -> Locator:
    """A canvas of the viewer that is shown."""
    return page.locator(".viewer-pane:visible").nth(index)


def picture(target: Locator) -> Picture:
    """What a part of the page shows now: (height, width, 3), 0 to 255."""
    while (box := target.bounding_box()) is None:  # it was replaced by another one just now
        target.page.wait_for_timeout(10)
    return image_of(target.page, FloatRect(**box))


def image_of(page: Page, clip: FloatRect) -> Picture:
    """What a rectangle of the window shows now: (height, width, 3), 0 to 255."""
    with Image.open(io.BytesIO(page.screenshot(clip=clip, animations="allow"))) as image:
        return np.asarray(image.convert("RGB")).astype(np.int32)


def drawn(target: Locator) -> Picture:
    """What a canvas holds: (height, width, 3), 0 to 255. Faster than `picture`; blind to what is over it."""
    # Not before the frame that an action has asked for, however late that is on a busy machine.
    url: str = target.evaluate(
        "async (canvas) => { await new Promise(requestAnimationFrame); return canvas.toDataURL(); }"
    )
    with Image.open(io.BytesIO(b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB")).astype(np.int32)


def colored(shown: Picture, color: tuple[int, int, int] = OUTLINE, reach: int = 60) -> Mask:
    """Where a colour is, give or take."""
    return np.asarray(np.abs(shown - color).max(axis=2) <= reach)


def inside(shown: Picture) -> Mask:
    """What lies within the outline, half of its line included."""
    line = ndimage.binary_closing(colored(shown), iterations=2)
    return np.asarray(ndimage.binary_erosion(ndimage.binary_fill_holes(line), iterations=1))


def fitted(mask: Mask, spacing: tuple[float, float], size: tuple[int, int]) -> Mask:
    """A mask as large as it has to be on a canvas that shows the whole slice.

    Args:
        mask: (rows, columns).
        spacing: Between rows and columns; only their proportion counts.
        size: The canvas's height and width.
    """
    (rows, columns), (height, width) = mask.shape, size
    scale = min(height / (rows * spacing[0]), width / (columns * spacing[1]))
    y = (np.arange(height) + 0.5 - height / 2) / (scale * spacing[0]) + rows / 2
    x = (np.arange(width) + 0.5 - width / 2) / (scale * spacing[1]) + columns / 2
    seen = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))
    found = mask[np.clip(y, 0, rows - 1).astype(int)[:, None], np.clip(x, 0, columns - 1).astype(int)]
    return np.asarray(found & seen)


def center(mask: Mask) -> NDArray[np.float64]:
    """The middle of all that is true: row and column."""
    assert mask.any(), "expected something to be there, found nothing"
    return np.asarray(np.argwhere(mask).mean(axis=0))


def told_layer(
    client: httpx.Client, id_: str, layer: str, index: int | None = None
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """What the API tells of a slice beside its pixels.

    Args:
        client: Of the server.
        id_: The analysis.
        layer: mask, heat or probability.
        index: The slice; by default the key slice.

    Returns:
        The layer (rows, columns), 0 to 255, and the spacing between rows and columns; 1 each where unknown.
    """
    view = client.get(f"/v1/analyses/{id_}/view").json()
    _, rows, columns = view["shape"]
    number = view["key_slice"] if index is None else index
    content = client.get(f"/v1/analyses/{id_}/view/slices/{number}").content
    size = rows * columns
    start = size * (2 + ["mask", "heat", "probability"].index(layer))
    found = np.frombuffer(content, np.uint8, size, start).reshape(rows, columns)
    return found, (view["spacing"][1] or 1, view["spacing"][2] or 1)


def told_mask(client: httpx.Client, id_: str, index: int | None = None) -> tuple[Mask, tuple[float, float]]:
    """The mask that the API tells of a slice, and its spacing; see `told_layer`."""
    layer, spacing = told_layer(client, id_, "mask", index)
    return layer > 0, spacing


def assert_outlined(shown: Picture, mask: Mask, spacing: tuple[float, float]) -> None:
    """The outline lies around the mask: the same middle to a pixel or two, and the same area."""
    found, wanted = inside(shown), fitted(mask, spacing, shown.shape[:2])
    assert np.abs(center(found) - center(wanted)).max() < 2
    assert (found & wanted).sum() / (found | wanted).sum() > 0.93


def wait_for(page: Page, told: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    for _ in range(100):
        if told():
            return
        page.wait_for_timeout(30)
    pytest.fail(f"waited in vain: {what}")


def assert_changed(page: Page, before: Picture, index: int = 0) -> Picture:
    """A pane shows something else than before, which is given back once it has settled."""
    wait_for(page, lambda: differs(drawn(pane(page, index)), before), "the picture stays as it was")
    now = settled(page, index)
    assert differs(now, before)
    return now


def assert_same(page: Page, before: Picture, index: int = 0) -> None:
    """A pane shows again what it showed before."""
    wait_for(page, lambda: not differs(drawn(pane(page, index)), before), "the picture isn't as it was")


def all_loaded(page: Page, slices: int) -> None:
    """Wait until every slice of a stack has come."""
    come = "performance.getEntriesByType('resource').filter((each) => each.name.includes('/slices/'))"
    page.wait_for_function(f"(slices) => {come}.length >= slices", arg=slices)


def settled(page: Page, index: int = 0) -> Picture:
    """What a pane shows once it doesn't change any more."""
    before, still = drawn(pane(page, index)), 0
    while still < (1 if lit(before) else 15):  # an empty pane may be one whose slice hasn't come yet
        page.wait_for_timeout(20)
        now = drawn(pane(page, index))
        before, still = now, 0 if differs(now, before) else still + 1
    return before


def lit(shown: Picture) -> bool:
    """Whether more than texts is to be seen."""
    return bool((shown.max(axis=2) > 20).mean() > 0.05)


def differs(one: Picture, other: Picture) -> bool:
    """Whether two pictures differ in more than what rounding makes."""
    return one.shape != other.shape or bool(np.abs(one - other).max() > 2)
