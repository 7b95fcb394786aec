"""A finding is plain data of the scan's own shape."""

from pathlib import Path

import numpy as np
import pytest

from tumorlens.finding import Confidence, Finding, FindingWarning, SliceMaps, WarningKind
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType


def scan(shape: tuple[int, ...] = (2, 4, 6), spacing: tuple[float, float] | None = (0.5, 2.0)) -> Scan:
    return Scan(np.ones(shape), Path("a"), spacing)


@pytest.mark.parametrize("name", ["mask", "tumor_probability", "heatmap"])
@pytest.mark.parametrize("shape", [(2, 6, 4), (1, 4, 6), (4, 6), (2, 4, 6, 1)])
def test_a_finding_of_another_shape_is_refused(name: str, shape: tuple[int, ...]) -> None:
    values = {"mask": None, "probabilities": None, name: np.zeros(shape, np.float32)}
    with pytest.raises(ValueError, match=rf"expected a {name} of the scan's shape \(2, 4, 6\), got \("):
        Finding(scan(), **values)  # type: ignore[arg-type]


def test_the_likeliest_type_is_the_tumor_type() -> None:
    for tumor in TumorType:
        probabilities = {each: 0.6 if each is tumor else 0.2 for each in TumorType}
        assert Finding(scan(), None, probabilities).tumor_type is tumor
    assert Finding(scan(), None, None).tumor_type is None


def outlined() -> np.ndarray:
    """3 pixels on slice 0 and 5 on slice 1."""
    mask = np.zeros((2, 4, 6), np.bool_)
    mask[0, 1, 2:5] = mask[1, 3, 1:] = True
    return mask


def test_the_area_is_that_of_the_slice_with_the_largest_outline() -> None:
    assert Finding(scan(), outlined(), None).area_mm2 == 5 * 0.5 * 2.0
    assert Finding(scan(), outlined()[::-1], None).area_mm2 == 5 * 0.5 * 2.0
    assert Finding(scan(), np.zeros((2, 4, 6), np.bool_), None).area_mm2 == 0
    assert Finding(scan(spacing=None), outlined(), None).area_mm2 is None
    assert Finding(scan(), None, None).area_mm2 is None


def test_the_volume_is_that_of_all_outlined_voxels() -> None:
    stack = Scan(np.ones((2, 4, 6)), Path("a"), (0.5, 2.0), slice_spacing=3.0)
    assert Finding(stack, outlined(), None).volume_mm3 == 8 * 0.5 * 2.0 * 3.0
    assert Finding(stack, None, None).volume_mm3 is None
    assert Finding(scan(), outlined(), None).volume_mm3 is None
    single = Scan(np.ones((1, 4, 6)), Path("a"), (0.5, 2.0), slice_spacing=3.0)
    assert Finding(single, outlined()[:1], None).volume_mm3 is None


def test_slices_with_an_outline_are_counted_and_the_largest_is_the_key_slice() -> None:
    finding = Finding(scan((3, 4, 6)), np.stack([np.zeros((4, 6), np.bool_), *outlined()]), None)
    assert finding.tumor_pixels == (0, 3, 5)
    assert finding.tumor_slices == (1, 2)
    assert finding.key_slice == 2
    nothing = Finding(scan((3, 4, 6)), np.zeros((3, 4, 6), np.bool_), None)
    assert (nothing.tumor_pixels, nothing.tumor_slices, nothing.key_slice) == ((0, 0, 0), (), 1)
    unasked = Finding(scan((3, 4, 6)), None, None)
    assert (unasked.tumor_pixels, unasked.tumor_slices, unasked.key_slice) == (None, (), 1)


def test_diameters_are_measured_in_millimetres_where_there_is_a_spacing() -> None:
    found = Finding(scan(), outlined(), None).diameters
    assert found is not None
    assert found.slice_index == 1
    assert found.longest_mm == pytest.approx(np.hypot(0.5, 10))
    assert Finding(scan(spacing=None), outlined(), None).diameters is None
    assert Finding(scan(), None, None).diameters is None
    assert Finding(scan(), np.zeros((2, 4, 6), np.bool_), None).diameters is None


def test_maps_kept_coarse_do_as_well_as_arrays() -> None:
    maps = SliceMaps([np.full((8, 8), share, np.float32) for share in (0.25, 0.5)], (4, 6))
    finding = Finding(scan(), None, None, tumor_probability=maps, heatmap=maps)
    assert finding.heatmap is maps
    with pytest.raises(ValueError, match="expected a heatmap of the scan's shape"):
        Finding(scan((3, 4, 6)), None, None, heatmap=maps)


def test_confidence_says_what_it_has_been_worth() -> None:
    assert str(Confidence("low", 0.4, None, 0)) == "low confidence"
    assert str(Confidence("high", 0.99, 0.9949, 812)) == "high confidence (right in 99.5% of 812 slices)"


def test_a_warning_reads_as_its_message() -> None:
    warning = FindingWarning(WarningKind.EDGE, "the outline touches the image's edge", 3, 1)
    assert f"{warning}" == "the outline touches the image's edge"
    assert [str(kind) for kind in WarningKind] == [
        *("unfamiliar", "no-tumor", "unsure", "edge", "uneven", "incomplete")
    ]
