"""What is no scan is told of in a sentence for everybody, and the page goes on."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.server.page.scan_files import ScanFiles
from tests.server.page.screen import colored, pane, settled
from tests.server.page.visits import Visits, cards, drop
from tests.server.running import Running, running

JARGON = re.compile(
    r"scan[.:]|error|exception|traceback|undefined|null|none\b|nan\b|http|json|status|endian|b'|0x|[{}<>_\\]",
    re.IGNORECASE,
)


def text(path: Path, series: list[Path]) -> Path:
    path.with_suffix(".txt").write_text("Dear colleague, there is no scan in this letter.")
    return path.with_suffix(".txt")


def empty(path: Path, series: list[Path]) -> Path:
    path.with_suffix(".png").write_bytes(b"")
    return path.with_suffix(".png")


def half_a_picture(path: Path, series: list[Path]) -> Path:
    path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    return path.with_suffix(".png")


def headless(path: Path, series: list[Path]) -> Path:
    path.with_suffix(".dcm").write_bytes(bytes(128) + b"DICM" + bytes(range(256)))
    return path.with_suffix(".dcm")


def cut(path: Path, series: list[Path]) -> Path:
    path.with_suffix(".dcm").write_bytes(series[2].read_bytes()[:-5000])
    return path.with_suffix(".dcm")


BROKEN: dict[Callable[[Path, list[Path]], Path], str] = {
    text: "got something else",
    empty: "nothing in this file",
    half_a_picture: "Expected a whole PNG",
    headless: "Expected a DICOM file",
    cut: "can be decoded, but",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.__name__)
def test_what_is_no_scan_is_told_of_in_plain_words_and_the_next_scan_is_shown(
    page: Page, visits: Visits, scans: ScanFiles, tmp_path: Path, broken: Callable[[Path, list[Path]], Path]
) -> None:
    path = broken(tmp_path / "letter", sorted(scans.series.iterdir()))
    drop(page, path)
    cards(page, 1, "failed")
    visits.forgive("422")
    told = page.locator("#message .problem-detail")
    expect(told).to_contain_text(BROKEN[broken])
    assert re.fullmatch(r"[A-Z].{20,240}\.", told.inner_text())
    for each in page.locator("#message p:not(.buttons)").all_inner_texts():
        assert not JARGON.search(each), each
    expect(page.locator("#message h2")).to_have_text(f"Not analysed: {path.name}")
    expect(page.locator("#said")).to_contain_text(f"{path.name} was not analysed. {told.inner_text()}")
    drop(page, scans.picture)
    cards(page, 1)
    expect(page.locator("#result .type")).to_have_text("Meningioma")
    assert colored(settled(page)).any()
    page.locator(".card-open").first.click()
    expect(told).to_contain_text(BROKEN[broken])
    page.get_by_role("button", name="Remove", exact=True).press("Enter")
    expect(page.locator(".card-name")).to_have_text([scans.picture.name])
    expect(page.locator(".card-open")).to_be_focused()
    expect(pane(page)).to_be_visible()


def test_a_file_above_the_servers_limit_is_told_of_with_what_to_do(
    visits: Visits, real: Running, tmp_path: Path
) -> None:
    with running(tmp_path / "data", real.service.model, largest_upload=20_000) as small:
        page = visits.open(address=str(small.client.base_url))
        (tmp_path / "large.nii").write_bytes(bytes(2 << 20))
        drop(page, tmp_path / "large.nii")
        cards(page, 1, "failed")
        visits.forgive("413")
        for each in page.locator("#message p:not(.buttons)").all_inner_texts():
            assert not JARGON.search(each), each
        expect(page.locator("#message")).to_contain_text("ask whoever runs the server to raise its limits")
        page.close()  # before the server is gone


def test_a_result_that_is_erased_meanwhile_is_told_of(page: Page, visits: Visits, real: Running) -> None:
    page.locator(".sample").first.click()
    cards(page, 1)
    [kept] = page.evaluate("JSON.parse(sessionStorage.getItem('tumorlens.scans'))")
    real.client.delete(f"/v1/analyses/{kept['id']}").raise_for_status()
    page.locator("[data-format=mask]").click()
    expect(page.locator("#note")).to_contain_text("It could not be saved.")
    visits.forgive("404")
    assert not JARGON.search(page.locator("#note").inner_text())
