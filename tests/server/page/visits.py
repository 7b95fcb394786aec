"""Visits to the page in a browser that listens for every complaint."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, expect

WAIT = 15_000
"""Milliseconds until a test gives up."""
ROOMY = {"width": 1440, "height": 760}
"""The least at which all of the viewer's controls are in sight."""

_SEED = """
const [place, own] = ["tumorlens.scans", location.host && origin !== "null"];
if (own && !sessionStorage.getItem(place)) sessionStorage.setItem(place, {kept});
"""
_WATCH = "addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.blockedURI));"


class Visits:
    """Opens the page, each time as somebody who was never there, and keeps what the browser complains of."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self._contexts: list[BrowserContext] = []
        self._forgiven: list[str] = []
        self._heard: list[str] = []

    def open(self, *analyses: str, address: str | None = None, **context: Any) -> Page:
        """The page, once it is loaded.

        Args:
            analyses: Ids of scans that this tab has opened before; the first one is looked at.
            address: Of another server.
            context: See Playwright's ``new_context``.
        """
        where = address or self._address
        made = self._browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
        self._contexts.append(made)
        made.set_default_timeout(WAIT)
        expect.set_options(timeout=WAIT)
        made.add_init_script(_WATCH)
        if analyses:
            kept = [{"id": id_, "name": f"scan {id_[:4]}", "selected": False} for id_ in analyses]
            kept[0]["selected"] = True
            made.add_init_script(_SEED.replace("{kept}", json.dumps(json.dumps(kept))))
        made.on("console", lambda line: self._hear(line.type, line.text))
        made.on("weberror", lambda error: self._heard.append(str(error.error)))
        made.on("request", lambda request: self._see(request, where))
        page = made.new_page()
        page.goto(where)
        if analyses:
            expect(page.locator(".card[data-state=done]")).to_have_count(len(analyses))
        return page

    @property
    def complaints(self) -> list[str]:
        """Errors on the console, violations of the policy, requests to other hosts."""
        return [each for each in self._heard if not any(words in each for words in self._forgiven)]

    def forgive(self, words: str) -> None:
        """Take no offence at complaints with these words, such as of an answer that the test provokes."""
        self._forgiven.append(words)

    def close(self) -> None:
        """Leave all pages."""
        for context in self._contexts:
            context.close()

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" or "Content Security" in text:
            self._heard.append(text)

    def _see(self, request: Request, own: str) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("blob", "data", "file") and url.netloc != urlsplit(own).netloc:
            self._heard.append(f"asked another host: {request.url}")


@contextmanager
def visiting(browser: Browser, address: str) -> Iterator[Visits]:
    """Visits without complaints, or the test fails."""
    visits = Visits(browser, address)
    try:
        yield visits
    finally:
        visits.close()
    assert not visits.complaints, "\n".join(visits.complaints)


def choose(page: Page, *files: Path) -> None:
    """Choose files by the page's input."""
    page.set_input_files("#file-input", [str(file) for file in files])


def drop(page: Page, *paths: Path) -> None:
    """Let files and folders be dropped on the page as from the desktop."""
    drag(page, "dragEnter", *paths)
    drag(page, "dragOver", *paths)
    drag(page, "drop", *paths)


def drag(page: Page, kind: str, *paths: Path) -> None:
    """One event of dragging files and folders over the page: dragEnter, dragOver, drop or dragCancel."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


def cards(page: Page, count: int, state: str = "done") -> None:
    """Wait until so many scans are in a state."""
    expect(page.locator(f".card[data-state={state}]")).to_have_count(count, timeout=WAIT)


def kept_ids(page: Page) -> list[str]:
    """The ids of the scans on a page."""
    return [each["id"] for each in json.loads(page.evaluate("sessionStorage.getItem('tumorlens.scans')"))]


def pull(
    page: Page, target: Locator, right: float, down: float, button: Literal["left", "middle"] = "left"
) -> None:
    """Drag with the mouse from the middle of something."""
    box = target.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down(button=button)
    page.mouse.move(x + right / 2, y + down / 2)
    page.mouse.move(x + right, y + down)
    page.mouse.up(button=button)
