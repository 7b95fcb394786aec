"""Every file that the page offers is saved by the browser, opens in its tools, and says what the API says."""

import io
import json
import zipfile
from importlib import resources
from pathlib import Path

import highdicom as hd
import jsonschema
import nibabel as nib
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from scipy import ndimage

from tests.server.page.conftest import Known
from tests.server.page.screen import colored, told_layer, told_mask
from tests.server.page.visits import Visits
from tests.server.running import NAMES, Running

OF_A_SLICE = {"html", "overlay", "heatmap", "mask", "nifti", "json"}
OF_DICOM = {"seg", "sr", "capture"}


@pytest.fixture
def stack_page(visits: Visits, known: Known) -> Page:
    """A DICOM series."""
    return visits.open(known.stack["id"])


@pytest.fixture
def picture_page(visits: Visits, known: Known) -> Page:
    """A PNG."""
    return visits.open(known.picture["id"])


@pytest.fixture
def masks(known: Known, real: Running) -> NDArray[np.bool_]:
    """What the API says of the stack, (slices, rows, columns)."""
    return np.stack([told_mask(real.client, known.stack["id"], index)[0] for index in range(6)])


def saved(page: Page, format_: str, folder: Path) -> Path:
    """A file, downloaded by the browser under the name that it is offered with."""
    with page.expect_download() as coming:
        page.locator(f"[data-format={format_}]").click()
    path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    expect(page.locator("#said")).to_contain_text(f"{path.name} is saved.")
    assert not any(name in path.name for name in NAMES)
    return path


def test_what_is_offered_is_what_the_server_has(stack_page: Page, known: Known) -> None:
    offered = [each.get_attribute("data-format") for each in stack_page.locator("[data-format]").all()]
    assert set(offered) == set(known.stack["files"]) == OF_A_SLICE | OF_DICOM
    assert len(offered) == len(set(offered))


def test_what_a_picture_cant_have_is_said_with_the_reason(picture_page: Page) -> None:
    offered = {each.get_attribute("data-format") for each in picture_page.locator("[data-format]").all()}
    assert offered == OF_A_SLICE
    expect(picture_page.locator(".missing")).to_have_text(
        "Not to be had: DICOM SEG, DICOM SR, DICOM capture. "
        "DICOM files can only be made of a scan that came as DICOM."
    )


def test_the_saved_mask_of_a_picture_is_the_apis(
    picture_page: Page, known: Known, real: Running, tmp_path: Path
) -> None:
    with Image.open(saved(picture_page, "mask", tmp_path)) as image:
        mask = np.asarray(image)
    assert set(np.unique(mask)) == {0, 255}
    assert np.array_equal(mask > 0, told_mask(real.client, known.picture["id"])[0])


def test_the_saved_masks_of_a_stack_are_the_apis(
    stack_page: Page, masks: NDArray[np.bool_], tmp_path: Path
) -> None:
    with zipfile.ZipFile(saved(stack_page, "mask", tmp_path)) as archive:
        names = sorted(archive.namelist())
        slices = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) > 0 for name in names]
    assert np.array_equal(slices, masks)


def test_the_saved_nifti_mask_is_the_apis_and_lies_where_the_series_does(
    stack_page: Page, known: Known, masks: NDArray[np.bool_], real: Running, tmp_path: Path
) -> None:
    volume = nib.Nifti1Image.from_filename(saved(stack_page, "nifti", tmp_path))
    values = np.asarray(volume.dataobj)
    assert np.count_nonzero(values) == np.count_nonzero(masks)
    affine = np.array(real.client.get(f"/v1/analyses/{known.stack['id']}/view").json()["affine"])
    wanted = (affine @ [*np.argwhere(masks).mean(axis=0), 1])[:3] * (-1, -1, 1)  # LPS to RAS
    assert (volume.affine @ [*np.argwhere(values).mean(axis=0), 1])[:3] == pytest.approx(wanted, abs=0.01)


def test_the_saved_numbers_follow_the_published_schema_and_are_those_on_the_page(
    stack_page: Page, known: Known, tmp_path: Path
) -> None:
    document = json.loads(saved(stack_page, "json", tmp_path).read_text())
    schema = json.loads((resources.files("tumorlens.finding") / "finding.schema.json").read_text())
    jsonschema.validate(document, schema)
    assert document == known.stack["result"]
    shares = {row.split()[0]: row.split()[-1] for row in stack_page.locator(".bars tr").all_inner_texts()}
    assert shares == {
        kind.split()[0].capitalize(): f"{100 * share:.1f}%"
        for kind, share in document["probabilities"].items()
    }
    measured = stack_page.locator(".facts").first
    expect(measured).to_contain_text(f"{document['volume_mm3'] / 1000:.1f} cm³")
    expect(measured).to_contain_text(f"{document['diameters']['longest_mm']:.1f} mm")
    expect(measured).to_contain_text(f"{document['area_mm2']:.0f} mm²")


def test_the_saved_segmentation_holds_the_apis_masks_for_the_slices_of_the_series(
    stack_page: Page, masks: NDArray[np.bool_], tmp_path: Path
) -> None:
    segmentation = hd.seg.segread(saved(stack_page, "seg", tmp_path))
    volume = segmentation.get_volume(segment_numbers=[1], combine_segments=True)
    held, wanted = ([each for each in array > 0 if each.any()] for array in (volume.array, masks))
    assert np.array_equal(held, wanted) or np.array_equal(held[::-1], wanted)


def test_the_saved_measurements_are_a_structured_report_with_its_segmentation(
    stack_page: Page, known: Known, tmp_path: Path
) -> None:
    with zipfile.ZipFile(saved(stack_page, "sr", tmp_path)) as archive:
        datasets = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    kinds = {each.Modality: each for each in datasets}
    assert set(kinds) == {"SEG", "SR"}
    report = kinds["SR"]
    numbers = [float(each.value) for each in report.iterall() if each.keyword == "NumericValue"]
    result = known.stack["result"]
    for wanted in (result["volume_mm3"], result["diameters"]["longest_mm"]):
        assert any(number == pytest.approx(wanted, rel=1e-3) for number in numbers), (wanted, numbers)
    reference = report.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID
    assert reference == kinds["SEG"].StudyInstanceUID


def test_the_saved_overlay_is_outlined_around_the_apis_mask(
    stack_page: Page, masks: NDArray[np.bool_], tmp_path: Path
) -> None:
    with Image.open(saved(stack_page, "overlay", tmp_path)) as image:
        found = ndimage.binary_fill_holes(colored(np.asarray(image.convert("RGB")).astype(np.int32)))
    assert (found & masks[3]).sum() / (found | masks[3]).sum() > 0.8


def test_the_saved_heatmap_glows_where_the_apis_does(
    stack_page: Page, known: Known, real: Running, tmp_path: Path
) -> None:
    with Image.open(saved(stack_page, "heatmap", tmp_path)) as image:
        glow = np.ptp(np.asarray(image.convert("RGB")).astype(np.int32), axis=2)
    heat, _ = told_layer(real.client, known.stack["id"], "heat")
    assert glow[heat > 128].mean() > 5 * glow[heat < 16].mean()


def test_a_saved_capture_opens_as_a_dicom_picture(stack_page: Page, tmp_path: Path) -> None:
    capture = pydicom.dcmread(saved(stack_page, "capture", tmp_path))
    assert capture.SOPClassUID.name.endswith("Secondary Capture Image Storage")
    assert colored(capture.pixel_array.astype(np.int32)).sum() > 100


def test_the_saved_report_is_a_page_on_its_own(stack_page: Page, tmp_path: Path) -> None:
    path = saved(stack_page, "html", tmp_path)
    assert "Research use only" in path.read_text()
    page = stack_page.context.new_page()
    page.goto(path.as_uri())
    expect(page.locator("body")).to_contain_text("meningioma")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.locator("img, svg").count() > 0
    assert (
        page.evaluate("performance.getEntriesByType('resource').filter((e) => e.name.startsWith('http'))")
        == []
    )


def test_the_report_opens_in_a_tab_of_its_own(stack_page: Page) -> None:
    with stack_page.expect_popup() as opened:
        stack_page.get_by_role("link", name="Open report in a new tab").click()
    report = opened.value
    expect(report.locator("body")).to_contain_text("Research use only")
    expect(report.locator("body")).to_contain_text("meningioma")
    assert report.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    expect(stack_page.locator("#result .type")).to_have_text("Meningioma")
