"""Pictures show what was found where it was found, in the slice's own size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stand_ins import block, overlap
from tumorlens.finding import (
    Finding,
    FindingWarning,
    SliceMaps,
    WarningKind,
    overlay_picture,
    write_heatmap,
    write_mask,
    write_overlay,
)
from tumorlens.finding.picture import BAND, OUTLINE
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

SHAPE = (80, 120)


def found(pixels: np.ndarray | None = None, mask: np.ndarray | None = None, **more: object) -> Finding:
    scan = Scan(np.full(SHAPE, 7)[None] if pixels is None else pixels[None], Path("a"))
    return Finding(scan, None if mask is None else mask[None], None, **more)  # type: ignore[arg-type]


def read(path: Path, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == shape[::-1]
        return np.asarray(picture).astype(int)


def ramp() -> np.ndarray:
    return np.linspace(0, 4000, SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(np.int16)


# --- Mask -------------------------------------------------------------------------------------------------


def test_a_mask_is_written_as_it_is(tmp_path: Path) -> None:
    write_mask(found(mask=block(SHAPE)), tmp_path / "m.png")
    assert (read(tmp_path / "m.png") == 255 * block(SHAPE)).all()


def test_the_slice_asked_for_is_written(tmp_path: Path) -> None:
    masks = np.stack([block(SHAPE), block(SHAPE)[::-1]])
    heat = masks.astype(np.float32)
    finding = Finding(Scan(np.stack([ramp(), ramp()]), Path("a")), masks, None, masks * np.float32(0.5), heat)
    for index in (0, 1):
        write_mask(finding, tmp_path / "m.png", index)
        assert (read(tmp_path / "m.png") == 255 * masks[index]).all()
        write_heatmap(finding, tmp_path / "h.png", index)
        assert ((np.ptp(read(tmp_path / "h.png"), axis=2) > 20) == masks[index]).all()
        write_overlay(finding, tmp_path / "o.png", index, uncertainty=True)
        assert (((np.ptp(read(tmp_path / "o.png"), axis=2)) > 0) == masks[index]).all()


@pytest.mark.parametrize("write", [write_mask, write_heatmap])
def test_what_there_is_not_cannot_be_written(write: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a finding with a"):
        write(found(), tmp_path / "m.png")  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


# --- Overlay ----------------------------------------------------------------------------------------------


def test_an_overlay_without_a_mask_is_the_slice_in_gray(tmp_path: Path) -> None:
    write_overlay(found(ramp()), tmp_path / "o.png")
    picture = read(tmp_path / "o.png")
    assert (np.ptp(picture, axis=2) == 0).all()
    assert picture[..., 0] == pytest.approx(ramp() / 4000 * 255, abs=1)


def test_the_outline_is_two_pixels_wide_and_lies_inside_the_mask() -> None:
    picture = np.asarray(overlay_picture(np.zeros(SHAPE), block(SHAPE)))
    colored = (picture == OUTLINE).all(axis=2)
    assert colored.any()
    assert not (colored & ~block(SHAPE)).any()
    near_outside = ~np.pad(block(SHAPE), 2)
    distance_two = np.zeros(SHAPE, np.bool_)
    for row in range(5):
        for column in range(5):
            distance_two |= near_outside[row : row + SHAPE[0], column : column + SHAPE[1]]
    assert (colored == (block(SHAPE) & distance_two)).all()


def test_a_mask_on_the_edge_has_an_outline_there_too() -> None:
    picture = np.asarray(overlay_picture(np.zeros(SHAPE), np.ones(SHAPE, np.bool_)))
    colored = (picture == OUTLINE).all(axis=2)
    assert not colored[2:-2, 2:-2].any()
    assert colored.sum() == SHAPE[0] * SHAPE[1] - (SHAPE[0] - 4) * (SHAPE[1] - 4)


@pytest.mark.parametrize("with_mask", [True, False])
def test_the_uncertain_band_is_tinted_where_asked_for_and_nowhere_else(
    with_mask: bool, tmp_path: Path
) -> None:
    probability = np.zeros(SHAPE, np.float32)
    probability[10:30, 20:60] = 0.5
    probability[40:50, 20:60] = [[0.2], [0.8], [0.05], [0.95], [1], [0], [0.19], [0.81], [0.21], [0.79]]
    mask = (probability >= 0.5) if with_mask else None
    finding = found(ramp(), mask, tumor_probability=probability[None])
    write_overlay(finding, tmp_path / "plain.png")
    write_overlay(finding, tmp_path / "tinted.png", uncertainty=True)
    plain, tinted = read(tmp_path / "plain.png"), read(tmp_path / "tinted.png")
    changed = (plain != tinted).any(axis=2)
    uncertain = (probability > 0.2) & (probability < 0.8)
    outlined = (plain == OUTLINE).all(axis=2)
    assert (changed == (uncertain & ~outlined)).all()
    towards = plain[changed] + (np.array(BAND) - plain[changed]) * 140 / 255
    assert tinted[changed] == pytest.approx(towards, abs=1.5)


def test_uncertainty_without_probabilities_changes_nothing(tmp_path: Path) -> None:
    write_overlay(found(ramp(), block(SHAPE)), tmp_path / "a.png")
    write_overlay(found(ramp(), block(SHAPE)), tmp_path / "b.png", uncertainty=True)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_name_and_the_warnings_stand_at_the_top(tmp_path: Path) -> None:
    pixels = np.zeros((300, 420), np.int16)
    pixels[0, 0] = 1
    warning = FindingWarning(WarningKind.EDGE, "the outline touches the image's edge", 1, 1)
    named = dict(zip(TumorType, (0.1, 0.2, 0.7), strict=True))
    for name, finding in {
        "nothing": Finding(Scan(pixels[None], Path("a")), None, None),
        "named": Finding(Scan(pixels[None], Path("a")), None, named),
        "warned": Finding(Scan(pixels[None], Path("a")), None, named, warnings=(warning,)),
    }.items():
        write_overlay(finding, tmp_path / f"{name}.png")
    written = {path.stem: (read(path, (300, 420)).max(axis=2) > 128) for path in tmp_path.glob("*.png")}
    rows = {
        name: int(np.flatnonzero(bright[1:].any(axis=1)).max(initial=0)) for name, bright in written.items()
    }
    assert rows["nothing"] == 0
    assert 0 < rows["named"] < rows["warned"] < 60


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1, 90), (2000, 4)])
def test_pictures_of_any_size_are_written(shape: tuple[int, int], tmp_path: Path) -> None:
    ones = np.ones((1, *shape), np.float32)
    named = dict(zip(TumorType, (0.1, 0.2, 0.7), strict=True))
    finding = Finding(Scan(ones, Path("a")), ones > 0, named, 0.5 * ones, ones)
    write_overlay(finding, tmp_path / "o.png", uncertainty=True)
    write_heatmap(finding, tmp_path / "h.png")
    assert read(tmp_path / "o.png", shape).shape == read(tmp_path / "h.png", shape).shape == (*shape, 3)


# --- Heatmap ----------------------------------------------------------------------------------------------


def test_a_place_is_the_brighter_the_more_it_spoke_for_the_name(tmp_path: Path) -> None:
    heat = np.tile(np.linspace(0, 1, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))
    write_heatmap(found(np.zeros(SHAPE), heatmap=heat[None]), tmp_path / "h.png")
    brightness = read(tmp_path / "h.png").sum(axis=2)
    assert (np.diff(brightness, axis=1) >= -2).all()
    assert brightness[0, -1] > 300
    assert brightness[0, 0] == 0


def test_a_heatmap_lies_where_it_was_found_and_leaves_the_rest_of_the_slice(tmp_path: Path) -> None:
    write_heatmap(found(ramp(), heatmap=block(SHAPE)[None].astype(np.float32)), tmp_path / "h.png")
    picture = read(tmp_path / "h.png")
    assert ((np.ptp(picture, axis=2) > 20) == block(SHAPE)).all()
    outside = picture[~block(SHAPE)]
    assert outside[:, 0] == pytest.approx((ramp() / 4000 * 255)[~block(SHAPE)], abs=1)


def test_a_slice_of_maps_kept_coarse_is_drawn_like_one_of_an_array(tmp_path: Path) -> None:
    coarse = [block((32, 32)).astype(np.float32), block((32, 32))[::-1].astype(np.float32)]
    maps = SliceMaps(coarse, SHAPE)
    scan = Scan(np.stack([ramp(), ramp()]), Path("a"))
    kept = Finding(scan, None, None, tumor_probability=maps, heatmap=maps)
    whole = Finding(scan, None, None, tumor_probability=np.asarray(maps), heatmap=np.asarray(maps))
    for name, finding in {"kept": kept, "whole": whole}.items():
        write_heatmap(finding, tmp_path / f"{name}-h.png", 1)
        write_overlay(finding, tmp_path / f"{name}-o.png", 1, uncertainty=True)
    for kind in "ho":
        assert (read(tmp_path / f"kept-{kind}.png") == read(tmp_path / f"whole-{kind}.png")).all()
    colored = np.ptp(read(tmp_path / "kept-h.png"), axis=2) > 60
    assert overlap(colored, maps[1] > 0.2) > 0.8


def test_an_empty_heatmap_is_the_slice(tmp_path: Path) -> None:
    write_heatmap(found(ramp(), heatmap=np.zeros((1, *SHAPE), np.float32)), tmp_path / "h.png")
    write_overlay(found(ramp()), tmp_path / "o.png")
    assert (read(tmp_path / "h.png") == read(tmp_path / "o.png")).all()
