"""Every way for a scan onto the page, and that what is found on it is seen."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import tumorlens
from tests.server.page.scan_files import ScanFiles
from tests.server.page.screen import assert_outlined, pane, settled, told_mask
from tests.server.page.screen import picture as seen
from tests.server.page.visits import Visits, cards, choose, drag, drop, kept_ids
from tests.server.running import Running, picture, series
from tumorlens.bundle import open_bundle

PAGE = Path(tumorlens.__file__).parent / "server" / "page"


def outlined_as_told(page: Page, real: Running) -> None:
    """The type and the outline on the screen are those that the API tells."""
    cards(page, 1)
    [id_] = kept_ids(page)
    result = real.client.get(f"/v1/analyses/{id_}").json()["result"]
    assert result["tumor_pixels"] > 0
    expect(page.locator("#result .type")).to_have_text(result["tumor_type"].capitalize())
    expect(pane(page)).to_be_visible()
    settled(page)
    assert_outlined(seen(pane(page)), *told_mask(real.client, id_))


@pytest.mark.parametrize("kind", ["picture", "slice", "series", "zipped", "volume"])
def test_a_dropped_scan_is_outlined_where_the_mask_is(
    page: Page, real: Running, scans: ScanFiles, kind: str
) -> None:
    drop(page, getattr(scans, kind))
    outlined_as_told(page, real)


@pytest.mark.parametrize("kind", ["picture", "series", "volume"])
def test_a_chosen_scan_is_outlined_where_the_mask_is(
    page: Page, real: Running, scans: ScanFiles, kind: str
) -> None:
    chosen: Path = getattr(scans, kind)
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Choose a folder" if chosen.is_dir() else "Choose files").click()
    asked.value.set_files(chosen)
    outlined_as_told(page, real)


def test_the_files_of_a_series_dropped_together_are_outlined_where_the_mask_is(
    page: Page, real: Running, scans: ScanFiles
) -> None:
    drop(page, *sorted(scans.series.iterdir()))
    outlined_as_told(page, real)


def test_a_pasted_picture_is_outlined_where_the_mask_is(page: Page, real: Running, scans: ScanFiles) -> None:
    page.evaluate(
        """async (bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "image.png", { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, cancelable: true }));
        }""",
        list(scans.picture.read_bytes()),
    )
    outlined_as_told(page, real)
    expect(page.locator(".card-name")).to_have_text("Pasted picture")


def test_the_first_look_says_what_it_is_for_and_what_the_model_has_seen(page: Page) -> None:
    expect(page.get_by_text("Research use only. Not a diagnosis.").first).to_be_visible()
    expect(page.locator("#model")).to_contain_text("Has not seen")
    for band in open_bundle().manifest.judgement.bands:
        expect(page.locator("#model")).to_contain_text(f"{band.accuracy:.1%}")
    expect(page.locator(".sample")).to_have_count(3)
    expect(page.locator("#samples")).to_contain_text("learned from these three slices")
    expect(page.locator("#samples")).to_contain_text("Cheng et al., CC BY 4.0")


@pytest.mark.parametrize("index", range(3))
def test_a_sample_shows_the_type_it_is_listed_with(page: Page, real: Running, index: int) -> None:
    sample = json.loads((PAGE / "samples" / "samples.json").read_text())["samples"][index]
    page.locator(".sample").nth(index).click()
    expect(page.locator("#result .type")).to_have_text(sample["type"].capitalize())
    expect(page.locator("#result")).to_contain_text("Longest diameter")
    expect(page.locator("#result")).to_contain_text("Not to be had: DICOM SEG, DICOM SR, DICOM capture.")
    outlined_as_told(page, real)


def test_what_is_dragged_over_the_page_is_asked_for_until_it_is_dropped_or_gone(
    page: Page, scans: ScanFiles
) -> None:
    drag(page, "dragEnter", scans.picture)
    expect(page.locator("#veil")).to_have_text("Drop to open")
    expect(page.locator("#veil")).to_be_visible()
    expect(page.locator("#veil")).to_be_hidden()  # nothing more is heard of it
    drag(page, "dragOver", scans.picture)
    expect(page.locator("#veil")).to_be_visible()
    page.evaluate("document.dispatchEvent(new DragEvent('dragleave', { relatedTarget: null }))")
    assert page.locator("#veil").is_hidden()
    expect(page.locator("#first-look")).to_be_visible()


def test_dropped_dicom_files_are_one_scan_and_each_other_file_is_one(
    page: Page, visits: Visits, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no scan")
    drop(page, *series(tmp_path / "series"), picture(tmp_path / "picture.png"), notes)
    cards(page, 2)
    cards(page, 1, "failed")
    visits.forgive("422")
    assert page.locator(".card-name").all_inner_texts() == ["6 DICOM files", "picture.png", "notes.txt"]
    expect(page.locator("#veil")).to_be_hidden()
    expect(page.locator("#result")).to_contain_text("Spacing0.9 × 0.9 mm; slices 5 mm apart")


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
    two = tmp_path / "study" / "two"
    series(two, SeriesDescription="t2_tse_tra", SeriesInstanceUID="1.2.3.2", ContrastBolusAgent="")
    page.set_input_files("#folder-input", str(tmp_path / "study"))
    expect(page.locator("#result")).to_contain_text("of 2, chosen for: MR, T1 by its description")
    page.select_option("#other-series", label=page.locator("option", has_text="t2_tse").inner_text())
    page.get_by_role("button", name="Analyse this series").click()
    cards(page, 2)
    assert page.locator(".card-name").nth(1).inner_text().startswith("study · series ")
    expect(page.locator("#result")).to_contain_text("Chosen by you.")
    page.locator(".card-open").first.click()
    expect(page.locator("#result")).to_contain_text("chosen for: MR, T1")


def test_more_scans_can_be_added_to_those_that_are_open(page: Page, scans: ScanFiles) -> None:
    choose(page, scans.picture)
    cards(page, 1)
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Add files").click()
    asked.value.set_files(scans.slice)
    cards(page, 2)
    expect(page.locator("#result .result-name")).to_have_text("104.mat")
