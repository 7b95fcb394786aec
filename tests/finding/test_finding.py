"""A finding is plain data of the scan's own shape."""

from pathlib import Path

import numpy as np
import pytest

from tumorlens.finding import Confidence, Finding, FindingWarning, WarningKind
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


def test_the_area_is_that_of_all_outlined_pixels() -> None:
    mask = np.zeros((2, 4, 6), np.bool_)
    mask[0, 1, 2:5] = mask[1, 3, 5] = True
    assert Finding(scan(), mask, None).area_mm2 == 4 * 0.5 * 2.0
    assert Finding(scan(), np.zeros_like(mask), None).area_mm2 == 0
    assert Finding(scan(spacing=None), mask, None).area_mm2 is None
    assert Finding(scan(), None, None).area_mm2 is None


def test_confidence_says_what_it_has_been_worth() -> None:
    assert str(Confidence("low", 0.4, None, 0)) == "low confidence"
    assert str(Confidence("high", 0.99, 0.9949, 812)) == "high confidence (right in 99.5% of 812 slices)"


def test_a_warning_reads_as_its_message() -> None:
    warning = FindingWarning(WarningKind.EDGE, "the outline touches the image's edge", 3, 1)
    assert f"{warning}" == "the outline touches the image's edge"
    assert [str(kind) for kind in WarningKind] == ["unfamiliar", "no-tumor", "unsure", "edge"]
