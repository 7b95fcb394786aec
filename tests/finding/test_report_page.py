"""The report needs nothing from outside, can be read by everybody and tells nobody's name."""

import dataclasses
import itertools
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dicom_files import write_series
from tests.finding.made import IDENTITY, WARNINGS, dicom_scan, pixels, single_slice, whole_finding
from tests.finding.page import DATA, Page, page_of
from tumorlens import read_scan
from tumorlens.finding import FindingWarning, WarningKind
from tumorlens.finding.document import document
from tumorlens.finding.report import report_page, write_report
from tumorlens.scan.origin import DicomOrigin, Identity

CONTENT_SECURITY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
pytestmark = pytest.mark.usefixtures("small_pictures")

# --- Nothing from outside, nothing that runs --------------------------------------------------------------


def test_a_page_has_no_script_and_no_address_but_those_of_its_own_pictures() -> None:
    html = report_page(whole_finding(dicom_scan(), warnings=WARNINGS), keep_identity=True)
    page = Page.of(html)
    assert {"http-equiv": "Content-Security-Policy", "content": CONTENT_SECURITY} in [
        attributes for attributes, _ in page.all("meta")
    ]
    assert not {"script", "iframe", "object", "embed", "a", "form", "base"} & {
        each[0] for each in page.elements
    }
    bare = DATA.sub("", html)
    assert "//" not in bare
    assert "@import" not in bare
    assert "url(" not in bare
    for _, attributes, _ in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")


HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "</style></title><svg onload=alert(1)>",
    "{{ 7 * 191 }}{% raw %}",
    "javascript:alert(1)\x00\x1b[31m",
    "a&b;\u202e\ud800",
]


@pytest.mark.parametrize("keep_identity", [True, False])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_shown_as_texts(text: str, keep_identity: bool, tmp_path: Path) -> None:
    identity = Identity(*[text] * 8) if keep_identity else IDENTITY
    scan = dicom_scan(source=text.replace("/", "|") + ".dcm", series=text, identity=identity)
    scan = dataclasses.replace(scan, reason=text)
    warnings = (FindingWarning(WarningKind.EDGE, text, 1, 1),)
    write_report(
        whole_finding(scan, model=text, warnings=warnings), tmp_path / "a.html", keep_identity=keep_identity
    )
    html = (tmp_path / "a.html").read_text("utf-8")
    harmless = report_page(whole_finding(dicom_scan(), warnings=warnings[:1]), keep_identity=keep_identity)
    page = Page.of(html)
    tags = {tag for tag, _, _ in page.elements}
    assert tags == {tag for tag, _, _ in Page.of(harmless).elements}
    assert "1337" not in page.text
    shown = page.text.replace("\ufffd", "\x00")
    assert text.replace("\ud800", "?")[1:] in shown


# --- For everybody's eyes ---------------------------------------------------------------------------------


def test_a_page_can_be_read_aloud() -> None:
    page = page_of(whole_finding(dicom_scan(), warnings=WARNINGS), keep_identity=True)
    assert page.one("html")[0]["lang"] == "en"
    assert page.one("title")[1].startswith("tumorlens report")
    page.one("main")
    alts = [attributes["alt"] for attributes, _ in page.all("img")]
    assert all(len(alt) > 10 for alt in alts)
    assert len(set(alts)) == len(alts)
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table")) == 4
    assert all(attributes["scope"] == "row" for attributes, _ in page.all("th"))
    names = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(set(names)) == len(names)
    for _, attributes, _ in page.elements:
        assert attributes.get("aria-labelledby", names[0]) in names


def colors(css: str) -> Iterator[dict[str, str]]:
    """The custom properties of each theme, the second one's filled up by the first's."""
    first: dict[str, str] = {}
    for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL):
        first = {**first, **dict(re.findall(r"--([\w-]+): (#\w{6})", block))}
        yield first


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    shares = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_texts_stand_out_by_light_and_by_dark() -> None:
    themes = list(colors(page_of(single_slice()).one("style")[1]))
    assert len(themes) == 2
    for theme in themes:
        for text, ground in itertools.product(("ink", "soft"), ("page", "panel")):
            assert contrast(theme[text], theme[ground]) >= 4.5
        for text in ("warn-ink", "soft"):
            assert contrast(theme[text], theme["warn"]) >= 4.5
        for bar in ("bar", "other"):
            assert contrast(theme[bar], theme["panel"]) >= 3
            assert contrast(theme[bar], theme["track"]) >= 3


# --- Whose it is ------------------------------------------------------------------------------------------


def test_the_identity_is_told_in_full_where_asked_for() -> None:
    scan = dicom_scan(source="Muster_Erika.dcm", series="MR, t1 of Erika")
    page = page_of(whole_finding(scan), keep_identity=True)
    for words in (
        *("This file contains the patient's identity", "Muster, Erika", "PID-4711", "1964-08-12", "female"),
        *("2024-03-01", "ACC-99", IDENTITY.study_uid, IDENTITY.series_uid),
        *("Muster_Erika.dcm", "MR, t1 of Erika"),
    ):
        assert words in page.text, words
    assert re.search(r"Written by tumorlens \S+ on \d{4}-\d\d-\d\d\.", page.text)


def test_a_report_without_identity_has_no_date_and_says_nothing_of_identity() -> None:
    page = page_of(whole_finding(dicom_scan()))
    assert not re.search(r"\d{4}-\d\d-\d\d", page.text)
    assert "identity" not in page.text


def test_an_identity_that_the_source_does_not_know_is_not_made_up() -> None:
    page = page_of(single_slice(), keep_identity=True)
    assert "This file contains the patient's identity" in page.text
    assert "says nothing of whose scan it is" in page.text


UNCOMMON = st.text("bcdfgjkqvwxz", min_size=2, max_size=6).map(lambda text: f"Zq{text}")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    family=UNCOMMON,
    given_name=UNCOMMON,
    number=UNCOMMON,
    accession=UNCOMMON,
    birth=st.dates(),
    study=st.dates(),
    between=st.sampled_from([" ", "_", "^", "-", ".", ""]),
    upper=st.booleans(),
    multiframe=st.booleans(),
)
def test_nothing_written_tells_whose_scan_it_is_unless_asked_for(
    family: str,
    given_name: str,
    number: str,
    accession: str,
    birth: object,
    study: object,
    between: str,
    upper: bool,
    multiframe: bool,
) -> None:
    dates = [f"{date}".replace("-", "") for date in (birth, study)]
    uids = ["1.2.826.0.1.3680043.8.498.7741", "1.2.826.0.1.3680043.8.498.7742"]
    identity = Identity(f"{family}^{given_name}", number, dates[0], "F", dates[1], accession, *uids)
    secrets = [family, given_name, number, accession, *dates, *map(str, (birth, study)), *uids]
    words = between.join([family, given_name, number, dates[0]])
    words = words.upper() if upper else words
    series = f"MR, t1 {words} {accession} {study}, axial"
    scan = dicom_scan(1, source=f"{words}.dcm", series=series, identity=identity)
    scan = dataclasses.replace(scan, reason=f"asked for by --series {uids[1]} {words}")
    if multiframe:
        assert scan.origin is not None
        scan = dataclasses.replace(scan, origin=dataclasses.replace(scan.origin, frames=(1,)))
    finding = whole_finding(scan)
    written = DATA.sub("", report_page(finding)) + str(document(finding))
    assert not [secret for secret in secrets if secret.lower() in written.lower()]
    kept = report_page(finding, keep_identity=True)
    assert all(escape(secret) in kept for secret in (family, given_name, number, accession, *uids))


def test_nothing_of_a_dicom_series_own_header_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "Muster_Erika_1964-08-12"
    write_series(folder, pixels(4).astype(np.uint16), SeriesDescription="t1 +C E.Muster 01.03.2024")
    scan = read_scan(folder)
    assert isinstance(scan.origin, DicomOrigin)
    finding = whole_finding(scan)
    page = page_of(finding)
    assert "MR, t1 +C [removed], axial, 4 slices" in page.text
    written = DATA.sub("", report_page(finding)) + str(document(finding))
    uids = [str(header[key].value) for header in scan.origin.headers for key in header.dir("UID")]
    secrets = ["Muster", "Erika", "PID-4711", "ACC-99", "1964", "2024-03", "01.03", "20240301", *uids]
    assert not [secret for secret in secrets if secret.lower() in written.lower()]
    assert "Gadovist" in page.text
