"""The page around the pictures, as a browser shows it, against the real server."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

import tumorlens
from tests.debian import program
from tests.server.running import TOKEN, Running, picture, running, series
from tumorlens import read_scan

SLICES = Path(__file__).parents[2] / "data" / "slices"
PAGE = Path(tumorlens.__file__).parent / "server" / "page"
WAIT = 15_000  # milliseconds


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, real: Running) -> Iterator[Page]:
    """The page of the real server, just opened; fails the test where the browser complains."""
    yield from opened(browser, str(real.client.base_url))


def opened(browser: Browser, address: str, **context: Any) -> Iterator[Page]:
    made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
    made.set_default_timeout(WAIT)
    page = made.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
    page.goto(address)
    yield page
    made.close()
    assert complaints == []


def choose(page: Page, *files: Path) -> None:
    page.set_input_files("#file-input", [str(file) for file in files])


def cards(page: Page, count: int, state: str = "done") -> None:
    expect(page.locator(f".card[data-state={state}]")).to_have_count(count, timeout=WAIT)


def asked(page: Page, module: str, script: str) -> Any:
    """What a module of the page answers; ``script`` gets it as ``m``."""
    return page.evaluate(f"import('/static/{module}').then(async (m) => {{ {script} }})")


def plain_png(path: Path) -> Path:
    pixels = np.asarray(read_scan(SLICES / "104.mat").pixels)[0]
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def test_the_first_look_says_what_it_is_for_and_what_the_model_has_seen(page: Page) -> None:
    expect(page.get_by_text("Research use only. Not a diagnosis.").first).to_be_visible()
    expect(page.locator("#model")).to_contain_text("Has not seen")
    expect(page.locator("#model")).to_contain_text("97.9%")
    expect(page.locator(".sample")).to_have_count(3)
    expect(page.locator("#samples")).to_contain_text("learned from these three slices")
    expect(page.locator("#samples")).to_contain_text("Cheng et al., CC BY 4.0")


@pytest.mark.parametrize("index", range(3))
def test_a_sample_shows_the_type_it_is_listed_with(page: Page, index: int) -> None:
    sample = json.loads((PAGE / "samples" / "samples.json").read_text())["samples"][index]
    page.locator(".sample").nth(index).click()
    expect(page.locator("#result .type")).to_have_text(sample["type"].capitalize())
    expect(page.locator("#result")).to_contain_text("Longest diameter")
    expect(page.locator("#result")).to_contain_text("Not to be had: DICOM SEG, DICOM SR, DICOM capture.")
    expect(page.locator("#picture canvas").first).to_be_visible()
    expect(page.locator("#said")).to_contain_text("high confidence")


def test_a_picture_is_measured_in_pixels_and_the_numbers_can_be_copied(page: Page, tmp_path: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, plain_png(tmp_path / "plain.png"))
    expect(page.locator("#result")).to_contain_text("not known: sizes are in pixels only")
    page.keyboard.press("n")
    expect(page.locator("#copy-numbers")).to_have_text("Copied")
    rows = dict(line.split("\t") for line in page.evaluate("navigator.clipboard.readText()").splitlines())
    assert (rows["Scan"], rows["Tumor type"], rows["Largest area (mm²)"]) == ("plain.png", "meningioma", "")
    assert float(rows["Probability of meningioma"]) > 0.9


def drop(page: Page, *paths: Path) -> None:
    """Let files and folders be dropped on the page as from the desktop."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


def test_dropped_dicom_files_are_one_scan_and_each_other_file_is_one(page: Page, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no scan")
    drop(page, *series(tmp_path / "series"), picture(tmp_path / "picture.png"), notes)
    cards(page, 2)
    cards(page, 1, "failed")
    assert page.locator(".card-name").all_inner_texts() == ["6 DICOM files", "picture.png", "notes.txt"]
    expect(page.locator("#veil")).to_be_hidden()
    expect(page.locator("#result")).to_contain_text("Spacing0.9 × 0.9 mm; slices 5 mm apart")
    page.locator(".card-open").nth(2).click()
    expect(page.locator("#message")).to_contain_text("Expected a MATLAB v7.3 slice")
    page.get_by_role("button", name="Remove", exact=True).press("Enter")
    expect(page.locator(".card-open").nth(1)).to_be_focused()


def test_a_dropped_folder_is_one_scan_of_its_dicom_files_or_each_of_its_pictures(
    page: Page, tmp_path: Path
) -> None:
    for name in ("first.png", "second.png"):
        picture(tmp_path / "pictures" / "deeper" / name)
    (tmp_path / "pictures" / ".DS_Store").write_text("")
    series(tmp_path / "study" / "series")
    picture(tmp_path / "study" / "preview.png")
    drop(page, tmp_path / "pictures", tmp_path / "study")
    cards(page, 3)
    assert sorted(page.locator(".card-name").all_inner_texts()) == ["first.png", "second.png", "study"]


def test_a_folder_of_two_series_says_which_was_taken_and_offers_the_other(page: Page, tmp_path: Path) -> None:
    series(tmp_path / "study" / "one", SeriesInstanceUID="1.2.3.1")
    t2 = {"SeriesDescription": "t2_tse_tra", "SeriesInstanceUID": "1.2.3.2", "ContrastBolusAgent": ""}
    series(tmp_path / "study" / "two", **t2)
    page.set_input_files("#folder-input", str(tmp_path / "study"))
    expect(page.locator("#result")).to_contain_text("of 2, chosen for: MR, T1 by its description")
    page.select_option("#other-series", label=page.locator("option", has_text="t2_tse").inner_text())
    page.get_by_role("button", name="Analyse this series").click()
    cards(page, 2)
    assert page.locator(".card-name").nth(1).inner_text().startswith("study · series ")
    expect(page.locator("#result")).to_contain_text("Chosen by you.")


def test_after_a_reload_the_scans_are_there_but_not_those_erased(page: Page, real: Running) -> None:
    choose(page, SLICES / "104.mat", SLICES / "715.mat")
    cards(page, 2)
    kept = json.loads(page.evaluate("sessionStorage.getItem('tumorlens.scans')"))
    real.client.delete(f"/v1/analyses/{kept[0]['id']}").raise_for_status()
    page.reload()
    expect(page.locator(".card-name")).to_have_text(["715.mat"])
    expect(page.locator("#result .type")).to_have_text("Glioma")
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.get_by_role("button", name="Remove 715.mat").click()
    expect(page.locator("#first-look")).to_be_visible()
    expect(page.locator("#choose-files")).to_be_focused()
    assert real.client.get(f"/v1/analyses/{kept[1]['id']}").status_code == 404


def test_two_scans_are_compared_with_their_numbers_and_zoomed_together(page: Page) -> None:
    choose(page, SLICES / "104.mat", SLICES / "715.mat")
    cards(page, 2)
    page.keyboard.press("s")
    panes = page.locator(".pane")
    expect(panes.nth(0)).to_contain_text("Meningioma")
    expect(panes.nth(1)).to_contain_text("Glioma")
    before = panes.nth(1).locator("canvas").first.screenshot()
    panes.nth(0).locator(".viewer-stage").press("+")
    expect_changed(page, panes.nth(1).locator("canvas").first, before)
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#result .type")).to_be_visible()


def expect_changed(page: Page, canvas: Any, before: bytes) -> None:
    for _ in range(50):
        if canvas.screenshot() != before:
            return
        page.wait_for_timeout(50)
    pytest.fail("the other picture stays as it was")


def test_a_busy_server_is_asked_again_after_the_time_it_says(page: Page) -> None:
    answers = iter([429])

    def busy(route: Route) -> None:
        if route.request.method != "POST" or next(answers, None) is None:
            route.continue_()
            return
        problem = {"title": "Busy", "status": 429, "detail": "The queue is full."}
        route.fulfill(status=429, headers={"Retry-After": "2"}, body=json.dumps(problem))

    page.route("**/v1/analyses", busy)
    choose(page, SLICES / "104.mat")
    expect(page.locator(".progress-text")).to_contain_text("The server is busy. Trying again in 2 s.")
    expect(page.locator("#result .type")).to_have_text("Meningioma")


def test_a_server_that_is_gone_is_told_of_until_it_is_back(page: Page) -> None:
    gone = threading.Event()
    gone.set()
    page.route("**/*", lambda route: route.abort() if gone.is_set() else route.continue_())
    choose(page, SLICES / "104.mat")
    expect(page.locator("#banner")).to_contain_text("The server doesn't answer.")
    gone.clear()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#result .type")).to_have_text("Meningioma")


def test_a_token_is_asked_for_until_it_is_right(browser: Browser, real: Running, tmp_path: Path) -> None:
    with running(tmp_path / "data", real.service.model, token=TOKEN) as guarded:
        for page in opened(browser, str(guarded.client.base_url)):
            field = page.get_by_label("This server wants a token.")
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(browser: Browser, real: Running, scheme: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    for page in opened(browser, str(real.client.base_url), **phone):
        expect(page.locator("#model dl")).to_be_visible()
        fine(page)
        page.locator(".sample").first.click()
        choose(page, SLICES / "715.mat")
        cards(page, 2)
        fine(page)
        page.get_by_role("button", name="Compare").click()
        expect(page.locator(".pane .type")).to_have_count(2)
        fine(page)
        page.get_by_role("button", name="Keys").click()
        fine(page)


def fine(page: Page) -> None:
    """No serious violation of axe's rules, and nothing wider than the screen."""
    found = Axe().run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_letters_do_nothing_where_somebody_types_or_switched_them_off(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.locator("#keys-dialog")).to_be_visible()
    page.get_by_label("Single letters work anywhere").uncheck()
    page.keyboard.press("Escape")
    choose(page, SLICES / "104.mat", SLICES / "715.mat")
    cards(page, 2)
    page.keyboard.press("s")
    expect(page.locator("#compare")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.locator("#keys-dialog")).to_be_visible()


def test_a_stream_of_events_is_read_however_it_is_cut(page: Page) -> None:
    told = asked(
        page,
        "watch.js",
        """
        const text = ": hello\\n\\nevent: analysis\\ndata: {\\"a\\":\\ndata: 1}\\n\\n"
          + "event: other\\ndata: 2\\n\\nevent: analysis\\r\\ndata: ü\\r\\n\\r\\nevent: analysis\\ndata: cut";
        const bytes = new TextEncoder().encode(text);
        const found = [];
        for (const size of [1, 3, 7, 1000]) {
          const parts = [];
          for (let at = 0; at < bytes.length; at += size) parts.push(bytes.slice(at, at + size));
          const body = new ReadableStream({ start(c) { parts.forEach((p) => c.enqueue(p)); c.close(); } });
          const events = [];
          for await (const data of m.events(body)) events.push(data);
          found.push(events);
        }
        return found;
        """,
    )
    assert told == [['{"a":\n1}', "ü"]] * 4


def test_numbers_are_written_as_the_report_writes_them(page: Page) -> None:
    told = asked(
        page,
        "format.js",
        "return [m.area(1407.4), m.area(48.2), m.volume(476044.8), m.volume(312), "
        "m.runs([3, 4, 5, 9, 11, 12]), m.percent(0.9843), m.percent(0.99999), m.percent(0.0001)];",
    )
    assert told == [
        "1,407 mm² (14.1 cm²)",
        "48 mm² (0.48 cm²)",
        "476.0 cm³",
        "0.31 cm³",
        "3–5, 9, 11–12",
        "98.4%",
        "> 99.9%",
        "< 0.1%",
    ]


def test_a_linked_look_keeps_its_share_of_slices_and_of_the_window(page: Page) -> None:
    told = asked(
        page,
        "link.js",
        """
        const view = (slices, low, high) => ({ shape: [slices, 8, 8], window: { low, high } });
        const look = { slice: 23, window: { low: 50, high: 250 }, zoom: 2, center: [0.5, 0.2, 0.3] };
        const carried = m.carriedOver(look, view(24, 0, 200), view(96, 1000, 3000));
        return [carried, m.sameShare(0, 24, 1), m.sameShare(5, 9, 9)];
        """,
    )
    look, single, same = told
    assert look == {
        "slice": 94,
        "window": {"low": 1500, "high": 3500},
        "zoom": 2,
        "center": [0.5, 0.2, 0.3],
    }
    assert (single, same) == (0, 5)
