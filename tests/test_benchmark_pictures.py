"""Slices without their tumor: the sick half becomes the mirror image of the healthy one; no more changes."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks come with the repository only", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
try:
    from tumor_free import symmetry_axis, without_tumor
finally:
    sys.path.remove(str(BENCHMARKS))

SIDE = 200


def head(axis: float) -> np.ndarray:
    """A head symmetric about a column, with an eye on either side."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    across = np.abs(columns - axis)
    picture = 300.0 * (np.hypot(across / 60, (rows - 100) / 80) < 1)
    picture += 500 * (np.hypot(across - 25, rows - 60) < 9)
    return picture + rows * (picture > 0)


@pytest.mark.parametrize("axis", [88.0, 100.0, 107.0])
@pytest.mark.parametrize("column", [70, 130])
def test_the_tumor_is_gone_and_the_healthy_half_stays(axis: float, column: int) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    tumor = np.hypot(rows - 110, columns - column) < 8
    assert symmetry_axis(np.float32(head(axis) / head(axis).max())) == pytest.approx(axis, abs=1.6)
    free = without_tumor(head(axis) + 400 * tumor, tumor)
    assert free is not None
    healthy = (columns > axis + 2) if column < axis else (columns < axis - 2)
    assert (free[healthy] == head(axis)[healthy]).all()
    assert np.corrcoef(free[tumor], head(axis)[tumor])[0, 1] > 0.9
    assert np.abs(free - head(axis)).mean() < 12


def test_a_tumor_across_the_axis_cannot_be_taken_away() -> None:
    tumor = np.zeros((SIDE, SIDE), bool)
    tumor[90:110, 90:110] = True
    assert without_tumor(head(100.0) + 400 * tumor, tumor) is None


def test_a_picture_without_symmetry_has_no_axis() -> None:
    noise = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    assert symmetry_axis(noise) is None
