"""One browser and one server for all tests of the page, and scans that are analysed already."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.debian import program
from tests.server.page.scan_files import ScanFiles, write_scans
from tests.server.page.visits import Visits, visiting
from tests.server.running import Running, finished, post


@dataclass(frozen=True)
class Known:
    """Analyses that the server has done.

    Attributes:
        stack: Of the DICOM series.
        slice: Of the `.mat`.
        picture: Of the PNG.
    """

    stack: dict[str, Any]
    slice: dict[str, Any]
    picture: dict[str, Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window. One a module: some modules here bring their own, and one runs at a time."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> ScanFiles:
    """Files to open."""
    return write_scans(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="session")
def known(real: Running, scans: ScanFiles) -> Known:
    """Scans that nobody has to wait for; no test erases them."""

    def analysed(*paths: Path) -> dict[str, Any]:
        answer = post(real.client, *paths)
        answer.raise_for_status()
        return finished(real.client, answer.json()["id"])

    return Known(analysed(*sorted(scans.series.iterdir())), analysed(scans.slice), analysed(scans.picture))


@pytest.fixture
def visits(browser: Browser, real: Running) -> Iterator[Visits]:
    """Opens the real server's page; fails the test where the browser complains."""
    with visiting(browser, str(real.client.base_url)) as opened:
        yield opened


@pytest.fixture
def page(visits: Visits) -> Page:
    """The page, just opened."""
    return visits.open()
