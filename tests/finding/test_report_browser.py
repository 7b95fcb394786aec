"""The report prints on A4 and fits a phone, as a browser draws it."""

import dataclasses
import re
import subprocess
from html import escape
from pathlib import Path

import numpy as np
import pytest

from tests.debian import program
from tests.finding.made import WARNINGS, dicom_scan, single_slice, whole_finding
from tests.finding.page import Page
from tumorlens.finding import Finding
from tumorlens.finding.report import report_page, write_report


def chromium(folder: Path, *words: str) -> bytes:
    command = [
        program("chromium"),
        *(
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
        ),
        *words,
    ]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def fullest() -> Finding:
    """A report as long as it gets: every warning, long texts, identity and eight further slices."""
    agent = "contrast agent: Gadobutrol 1.0 mmol/ml, 7.5 ml"
    series = f"MR, {'t1_mprage_sag_p2_iso gadolinium ' * 2}, axial, 24 slices, {agent}"
    scan = dicom_scan(24, source="x" * 120 + ".dcm", series=series)
    reason = (
        "series 12 of 15: MR, T1 by its description, a contrast agent in the header, contrast by its name"
    )
    mask = np.zeros(scan.pixels.shape, np.bool_)
    mask[2:22, 10:20, 10:30] = True
    mask[12, 10:24, 10:34] = True
    return whole_finding(
        dataclasses.replace(scan, reason=reason), mask=mask, warnings=(*WARNINGS, *WARNINGS[3:4])
    )


def test_a_volume_prints_on_two_pages_of_a4_and_a_slice_on_one(tmp_path: Path) -> None:
    roomy = dataclasses.replace(fullest(), warnings=WARNINGS[:1])  # the longest; pictures are larger
    cases = {"fullest": (fullest(), 2), "roomy": (roomy, 2), "slice": (single_slice(), 1)}
    for name, (finding, most) in cases.items():
        page, paper = tmp_path / f"{name}.html", tmp_path / f"{name}.pdf"
        write_report(finding, page, keep_identity=name == "fullest")
        assert ("roomy" in Page.of(page.read_text()).one("main")[0].get("class", "")) == (name == "roomy")
        chromium(tmp_path, f"--print-to-pdf={paper}", "--no-pdf-header-footer", page.as_uri())
        printed = paper.read_bytes()
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == most
        (size,) = set(re.findall(rb"/MediaBox\s*\[([\d. ]+)\]", printed))
        assert [float(side) for side in size.split()] == pytest.approx([0, 0, 595, 842], abs=1)


def test_nothing_is_wider_than_the_screen(tmp_path: Path) -> None:
    html = report_page(fullest(), keep_identity=True)
    too_wide = html.replace("</main>", '<div style="width: 990px">wide</div></main>')
    frames = [(html, 390), (html, 800), (html, 1280), (too_wide, 390)]
    outer = tmp_path / "frames.html"
    outer.write_text(
        "".join(
            f'<iframe srcdoc="{escape(content)}" style="width: {width}px; height: 800px; border: 0"></iframe>'
            for content, width in frames
        )
        + "<p></p><script>onload = () => { const frames = [...document.querySelectorAll('iframe')]; "
        "const widths = frames.map(each => each.contentDocument.documentElement.scrollWidth); "
        "document.querySelector('p').textContent = widths.join(' ') }</script>"
    )
    dumped = chromium(tmp_path, "--dump-dom", outer.as_uri()).decode()
    (told,) = re.findall(r"<p>([\d ]+)</p>", dumped)
    widths = [int(each) for each in told.split()]
    assert all(found <= width for found, (_, width) in zip(widths[:3], frames, strict=False))
    assert widths[3] > 990  # what is too wide is seen
