"""What is drawn over a slice comes, looks as it is set, and goes."""

import numpy as np
import pytest
from playwright.sync_api import Page
from scipy import ndimage

from tests.server.page.conftest import Known
from tests.server.page.screen import (
    OUTLINE,
    Picture,
    assert_changed,
    assert_same,
    colored,
    differs,
    fitted,
    inside,
    settled,
    told_layer,
)
from tests.server.page.visits import ROOMY, Visits
from tests.server.running import Running

UNCERTAIN = (86, 180, 233)


@pytest.fixture
def page(visits: Visits, known: Known) -> Page:
    """A stack with all controls in sight."""
    return visits.open(known.stack["id"], viewport=ROOMY)


def press(page: Page, name: str) -> None:
    page.locator(".viewer-toolbar").get_by_role("button", name=name, exact=True).click()


def test_the_outline_is_hidden_and_shown_again(page: Page) -> None:
    before = settled(page)
    assert colored(before).any()
    for flip in (lambda: press(page, "Outline"), lambda: page.locator(".viewer-stage").press("o")):
        flip()
        assert not colored(assert_changed(page, before)).any()
        flip()
        assert_same(page, before)


def test_the_fill_is_as_strong_as_it_is_set_and_only_within_the_outline(page: Page) -> None:
    before = settled(page)
    within = ndimage.binary_erosion(inside(before), iterations=3)
    around = ~ndimage.binary_dilation(inside(before), iterations=4)
    press(page, "Fill")
    usual = assert_changed(page, before)
    assert strength(before, usual, within) == pytest.approx(0.3, abs=0.02)
    assert not differs(before[around], usual[around])
    page.get_by_label("Opacity of the fill").fill("80")
    assert strength(before, assert_changed(page, usual), within) == pytest.approx(0.8, abs=0.02)
    page.locator(".viewer-stage").press("f")
    assert_same(page, before)
    page.locator(".viewer-stage").press("f")
    assert strength(before, assert_changed(page, before), within) == pytest.approx(0.8, abs=0.02)
    page.get_by_label("Opacity of the fill").fill("0")
    assert_same(page, before)


def strength(before: Picture, after: Picture, where: np.ndarray) -> float:
    """How much of the outline's colour was laid over what was there, 0 to 1."""
    towards = (np.array(OUTLINE) - before)[where].astype(float)
    return float((towards * (after - before)[where]).sum() / (towards**2).sum())


def test_the_heatmap_comes_over_what_spoke_for_the_type_with_its_legend_and_goes(
    page: Page, known: Known, real: Running
) -> None:
    press(page, "Outline")
    before = settled(page)
    assert not colorful(before).any()
    press(page, "Heatmap")
    strong = assert_changed(page, before)
    heat, spacing = told_layer(real.client, known.stack["id"], "heat")
    hot, cold = (fitted(part, spacing, before.shape[:2]) for part in (heat > 128, heat < 8))
    assert colorful(strong)[hot].mean() > 0.9
    assert colorful(strong)[cold & slice_area(before)].mean() < 0.1
    assert colorful(strong)[-40:, -120:].any(), "the legend in the corner"
    page.get_by_label("Opacity of the heatmap").fill("25")
    weak = assert_changed(page, strong)
    assert np.abs(weak - before)[hot].mean() < 0.6 * np.abs(strong - before)[hot].mean()
    page.locator(".viewer-stage").press("h")
    assert_same(page, before)


def colorful(shown: Picture) -> np.ndarray:
    return np.asarray(np.ptp(shown, axis=2) > 25)


def slice_area(shown: Picture) -> np.ndarray:
    """The canvas without its corners, where texts and legend are."""
    area = np.zeros(shown.shape[:2], bool)
    area[90:-90] = True
    return area


def test_the_uncertain_edge_is_hatched_where_the_probability_is_near_a_half(
    page: Page, known: Known, real: Running
) -> None:
    press(page, "Outline")
    before = settled(page)
    press(page, "Uncertain edge: tumor with a probability between 25 % and 75 %")
    hatched = colored(assert_changed(page, before), UNCERTAIN)
    probability, spacing = told_layer(real.client, known.stack["id"], "probability")
    band = fitted((probability >= 64) & (probability <= 191), spacing, before.shape[:2])
    assert hatched.sum() > 0.1 * band.sum()
    assert ndimage.binary_dilation(band, iterations=4)[hatched].all()
    page.locator(".viewer-stage").press("u")
    assert_same(page, before)


def test_what_is_drawn_over_a_scan_stays_as_it_is_set_for_the_next_one(visits: Visits, known: Known) -> None:
    page = visits.open(known.stack["id"], known.slice["id"], viewport=ROOMY)
    before = settled(page)
    press(page, "Outline")
    hidden = assert_changed(page, before)
    page.locator(".card-open").nth(1).click()
    assert not colored(assert_changed(page, hidden)).any()
    page.locator(".card-open").nth(0).click()
    assert_same(page, hidden)
    press(page, "Outline")
    assert_same(page, before)
