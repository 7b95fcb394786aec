"""The tumor's surface is closed, as large as the mask, and lies where the tumor lies in the patient."""

import math
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.server.page.desk import Desk, browsing, desk_in
from tests.server.page.viewing import Phantom
from tests.server.page.where import Lie

SHAPE, SPACING = (13, 61, 47), (4.0, 0.8, 1.1)
LIES = {towards: Lie(towards, SHAPE, SPACING) for towards in ("SPL", "IPL", "PIL", "AIL", "RIP", "LIP")}
_MESH = """async ([text, view]) => {
  const m = await import("/viewer/surface_mesh.js");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const [count, rows, columns] = view.shape;
  const masks = Array.from({ length: count }, (_, slice) =>
    ({ slice, mask: bytes.subarray(slice * rows * columns, (slice + 1) * rows * columns) }));
  const mesh = m.meshOf(masks.filter(({ mask }) => mask.includes(1)), view);
  const packed = (values) => {
    let text = "";
    for (const byte of new Uint8Array(values.buffer)) text += String.fromCharCode(byte);
    return btoa(text);
  };
  const { middle, radius, places, normals, triangles } = mesh;
  return { middle, radius, places: packed(places), normals: packed(normals), triangles: packed(triangles) };
}"""


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with browsing() as browser, desk_in(browser) as desk:
        yield desk


@dataclass(frozen=True)
class Mesh:
    """A surface.

    Attributes:
        points: (vertices, 3), mm.
        normals: The same shape.
        triangles: (triangles, 3), vertices' numbers.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    triangles: NDArray[np.int64]

    @property
    def corners(self) -> NDArray[np.float64]:
        """(triangles, 3, 3)."""
        return self.points[self.triangles]

    @property
    def volumes(self) -> NDArray[np.float64]:
        """Signed, of the tetrahedra from the origin to each triangle: positive where it faces away."""
        return np.asarray(np.linalg.det(self.corners) / 6)

    @property
    def volume(self) -> float:
        return float(self.volumes.sum())

    @property
    def middle(self) -> NDArray[np.float64]:
        """The center of gravity of what it encloses."""
        moments = self.volumes[:, None] * self.corners.sum(axis=1) / 4
        return np.asarray(moments.sum(axis=0) / self.volume)

    @property
    def is_closed(self) -> bool:
        """Whether each edge belongs to two triangles that face the same way."""
        start = self.triangles.ravel()
        end = np.roll(self.triangles, -1, axis=1).ravel()
        there, back = (np.sort(a * len(self.points) + b) for a, b in ((start, end), (end, start)))
        return bool((there == back).all() and (np.diff(there) > 0).all())


def mesh_of(desk: Desk, lie: Lie, mask: NDArray[np.bool_], **more: object) -> Mesh:
    view = {"shape": lie.shape, "spacing": lie.spacing, "affine": lie.affine.tolist(), **more}
    found = desk.page.evaluate(_MESH, [b64encode(mask.astype(np.uint8).tobytes()).decode(), view])

    def rows(name: str, kind: str) -> NDArray[np.generic]:
        return np.frombuffer(b64decode(found[name]), kind).reshape(-1, 3)

    points = rows("places", "<f4").astype(float) + found["middle"]
    normals, triangles = rows("normals", "<f4").astype(float), rows("triangles", "<u4").astype(np.int64)
    assert np.isfinite(points).all()
    assert found["radius"] == pytest.approx(np.linalg.norm(points - found["middle"], axis=1).max())
    return Mesh(points, normals, triangles)


def places(lie: Lie) -> NDArray[np.float64]:
    """(slices, rows, columns, 3): each voxel's middle in the patient, mm."""
    index = np.stack([*np.indices(lie.shape), np.ones(lie.shape)], axis=-1)
    return (index @ lie.affine.T)[..., :3]


def ball(lie: Lie, voxel: tuple[float, float, float], radius: float) -> NDArray[np.bool_]:
    """Voxels within so many mm from a place."""
    middle = (lie.affine @ [*voxel, 1])[:3]
    return np.asarray(np.linalg.norm(places(lie) - middle, axis=-1) <= radius)


@pytest.mark.parametrize("towards", ["SPL", "RIP"])
def test_a_balls_surface_is_closed_and_has_its_volume_and_place(desk: Desk, towards: str) -> None:
    lie = LIES[towards]
    mask = ball(lie, (6, 31, 22), 17)
    mesh = mesh_of(desk, lie, mask)
    voxels = mask.sum() * math.prod(lie.spacing)
    assert mesh.is_closed
    assert mesh.volume == pytest.approx(voxels, rel=0.01)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 17**3, rel=0.02)
    middle = (lie.affine @ [6, 31, 22, 1])[:3]
    assert mesh.middle == pytest.approx(middle, abs=0.1)
    away = np.linalg.norm(mesh.points - middle, axis=1)
    assert away.min() > 17 - 2
    assert away.max() < 17 + 1.5
    outward = ((mesh.points - middle) / away[:, None] * mesh.normals).sum(axis=1)
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1)
    assert outward.min() > 0.5


@pytest.mark.parametrize("towards", LIES)
def test_a_surface_is_neither_mirrored_nor_turned(desk: Desk, towards: str) -> None:
    """Balls of three sizes in three corners: center of gravity and extent are the voxels' own."""
    lie = LIES[towards]
    mask = ball(lie, (3, 15, 12), 8) | ball(lie, (9, 45, 14), 6) | ball(lie, (8, 14, 34), 11)
    mesh = mesh_of(desk, lie, mask)
    inside = places(lie)[mask]
    half = np.abs(lie.affine[:3, :3]).sum(axis=1) / 2
    assert mesh.is_closed
    assert mesh.middle == pytest.approx(inside.mean(axis=0), abs=0.4)
    assert np.abs(mesh.points.min(axis=0) - (inside.min(axis=0) - half)).max() < 2.1
    assert np.abs(mesh.points.max(axis=0) - (inside.max(axis=0) + half)).max() < 2.1


def test_without_an_affine_the_surface_lies_along_columns_rows_and_slices(desk: Desk) -> None:
    lie = LIES["SPL"]
    mask = ball(lie, (3, 15, 12), 8)
    mesh = mesh_of(desk, lie, mask, affine=None)
    expected = np.argwhere(mask).mean(axis=0)[::-1] * lie.spacing[::-1]
    assert mesh.middle == pytest.approx(expected, abs=0.3)
    assert mesh.volume > 0


@pytest.mark.parametrize(
    "box",
    {
        "one voxel": np.s_[6:7, 30:31, 22:23],
        "one slice": np.s_[6:7, 20:40, 10:30],
        "a thread": np.s_[:, 30:31, 22:23],
        "the first corner": np.s_[:2, :9, :9],
        "the last corner": np.s_[-2:, -9:, -9:],
        "all": np.s_[:, :, :],
    }.items(),
    ids=lambda box: box[0],
)
def test_any_masks_surface_is_closed_around_it(desk: Desk, box: tuple[str, Any]) -> None:
    lie, mask = LIES["IPL"], np.zeros(SHAPE, np.bool_)
    mask[box[1]] = True
    mesh = mesh_of(desk, lie, mask)
    inside = places(lie)[mask]
    half = np.abs(lie.affine[:3, :3]).sum(axis=1) / 2
    assert len(mesh.triangles) > 0
    assert mesh.is_closed
    assert mesh.volume > 0
    assert mesh.middle == pytest.approx(inside.mean(axis=0), abs=0.3)
    assert (mesh.points.min(axis=0) >= inside.min(axis=0) - half - 0.7).all()
    assert (mesh.points.max(axis=0) <= inside.max(axis=0) + half + 0.7).all()
    assert mesh.volume == pytest.approx(
        mask.sum() * math.prod(SPACING), rel=0.15 if mask.sum() < 20 else 0.01
    )


@pytest.mark.parametrize("radius", [4, 6, 9, 13])
def test_a_small_balls_surface_has_its_volume_too(desk: Desk, radius: float) -> None:
    lie = LIES["SPL"]
    mask = ball(lie, (6.3, 31.4, 22.2), radius)
    mesh = mesh_of(desk, lie, mask)
    assert mesh.is_closed
    assert mesh.volume == pytest.approx(mask.sum() * math.prod(SPACING), rel=0.01)


def scan(lie: Lie, mask: NDArray[np.bool_]) -> Phantom:
    more = {"affine": lie.affine.tolist(), "plane": lie.plane(0), "directions": lie.letters(0)}
    pixels = np.zeros(lie.shape, np.uint16)
    return Phantom(pixels, mask.astype(np.uint8), spacing=lie.spacing, more=more)


def seen(desk: Desk) -> tuple[float, float]:
    """How far right and down of its extent's middle the surface's larger part is seen, as shares."""
    desk.frame()
    desk.frame()
    box = desk.page.locator(".viewer-surface").bounding_box()
    assert box is not None
    colors = desk.screenshot()[round(box["y"]) : round(box["y"] + box["height"])]
    is_red = colors[..., 0] - colors[..., 1] > 40
    rows, columns = np.nonzero(is_red)
    assert len(rows) > 1000
    right, down = (
        float((each.mean() - (each.min() + each.max()) / 2) / (each.max() - each.min()))
        for each in (columns, rows)
    )
    return right, down


@pytest.mark.parametrize("towards", ["SPL", "AIL", "LIP"])
def test_the_surface_is_seen_from_the_front_with_the_patients_left_at_the_right(
    desk: Desk, towards: str
) -> None:
    lie = LIES[towards]
    middle = places(lie).reshape(-1, 3).mean(axis=0)

    def at(left: float, posterior: float, superior: float, radius: float) -> NDArray[np.bool_]:
        away = np.linalg.norm(places(lie) - middle - (left, posterior, superior), axis=-1)
        return np.asarray(away <= radius)

    extent = np.abs(places(lie).reshape(-1, 3) - middle).max(axis=0)
    x, _, z = 0.5 * extent
    desk.show(scan(lie, at(x, 0, z, 9) | at(-x, 0, -z, 5)), layout="surface")
    right, down = seen(desk)
    assert right > 0.05
    assert down < -0.05
    letters = {each.text: each for each in desk.texts(3)}
    assert {"R", "A", "S"} == set(letters) & set("RLAPSI")  # what points away has none
    assert letters["R"].x < letters["A"].x
    assert letters["S"].y < letters["A"].y
    turn = math.pi / 0.008  # CSS pixels of dragging to the other side
    box = desk.page.locator(".viewer-surface .viewer-pane").bounding_box()
    assert box is not None
    x0, y0 = box["x"] + 20, box["y"] + box["height"] / 2
    desk.page.mouse.move(x0, y0)
    desk.page.mouse.down()
    desk.page.mouse.move(x0 + turn - 1.0 / 0.008, y0, steps=2)  # seen from behind, as much from the side
    desk.page.mouse.up()
    right, down = seen(desk)
    assert right < -0.05
    assert down < -0.05
