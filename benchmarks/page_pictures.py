"""The documentation's pictures of the local page, drawn anew.

    python benchmarks/page_pictures.py [--out docs]

A server and a headless Chromium of their own, both on this machine. Two scans are opened as a person would: a
bundled sample slice, and a stack. The data behind this project are single slices, so the stack is made of
one, the coronal slice tests/data/slices/326.mat: the further from the middle, the more of the tumor is
replaced by the other half's mirror image, and the smaller is the whole. It is for looking at, not for
measuring anything.

Writes page-390.png (a slice on a telephone), page-1280.png (the stack), page-2560.png (its three planes) and
page-compare.png (both side by side), each below 600 KB. Needs Chromium (Debian's package chromium) and
Playwright.
"""

import argparse
import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from page_speed import server
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydicom import dcmread
from pydicom.uid import generate_uid
from real_slices import write_slice
from scipy import ndimage
from tumor_free import without_tumor

from tumorlens import read_scan

ROOT = Path(__file__).parents[1]
SLICE = ROOT / "tests" / "data" / "slices" / "326.mat"
SLICES, APART = 60, 2.0  # mm
EXTENT = 26.0  # mm from the tumor's middle to its ends
RADIUS = 115.0  # mm of the sphere that the slices' sizes follow
MARGIN = 10  # pixels around the outline that look sick
SOFT = 6  # pixels from sick to healthy
MOST_BYTES = 600_000
WAIT = 300_000  # milliseconds

Picture = NDArray[np.float32]


def stack() -> NDArray[np.int16]:
    """A part of a head, coronal slices from front to back: (slices, 512, 512)."""
    sick = np.asarray(read_scan(SLICE).pixels[0], np.float32)
    with h5py.File(SLICE) as file:
        tumor = np.asarray(file["cjdata/tumorMask"]).T > 0
    mirrored = without_tumor(sick, tumor)
    assert mirrored is not None, "the slice has no axis of symmetry"
    deep = ndimage.distance_transform_edt(ndimage.binary_dilation(tumor, iterations=MARGIN))
    places = APART * (np.arange(SLICES) - SLICES / 2)
    return np.stack([slice_at(float(place), sick, np.asarray(mirrored), deep) for place in places])


def slice_at(place: float, sick: Picture, mirrored: Picture, deep: NDArray[np.float64]) -> NDArray[np.int16]:
    """The slice so many millimetres behind the middle.

    Args:
        place: In mm.
        sick: The slice in the middle, (rows, columns).
        mirrored: The same with two healthy halves.
        deep: How deep within the tumor and what is around it a pixel lies, in pixels; 0 outside.
    """
    share = min(abs(place) / EXTENT, 1.0)
    shell = deep.max() * (1 - np.sqrt(1 - share**2)) if share < 1 else np.inf  # so much of it is gone
    healthy = np.clip(deep / SOFT, 0, 1) * np.clip((shell - deep) / SOFT, 0, 1)
    picture = 4 * (sick + healthy * (mirrored - sick))
    size = np.sqrt(1 - (place / RADIUS) ** 2)
    middle = np.array(picture.shape) / 2
    return np.asarray(
        ndimage.affine_transform(picture, [1 / size] * 2, middle * (1 - 1 / size), order=1), np.int16
    )


def write_stack(path: Path) -> None:
    """Write it as a zip of DICOM files."""
    uids = (generate_uid(), generate_uid())
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, pixels in enumerate(stack()):
            file = Path(folder) / f"{index:03d}.dcm"
            write_slice(file, pixels, index, uids)
            dataset = dcmread(file)
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            dataset.ImagePositionPatient, dataset.SliceThickness = [-125, APART * index, 125], APART
            dataset.save_as(file)
            archive.write(file, file.name)


def open_page(browser: Browser, address: str, size: tuple[int, int], *scans: Path) -> Page:
    """The page in a window of a size, with a sample and more scans analysed."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme="light")
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.locator(".sample").nth(1).click()
    expect(page.locator("#result .type")).to_be_visible(timeout=WAIT)
    if scans:
        page.set_input_files("#file-input", [str(scan) for scan in scans])
    expect(page.locator(".card[data-state=done]")).to_have_count(1 + len(scans), timeout=WAIT)
    page.wait_for_load_state("networkidle")
    return page


def save(page: Page, path: Path) -> None:
    """Save what the window shows in 256 colors, with fewer grays where the size asks for it."""
    page.wait_for_timeout(1500)  # until everything is drawn, thumbnails as well
    with Image.open(io.BytesIO(page.screenshot())) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    is_gray = np.ptp(shown, axis=2) < 8
    for step in range(1, 9):
        shown[is_gray] = (shown[is_gray] / step).round() * step
        picture = Image.fromarray(shown.clip(0, 255).astype(np.uint8))
        picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        size = path.stat().st_size
        if size < MOST_BYTES:
            break
    print(f"{path.name}: {picture.width} × {picture.height}, grays in steps of {step}, {size / 1e3:.0f} KB")
    assert size < MOST_BYTES


def cross_in_tumor(page: Page) -> None:
    """Let the three planes meet in the tumor that is shown."""
    canvas = page.locator(".viewer-pane:visible").first
    x, y = canvas.evaluate(
        """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const [xs, ys] = [[], []];
          for (let at = 0; at < data.length; at += 4) {
            if (data[at] < 200 || data[at + 1] < 130 || data[at + 1] > 190 || data[at + 2] > 60) continue;
            xs.push((at / 4) % canvas.width);
            ys.push(Math.floor(at / 4 / canvas.width));
          }
          const mean = (all) => all.reduce((a, b) => a + b, 0) / all.length;
          return [mean(xs), mean(ys)].map((each) => each / devicePixelRatio);
        }"""
    )
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.mouse.move(5, 5)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("expected chromium on the path, found none: apt-get install chromium")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as play:
        folder = Path(temporary)
        write_stack(folder / "stack.zip")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with server(folder) as address:
            save(open_page(browser, address, (390, 844)), out / "page-390.png")
            page = open_page(browser, address, (1280, 800), folder / "stack.zip")
            save(page, out / "page-1280.png")
            page.get_by_role("button", name="Compare").click()
            save(page, out / "page-compare.png")
            page = open_page(browser, address, (2560, 1440), folder / "stack.zip")
            page.get_by_role("button", name="Planes", exact=True).click()
            page.wait_for_timeout(1500)
            cross_in_tumor(page)
            save(page, out / "page-2560.png")
        browser.close()


if __name__ == "__main__":
    main()
