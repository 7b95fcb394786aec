"""The list of scans, comparing two, and what belongs to the page as a whole."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.server.page.conftest import Known
from tests.server.page.scan_files import SLICES, ScanFiles
from tests.server.page.screen import (
    Picture,
    assert_changed,
    assert_same,
    colored,
    differs,
    drawn,
    inside,
    pane,
    picture,
    settled,
    wait_for,
)
from tests.server.page.visits import Visits, cards, choose, kept_ids
from tests.server.running import Gate, Running, gated, running


@pytest.fixture
def two(visits: Visits, known: Known) -> Page:
    """A stack, looked at, and a slice."""
    return visits.open(known.stack["id"], known.slice["id"])


def test_a_card_shows_the_outlined_slice_small_and_what_was_found(two: Page) -> None:
    first = two.locator(".card").first
    expect(first.locator(".card-state")).to_have_text(re.compile(r"^Meningioma \d"))
    thumbnail = first.locator(".thumbnail")
    wait_for(two, lambda: bool(colored(drawn(thumbnail), reach=90).any()), "an outline on the thumbnail")


def test_a_click_on_a_card_shows_that_scan_and_back(two: Page) -> None:
    before = settled(two)
    text = two.locator("#result").inner_text()
    two.locator(".card-open").nth(1).click()
    expect(two.locator(".card-open").nth(1)).to_have_attribute("aria-current", "true")
    expect(two.locator(".card-open[aria-current]")).to_have_count(1)
    assert_changed(two, before)
    expect(two.locator("#result")).to_contain_text("512 × 512")
    two.locator(".card-open").nth(0).click()
    assert_same(two, before)
    assert two.locator("#result").inner_text() == text


def test_two_scans_are_compared_and_move_together_only_while_linked(two: Page) -> None:
    alone = settled(two)
    two.get_by_role("button", name="Compare").click()
    expect(two.locator("#compare-title")).to_be_focused()
    expect(two.locator(".pane")).to_have_count(2)
    expect(two.locator(".pane").nth(0)).to_contain_text("Volume")
    expect(two.locator(".pane").nth(1)).to_contain_text("Longest diameter")
    wait_for(two, lambda: two.locator(".viewer-pane:visible").count() == 2, "two pictures")
    before = [settled(two, index) for index in (0, 1)]
    assert all(inside(each).any() for each in before)
    two.locator(".pane .viewer-stage").first.press("+")
    assert_changed(two, before[0], 0)
    assert_changed(two, before[1], 1)
    two.locator(".pane .viewer-stage").nth(1).press("0")
    for index in (0, 1):
        assert_same(two, before[index], index)
    two.get_by_label("Link slice, window and zoom").uncheck()
    two.locator(".pane .viewer-stage").first.press("+")
    assert_changed(two, before[0], 0)
    assert not differs(settled(two, 1), before[1])
    two.get_by_role("button", name="Close").click()
    expect(two.get_by_role("button", name="Compare")).to_be_focused()
    assert_same(two, alone)


def test_either_side_of_a_comparison_can_be_another_scan(visits: Visits, known: Known) -> None:
    page = visits.open(known.stack["id"], known.slice["id"], known.picture["id"])
    settled(page)
    page.keyboard.press("s")
    right = page.locator(".pane").nth(1)
    wait_for(page, lambda: page.locator(".viewer-pane:visible").count() == 2, "two pictures")
    expect(right).to_contain_text("mm")
    before = settled(page, 1)
    name = page.locator(".card-name").nth(2).inner_text()
    page.get_by_label("Right scan", exact=True).and_(page.locator("select")).select_option(label=name)
    expect(right).to_contain_text("pixels")
    page.wait_for_timeout(200)
    assert settled(page, 1).shape == before.shape
    page.keyboard.press("s")
    expect(page.locator("#result")).to_be_visible()


def test_the_copied_numbers_are_those_of_the_result(visits: Visits, known: Known) -> None:
    page = visits.open(known.stack["id"], permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy numbers").click()
    expect(page.locator("#copy-numbers")).to_have_text("Copied")
    expect(page.locator("#said")).to_contain_text("The numbers are copied")
    rows = dict(line.split("\t") for line in page.evaluate("navigator.clipboard.readText()").splitlines())
    result = known.stack["result"]
    assert rows["Tumor type"] == result["tumor_type"]
    assert float(rows["Volume (mm³)"]) == result["volume_mm3"]
    assert float(rows["Longest diameter (mm)"]) == result["diameters"]["longest_mm"]
    assert rows["Slices involved"] == "2–5"
    for kind, share in result["probabilities"].items():
        assert float(rows[f"Probability of {kind}"]) == share
    expect(page.locator("#copy-numbers")).to_have_text("Copy numbers")


def test_a_picture_is_measured_in_pixels_only(visits: Visits, known: Known) -> None:
    page = visits.open(known.picture["id"], permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator("#result")).to_contain_text("not known: sizes are in pixels only")
    page.keyboard.press("n")
    expect(page.locator("#copy-numbers")).to_have_text("Copied")
    rows = dict(line.split("\t") for line in page.evaluate("navigator.clipboard.readText()").splitlines())
    assert (rows["Largest area (mm²)"], rows["Volume (mm³)"], rows["Longest diameter (mm)"]) == ("", "", "")
    assert int(rows["Outlined pixels"]) == known.picture["result"]["tumor_pixels"]


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_theme_is_the_systems_until_another_is_chosen_which_is_kept(visits: Visits, system: str) -> None:
    page = visits.open(color_scheme=system)
    first = brightness(page)
    assert (first > 200) is (system == "light")
    button = page.locator("#theme")
    expect(button).to_have_accessible_name("Dark colors" if system == "light" else "Light colors")
    button.click()
    assert (brightness(page) > 200) is (system == "dark")
    page.reload()
    assert (brightness(page) > 200) is (system == "dark")
    page.locator("#theme").click()
    assert brightness(page) == pytest.approx(first, abs=1)


def brightness(page: Page) -> float:
    shown: Picture = picture(page.locator("body"))
    return float(np.median(shown))


def test_the_model_and_the_keys_are_told_of_in_dialogs_that_close(page: Page) -> None:
    page.get_by_role("button", name="About the model").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Has not seen")
    dialog.get_by_text("Model card of").click()
    expect(dialog.locator("pre")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Keys").click()
    expect(dialog).to_contain_text("Copy the numbers")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Keys")).to_be_focused()


def test_a_scan_that_takes_long_shows_how_far_it_is_and_can_be_cancelled_and_tried_again(
    visits: Visits, scans: ScanFiles, tmp_path: Path
) -> None:
    gate = Gate()
    with running(tmp_path / "data", gated(gate)) as slow:
        page = visits.open(address=str(slow.client.base_url))
        choose(page, scans.volume)
        expect(page.locator(".progress-text")).to_have_text(re.compile("Analysing|Waiting for its turn"))
        expect(page.locator("#message progress")).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#message h2")).to_have_text("Cancelled: volume.nii.gz")
        expect(page.get_by_role("button", name="Try again")).to_be_focused()
        gate.open.set()
        page.get_by_role("button", name="Try again").click()
        cards(page, 1)
        expect(page.locator("#result .type")).to_have_text("Glioma")
        expect(pane(page)).to_be_visible()
        page.close()  # before the server is gone


def test_a_removed_scan_is_erased_from_the_server_and_the_last_one_leaves_the_first_look(
    page: Page, real: Running
) -> None:
    choose(page, SLICES / "104.mat", SLICES / "715.mat")
    cards(page, 2)
    ids = kept_ids(page)
    page.locator(".card-open").first.click()
    page.get_by_role("button", name="Remove 104.mat").click()
    expect(page.locator(".card-name")).to_have_text(["715.mat"])
    expect(page.locator("#result .type")).to_have_text("Glioma")
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.get_by_role("button", name="Remove 715.mat").click()
    expect(page.locator("#first-look")).to_be_visible()
    expect(page.locator("#choose-files")).to_be_focused()
    assert [real.client.get(f"/v1/analyses/{id_}").status_code for id_ in ids] == [404, 404]


def test_after_a_reload_the_scans_are_there_but_not_those_erased(
    page: Page, visits: Visits, real: Running
) -> None:
    choose(page, SLICES / "104.mat", SLICES / "715.mat")
    cards(page, 2)
    real.client.delete(f"/v1/analyses/{kept_ids(page)[0]}").raise_for_status()
    page.reload()
    expect(page.locator(".card-name")).to_have_text(["715.mat"])
    expect(page.locator("#result .type")).to_have_text("Glioma")
    visits.forgive("404")


def test_a_browser_that_keeps_nothing_shows_scans_all_the_same(visits: Visits, scans: ScanFiles) -> None:
    page = visits.open()
    page.context.add_init_script(
        """
        const get = () => { throw new DOMException("refused", "SecurityError"); };
        for (const name of ["sessionStorage", "localStorage"]) Object.defineProperty(window, name, { get });
        """
    )
    page.reload()
    page.locator("#theme").click()
    assert brightness(page) < 100
    choose(page, scans.picture)
    cards(page, 1)
    expect(page.locator("#result .type")).to_have_text("Meningioma")


def test_what_is_kept_in_the_browser_says_nothing_of_a_scan_but_its_name(
    page: Page, scans: ScanFiles
) -> None:
    choose(page, scans.picture)
    cards(page, 1)
    [kept] = json.loads(page.evaluate("sessionStorage.getItem('tumorlens.scans')"))
    assert set(kept) == {"id", "name", "selected"}
    assert page.evaluate("localStorage.length") == 0
