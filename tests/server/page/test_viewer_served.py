"""From a file through the server to the screen: what lies somewhere in the patient is shown there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

from tests.dicom_files import AXIAL, CORONAL, SAGITTAL, affine_of, write_series
from tests.server.page.desk import NOTES, browsing, colors, written
from tests.server.page.where import TO_RIGHT_AND_BOTTOM, middle_of
from tests.server.running import Gate, finished, gated, parts, running
from tumorlens.scan.geometry import LPS_RAS

SHAPE = (9, 41, 29)  # slices, rows, columns of the file
_LETTERS = {"L": (0, 1), "P": (1, 1), "I": (2, -1)}  # axis of LPS and sign
_OPEN = """async (id) => {
  const { Viewer } = await import("/static/viewer/viewer.js");
  const home = document.createElement("div");
  document.body.replaceChildren(home);
  home.style.height = "95vh";
  const viewer = new Viewer(home, { label: "Scan" });
  const { style } = viewer.element;
  for (const name of ["--viewer-crosshair", "--viewer-text"]) style.setProperty(name, "transparent");
  style.setProperty("--outline", "rgb(255 0 0)");
  const view = await (await fetch(`/v1/analyses/${id}/view`)).json();
  let came = 0;
  const layers = async (n, signal) => {
    const bytes = await (await fetch(`/v1/analyses/${id}/view/slices/${n}`, { signal })).arrayBuffer();
    came += 1;
    return bytes;
  };
  await viewer.show({ view, layers });
  viewer.apply({ outline: false, layout: "planes", window: { low: 0, high: 1000 }, tool: "crosshair" });
  while (came < view.shape[0]) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  window.viewer = viewer;
  return view;
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server whose model outlines what is bright."""
    gate = Gate(64)
    gate.open.set()
    with running(tmp_path_factory.mktemp("server") / "data", gated(gate)) as server:
        yield server.client


@pytest.fixture(scope="module")
def page(server: httpx.Client) -> Iterator[Page]:
    """The server's own page, with its own rules for what may run."""
    complaints: list[str] = []
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1201, "height": 803})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None
        )
        page.add_init_script(NOTES)
        page.goto(str(server.base_url))
        yield page
    assert complaints == []


def volume(marker: tuple[int, int, int]) -> NDArray[np.int16]:
    """Dark, with a bright box of 3 × 5 × 5 voxels around a voxel."""
    pixels = np.full(SHAPE, 60, np.int16)
    slice_, row, column = marker
    pixels[slice_ - 1 : slice_ + 2, row - 2 : row + 3, column - 2 : column + 3] = 1000
    return pixels


class Room:
    """A scan's extent in the patient, from its affine in the file alone.

    Args:
        affine: From (slice, row, column, 1) of the file to LPS in mm.
    """

    def __init__(self, affine: NDArray[np.float64]) -> None:
        corners = np.array([[i, j, k, 0.5] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [*SHAPE, 2]
        corners[:, :3] -= 0.5
        edges = corners @ affine.T
        self.low, self.high = edges[:, :3].min(axis=0), edges[:, :3].max(axis=0)
        self.affine = affine

    def at(
        self, plane: str, marker: tuple[int, int, int], width: int, height: int
    ) -> tuple[float, float, float]:
        """Where a voxel's middle must lie on a plane's canvas, and device pixels a mm."""
        place = (self.affine @ [*marker, 1])[:3]
        middle, size = (self.low + self.high) / 2, self.high - self.low
        (right, right_sign), (down, down_sign) = (_LETTERS[letter] for letter in TO_RIGHT_AND_BOTTOM[plane])
        scale = min(width / size[right], height / size[down])
        return (
            width / 2 + right_sign * (place - middle)[right] * scale,
            height / 2 + down_sign * (place - middle)[down] * scale,
            scale,
        )


def analyzed(server: httpx.Client, *files: Path) -> str:
    response = server.post("/v1/analyses", files=parts(*files))
    assert response.status_code in (201, 202), response.text
    id_: str = finished(server, response.json()["id"])["id"]
    return id_


def assert_in_place(page: Page, server: httpx.Client, files: list[Path], room: Room, marker: Any) -> None:
    """The marker and its outline are in all three planes where the file's affine has them."""
    view = page.evaluate(_OPEN, analyzed(server, *files))
    names = [view["plane"], *({"axial", "coronal", "sagittal"} - {view["plane"]})]
    first = colors(page, 0)
    x, y, _ = room.at(names[0], marker, first.shape[1], first.shape[0])
    box = page.locator(".viewer-pane").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + x, box["y"] + y)  # the other two planes go through the marker
    for pane in range(3):
        [name] = {"axial", "coronal", "sagittal"} & {each.text.lower() for each in written(page, pane)}
        gray = colors(page, pane)
        x, y, scale = room.at(name, marker, gray.shape[1], gray.shape[0])
        is_bright = gray[..., 1] > 150
        assert middle_of(is_bright) == pytest.approx((x, y), abs=3), name
        page.evaluate("viewer.apply({ fill: 1 })")
        red = colors(page, pane)
        page.evaluate("viewer.apply({ fill: 0 })")
        is_red = (red[..., 0] > 150) & (red[..., 1] < 100)
        # The model sees the slice at another size, so that its outline is off by a pixel here and there.
        assert middle_of(is_red) == pytest.approx((x, y), abs=1.5 * scale), name


@pytest.mark.parametrize("directions", [AXIAL, CORONAL, SAGITTAL], ids=["axial", "coronal", "sagittal"])
def test_what_a_dicom_series_has_somewhere_in_the_patient_is_shown_there(
    page: Page, server: httpx.Client, tmp_path: Path, directions: Any
) -> None:
    marker, affine = (6, 9, 21), affine_of(directions, (4.0, 0.9, 0.6))
    files = write_series(tmp_path / "series", volume(marker).astype(np.uint16), affine)
    assert_in_place(page, server, files, Room(affine), marker)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LIA", "PSR", "SLA", "IAR"])
def test_what_a_nifti_volume_has_somewhere_in_the_patient_is_shown_there(
    page: Page, server: httpx.Client, tmp_path: Path, codes: str
) -> None:
    """The file's axes run in the directions of the codes."""
    marker = (6, 9, 21)
    towards = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (code, size) in enumerate(zip(codes, (4.0, 0.9, 0.6), strict=True)):
        along, sign = towards[code]
        affine[along, axis] = sign * size
    affine[:3, 3] = (11, -23, 37)
    nib.save(nib.Nifti1Image(volume(marker), affine), tmp_path / "volume.nii.gz")
    assert_in_place(page, server, [tmp_path / "volume.nii.gz"], Room(LPS_RAS @ affine), marker)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_volume_with_values_that_are_no_numbers_is_refused(
    server: httpx.Client, tmp_path: Path, value: float
) -> None:
    pixels = np.zeros(SHAPE, np.float32)
    pixels[4, 3, 2] = value
    nib.save(nib.Nifti1Image(pixels, np.eye(4)), tmp_path / "volume.nii.gz")
    response = server.post("/v1/analyses", files=parts(tmp_path / "volume.nii.gz"))
    told = (
        response.json() if response.status_code == 422 else finished(server, response.json()["id"])["problem"]
    )
    assert "expected finite voxels, got NaN or infinity" in told["detail"]
