"""A browser with the viewer in it, and what can be read off its canvases."""

import io
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.debian import program
from tests.server.page.viewing import Phantom, served
from tests.server.page.where import Lie, Look

SIZE = (803, 607)  # CSS pixels, odd so that little falls onto whole pixels by luck
PLAIN = {"outline": False, "fill": 0, "heat": 0, "uncertain": False, "tool": "window"}
COLORS = {
    "--outline": "rgb(255 0 0)",
    "--heat-high": "rgb(0 255 0)",
    "--viewer-ruler": "rgb(0 0 255)",
    "--viewer-crosshair": "rgb(255 0 255)",
    "--viewer-text": "transparent",
}
_GRID = """([pane, across, down]) => {
  viewer.draw();
  const canvas = document.querySelectorAll(".viewer-pane")[pane];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return down.flatMap((y) => across.flatMap((x) => {
    const at = 4 * (y * canvas.width + x);
    const isOn = x >= 0 && y >= 0 && x < canvas.width && y < canvas.height;
    return isOn ? [...data.slice(at, at + 3)] : [-1, -1, -1];
  }));
}"""
_PANE = "document.querySelectorAll('.viewer-pane')"
# Texts are noted instead of drawn: they would lie over what is looked at.
NOTES = """
const kind = CanvasRenderingContext2D.prototype;
kind.strokeText = () => undefined;
kind.fillText = function (text, x, y) { (this.canvas.texts ??= []).push({ text, x, y }); };
"""


@dataclass(frozen=True)
class Text:
    """Something written on a canvas, and where, in device pixels."""

    text: str
    x: float
    y: float


@dataclass
class Desk:
    """The viewer on a page of its own.

    Attributes:
        page: The page.
        ratio: Device pixels a CSS pixel.
        scans: What the page's server hands out.
        complaints: What the browser complained about.
    """

    page: Page
    ratio: float
    scans: dict[str, Phantom]
    complaints: list[str] = field(default_factory=list)
    _shown: int = 0

    def show(self, phantom: Phantom, **state: Any) -> None:
        """Open a scan, with nothing drawn over it but what ``state`` says."""
        self._shown += 1
        self.scans[f"scan{self._shown}"] = phantom  # slices of the one before may still be on their way
        self.scans.pop(f"scan{self._shown - 3}", None)
        self.page.evaluate("(name) => open(name)", f"scan{self._shown}")
        self.apply(**PLAIN | state)
        self.page.evaluate("shown()")
        if state.get("layout") == "planes":
            self.page.evaluate("whole()")
        if state.get("layout") == "surface":
            self.page.locator(".viewer-surface .viewer-sentence").wait_for(state="hidden")
        self.frame()
        self.frame()  # only after the first one the canvases have their sizes

    def apply(self, **state: Any) -> None:
        """Change the viewer's state."""
        self.page.evaluate("(state) => { viewer.apply(state); }", state)

    def frame(self) -> None:
        """Wait until the next frame is drawn."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => done(null)))")

    def color(self, **colors: str) -> None:
        """Set colors by their names in CSS; they count from the next scan on."""
        setter = "(c) => Object.entries(c).forEach((each) => viewer.element.style.setProperty(...each))"
        self.page.evaluate(setter, colors)

    @property
    def state(self) -> dict[str, Any]:
        """The viewer's."""
        return dict(self.page.evaluate("viewer.state"))

    def picture(self, pane: int = 0) -> NDArray[np.int32]:
        """What a pane's canvas shows now: (height, width, 3), 0 to 255."""
        return colors(self.page, pane)

    def screenshot(self) -> NDArray[np.int32]:
        """The page as the screen shows it: (height, width, 3) in device pixels, 0 to 255."""
        return _decoded(self.page.screenshot())

    def grid(self, pane: int, across: NDArray[np.floating], down: NDArray[np.floating]) -> NDArray[np.int32]:
        """Colors (rows, columns, 3) where lines across and down (device pixels) cross; -1 beside it."""
        x, y = (np.floor(each).astype(int).tolist() for each in (across, down))
        return np.asarray(self.page.evaluate(_GRID, [pane, x, y]), np.int32).reshape(len(y), len(x), 3)

    def texts(self, pane: int = 0) -> list[Text]:
        """What is written onto a pane."""
        return written(self.page, pane)

    def words(self, pane: int = 0) -> list[str]:
        """The same without the places."""
        return [each.text for each in self.texts(pane)]

    def look(self, lie: Lie, pane: int = 0, **state: Any) -> Look:
        """What must be on a pane's canvas."""
        width, height = self.page.evaluate(f"{{ const c = {_PANE}[{pane}]; [c.width, c.height]; }}")
        return Look(lie, pane, width, height, **state)

    def client(self, pane: int, x: float, y: float) -> tuple[float, float]:
        """Where a place of a canvas (device pixels) lies on the page (CSS pixels), as the mouse counts."""
        left, top = self.page.evaluate(
            f"{{ const b = {_PANE}[{pane}].getBoundingClientRect(); [b.left, b.top]; }}"
        )
        return left + x / self.ratio, top + y / self.ratio

    def point(self, pane: int, x: float, y: float) -> None:
        """Move the mouse to a place of a canvas."""
        self.page.mouse.move(*self.client(pane, x, y))

    def drag(self, pane: int, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the mouse over a canvas."""
        self.point(pane, *start)
        self.page.mouse.down()
        self.point(pane, *((a + b) / 2 for a, b in zip(start, end, strict=True)))
        self.point(pane, *end)
        self.page.mouse.up()

    @property
    def readout(self) -> str:
        """What is said of the pixel under the pointer, once the next frame is drawn."""
        self.frame()
        return self.page.locator(".viewer-readout").inner_text()


def colors(page: Page, pane: int) -> NDArray[np.int32]:
    """What a pane of the page's ``viewer`` shows: (height, width, 3), 0 to 255."""
    url = page.evaluate(f"{{ viewer.draw(); {_PANE}[{pane}].toDataURL(); }}")
    return _decoded(b64decode(url.split(",")[1]))


def written(page: Page, pane: int) -> list[Text]:
    """What is written onto a pane of the page's ``viewer``; with `NOTES` before the page's own scripts."""
    found = page.evaluate(f"{{ const c = {_PANE}[{pane}]; c.texts = []; viewer.draw(); c.texts; }}")
    return [Text(**each) for each in found]


def _decoded(png: bytes) -> NDArray[np.int32]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).astype(np.int32)


@contextmanager
def browsing(ratio: float = 1.0) -> Iterator[Browser]:
    """Chromium on a screen with so many device pixels a CSS pixel, for as long as the block lasts."""
    words = ["--no-sandbox", f"--force-device-scale-factor={ratio}"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program("chromium"), args=words)
        yield started
        started.close()


@contextmanager
def desk_in(browser: Browser, ratio: float = 1.0, size: tuple[int, int] = SIZE) -> Iterator[Desk]:
    """A page with the viewer; fails where the browser complained."""
    scans: dict[str, Phantom] = {}
    with served(scans) as address:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, device_scale_factor=ratio
        )
        context.set_default_timeout(10_000)
        page = context.new_page()
        desk = Desk(page, ratio, scans)
        page.on("pageerror", lambda error: desk.complaints.append(str(error)))
        page.on("console", lambda line: desk.complaints.append(line.text) if line.type == "error" else None)
        page.add_init_script(NOTES)
        page.goto(address, wait_until="load")
        desk.color(**COLORS)
        yield desk
        context.close()
    assert desk.complaints == [], desk.complaints
