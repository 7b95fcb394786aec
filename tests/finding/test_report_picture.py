"""The report's pictures show the slice, its outline, its diameters and what spoke for the type."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.finding.made import axial_affine, whole_finding
from tests.finding.page import DATA, Page, pictures
from tumorlens import Analyzer, read_scan
from tumorlens.finding import Diameters, Finding
from tumorlens.finding.picture import OUTLINE
from tumorlens.finding.report import report_page, write_report
from tumorlens.finding.report_picture import SlicePainter, _strokes
from tumorlens.scan import Scan

# --- Pictures ---------------------------------------------------------------------------------------------


def test_the_three_pictures_are_the_slice_its_outline_and_its_heatmap() -> None:
    mask = np.zeros((1, 60, 60), np.bool_)
    mask[0, 20:40, 30:50] = True
    scan = Scan(np.full((1, 60, 60), 100) + np.eye(60) * 50, Path("a"))
    finding = whole_finding(scan, mask=mask, heatmap=mask.astype(np.float32))
    plain, outline, heat = pictures(report_page(finding))
    assert plain.shape == outline.shape == heat.shape == (720, 720, 3)
    assert (np.ptp(plain, axis=2) < 12).all()
    orange = (np.abs(outline - OUTLINE) < 40).all(axis=2)
    rows, columns = np.flatnonzero(orange.any(1)), np.flatnonzero(orange.any(0))
    assert (rows[0], rows[-1] + 1) == pytest.approx((240, 480), abs=3)
    assert (columns[0], columns[-1] + 1) == pytest.approx((360, 600), abs=3)
    assert not orange[250:470, 370:590].any()
    colored = np.ptp(heat, axis=2) > 60
    assert colored[260:460, 380:580].mean() > 0.95
    assert colored[:200].mean() < 0.01


def test_diameters_are_drawn_from_end_to_end_where_they_lie() -> None:
    mask = np.zeros((1, 60, 60), np.bool_)
    mask[0, 20:40, 10:50] = True
    scan = Scan(np.zeros((1, 60, 60)) + np.eye(60), Path("a"), spacing=(1.0, 1.0))
    finding = Finding(scan, mask, None)
    found = finding.diameters
    assert found is not None
    _, outline = pictures(report_page(finding))
    blue = (outline[..., 2] > 150) & (outline[..., 0] < 140)
    for share in (0.2, 0.35, 0.5, 0.65, 0.8):
        begin, end = np.array(found.longest_ends)
        row, column = ((begin + (end - begin) * share + 0.5) * 12).round().astype(int)
        assert blue[row - 3 : row + 4, column - 3 : column + 4].any()
    for ends, beyond in itertools.product((found.longest_ends, found.perpendicular_ends), (-0.1, 1.1)):
        begin, end = np.array(ends)
        row, column = ((begin + (end - begin) * beyond + 0.5) * 12).round().astype(int)
        assert not blue[row - 3 : row + 4, column - 3 : column + 4].any()
    without = pictures(report_page(dataclasses.replace(finding, scan=Scan(scan.pixels, Path("a")))))[1]
    assert not ((without[..., 2] > 150) & (without[..., 0] < 100)).any()


@pytest.mark.parametrize(
    ("shape", "spacing", "size"),
    [
        ((40, 40), None, (100, 100)),
        ((40, 20), None, (50, 100)),
        ((40, 40), (2.0, 1.0), (50, 100)),
        ((40, 80), (2.0, 1.0), (100, 100)),
        ((2, 800), (1.0, 1.0), (100, 1)),
    ],
)
def test_pictures_have_the_proportions_of_the_patient(
    shape: tuple[int, int], spacing: tuple[float, float] | None, size: tuple[int, int]
) -> None:
    finding = whole_finding(Scan(np.zeros((1, *shape)) + np.arange(shape[1]), Path("a"), spacing))
    painter = SlicePainter(finding, 100, marked=True)
    for picture in (painter.plain(0), painter.outlined(0), painter.heat(0)):
        assert (picture.width, picture.height) == size


@settings(max_examples=60)
@given(st.data())
def test_the_outline_is_drawn_around_its_mask_and_nowhere_else(data: st.DataObject) -> None:
    """Whatever the proportions, and wherever it lies; an earlier one darkened the picture's edges, too."""
    rows, columns = data.draw(st.integers(8, 90)), data.draw(st.integers(8, 90))
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    bottom, right = data.draw(st.integers(top + 1, rows)), data.draw(st.integers(left + 1, columns))
    spacing = data.draw(st.sampled_from([None, (1.0, 1.0), (2.5, 1.0), (0.7, 2.0)]))
    mask = np.zeros((1, rows, columns), np.bool_)
    mask[0, top:bottom, left:right] = True
    scan = Scan(np.full((1, rows, columns), 200.0), Path("a"), spacing)
    painter = SlicePainter(Finding(scan, mask, None), 200, marked=False)
    drawn = np.array(painter._gray(0))
    plain = drawn.copy()
    picture = Image.fromarray(drawn)
    painter._draw_outline(picture, mask[0])
    changed = (np.asarray(picture) != plain).any(axis=2)
    height, width = changed.shape
    across, down = width / columns, height / rows
    reach_x, reach_y = across / 2 + 3, down / 2 + 3  # the soft edge, and the shadow
    ys, xs = np.nonzero(changed)
    assert len(ys)
    assert ys.min() >= top * down - reach_y
    assert ys.max() <= bottom * down + reach_y
    assert xs.min() >= left * across - reach_x
    assert xs.max() <= right * across + reach_x
    if bottom - top > 1 and right - left > 1:
        assert ys.min() <= top * down + reach_y
        assert ys.max() >= bottom * down - reach_y - 1
        assert xs.min() <= left * across + reach_x
        assert xs.max() >= right * across - reach_x - 1


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32, np.float64, np.int64])
def test_slices_of_any_kind_of_number_are_painted(kind: type) -> None:
    values = np.linspace(0, 100, 64 * 64).reshape(1, 64, 64).astype(kind)
    if kind is np.float64:
        values = (values - 50) * 3e306
    painter = SlicePainter(Finding(Scan(values, Path("a")), None, None), 64, marked=False)
    (picture,) = pictures(painter.plain(0).address)
    assert picture[0, 0, 0] < 10
    assert picture[-1, -1, 0] > 245
    assert (np.diff(picture[:, 32, 0]) > -6).all()


def test_a_reports_size_stays_modest() -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 1000, (40, 256, 256)).astype(np.int16)
    mask = np.zeros(noise.shape, np.bool_)
    mask[5:35, 50:200, 60:180] = True
    scan = Scan(noise, Path("a.nii"), (1, 1), 1.0, axial_affine((1, 1, 1)))
    html = report_page(whole_finding(scan, mask=mask, heatmap=random.random(noise.shape, np.float32)))
    assert len(DATA.findall(html)) == 11
    assert len(html) < 3_000_000


# --- From a real slice ------------------------------------------------------------------------------------


def test_a_real_slice_gets_a_report_by_the_shipped_models(slice_paths: list[Path], tmp_path: Path) -> None:
    finding = Analyzer().analyze(read_scan(slice_paths[0]))
    write_report(finding, tmp_path / "deep" / "a.html")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.html"]
    html = (tmp_path / "deep" / "a.html").read_text("utf-8")
    page = Page.of(html)
    assert len(DATA.findall(html)) == 3
    assert finding.tumor_type is not None
    assert finding.tumor_type.title in page.text
    assert "MATLAB v7.3 slice" in page.text


@pytest.mark.parametrize(("millimetres", "dashes"), [(1.0, 3), (60.0, 11), (1e12, 101)])
def test_a_long_diameter_has_more_dashes_up_to_a_limit(millimetres: float, dashes: int) -> None:
    ends = ((0.0, 0.0), (9.0, 9.0))
    found = Diameters(millimetres, millimetres, 0, ends, ends)
    assert len(list(_strokes(found))) == 1 + dashes
