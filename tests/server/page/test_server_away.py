"""A server that is busy, gone, or wants a token."""

import json
import re
import threading
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.server.page.rules import violations
from tests.server.page.scan_files import SLICES
from tests.server.page.visits import Visits, choose
from tests.server.running import TOKEN, Running, running


def test_a_busy_server_is_asked_again_after_the_time_it_says(page: Page, visits: Visits) -> None:
    answers = iter([429])

    def busy(route: Route) -> None:
        if route.request.method != "POST" or next(answers, None) is None:
            route.continue_()
            return
        problem = {"title": "Busy", "status": 429, "detail": "The queue is full."}
        route.fulfill(status=429, headers={"Retry-After": "2"}, body=json.dumps(problem))

    page.route("**/v1/analyses", busy)
    choose(page, SLICES / "104.mat")
    expect(page.locator(".progress-text")).to_contain_text(
        re.compile(r"The server is busy\. Trying again in [12] s\.")
    )
    expect(page.locator("#result .type")).to_have_text("Meningioma")
    visits.forgive("429")


def test_a_server_that_is_gone_is_told_of_until_it_is_back(page: Page, visits: Visits) -> None:
    gone = threading.Event()
    gone.set()
    page.route("**/*", lambda route: route.abort() if gone.is_set() else route.continue_())
    choose(page, SLICES / "104.mat")
    expect(page.locator("#banner")).to_contain_text("The server doesn't answer.")
    gone.clear()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#result .type")).to_have_text("Meningioma")
    visits.forgive("ERR_FAILED")


def test_a_token_is_asked_for_until_it_is_right(visits: Visits, real: Running, tmp_path: Path) -> None:
    with running(tmp_path / "data", real.service.model, token=TOKEN) as guarded:
        page = visits.open(address=str(guarded.client.base_url))
        field = page.get_by_label("This server wants a token.")
        expect(field).to_be_focused()
        field.fill("wrong-wrong-wrong-wrong")
        field.press("Enter")
        expect(page.locator("#token-dialog [role=alert]")).to_contain_text("did not accept")
        field.fill(TOKEN)
        field.press("Enter")
        expect(page.locator("#model")).to_contain_text("Has not seen")
        choose(page, SLICES / "715.mat")
        expect(page.locator("#result .type")).to_have_text("Glioma")
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save report").click()
        assert saved.value.suggested_filename.endswith(".html")
        visits.forgive("401")
        page.close()  # before the server is gone


def test_who_has_no_token_is_told_how_to_enter_it_later(
    visits: Visits, real: Running, tmp_path: Path
) -> None:
    with running(tmp_path / "data", real.service.model, token=TOKEN) as guarded:
        page = visits.open(address=str(guarded.client.base_url))
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator("#model")).to_contain_text("Reload the page to enter it.")
        page.reload()
        expect(page.get_by_label("This server wants a token.")).to_be_focused()
        visits.forgive("401")
        page.close()  # before the server is gone
