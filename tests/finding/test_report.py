"""The report says what was found, how far to trust it and what isn't known."""

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from tests.finding.made import WARNINGS, axial_affine, dicom_scan, pixels, single_slice, whole_finding
from tests.finding.page import page_of
from tumorlens.finding import Confidence, Finding, FindingWarning, WarningKind
from tumorlens.finding.report_text import advice, runs
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

NOTICE = "Research use only; not a diagnosis."
pytestmark = pytest.mark.usefixtures("small_pictures")

# --- What is said -----------------------------------------------------------------------------------------


def test_a_volumes_report_says_all_that_was_found() -> None:
    page = page_of(whole_finding(dicom_scan()))
    for words in (
        *(NOTICE, "IM00001.dcm", "MR, t1_se_tra +C, axial", "Series 2 of 3: MR, T1 by its description"),
        *("DICOM", "12 slices of 48 × 40 pixels", "0.5 × 0.5 mm; slices 5 mm apart", "axial", "lite-joint-2"),
        *("glioma", "92.0%", "meningioma", "5.0%", "pituitary tumor", "3.0%"),
        *("High confidence", "Of 2,180 single slices with high confidence", "97.8% were named rightly"),
        *("Whole series have not been measured", "weighted by their outlined areas"),
        *("36 mm² (0.36 cm²)", "0.95 cm³", "Longest diameter", "Perpendicular diameter", "10 of 12", "2–11"),
        *("The outline touches the image's edge", "Read the measurements as lower limits"),
        *("brains without a tumor", "contrast-enhanced T1 slices"),
        *("Key slice: slice 7 of 12", "What spoke for glioma"),
    ):
        assert words in page.text, words


def test_the_notice_is_the_first_that_is_read() -> None:
    page = page_of(whole_finding(dicom_scan()))
    assert page.text.strip().startswith(NOTICE)
    assert page.text.count(NOTICE) == 2


def test_a_single_slices_report_has_three_pictures_and_no_volume() -> None:
    page = page_of(single_slice())
    assert len(page.all("img")) == 3
    assert "Volume" not in page.text
    assert "Slices involved" not in page.text
    assert "Whole series" not in page.text
    assert "1 slice of 48 × 40 pixels" in page.text
    assert "None was given" in page.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask": None}, "This model draws no outline"),
        ({"mask": np.zeros((1, 48, 40), np.bool_)}, "Nothing is outlined, so that nothing was measured"),
        ({"scan": Scan(pixels(1), Path("a.png"))}, "doesn't say how large a pixel is"),
        ({"probabilities": None, "confidence": None}, "This model names no tumor type"),
        ({"heatmap": None}, "This model has no heatmap"),
        ({"confidence": None}, "Confidence not stated"),
        ({"confidence": Confidence("low", 0.4, None, 0)}, "has not been measured for this model"),
        ({"model": None}, "Model: without a name"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, object], words: str) -> None:
    assert words not in page_of(single_slice()).text
    assert words in page_of(single_slice(**changes)).text


def test_without_a_slice_distance_there_is_no_volume_and_the_report_says_why() -> None:
    scan = dataclasses.replace(dicom_scan(), slice_spacing=None)
    page = page_of(whole_finding(scan))
    assert "doesn't say how far apart the slices lie" in page.text
    assert "cm³" not in page.text
    assert "Longest diameter" in page.text


PARTS: dict[str, tuple[object, ...]] = {
    "spacing": (None, (0.5, 0.8)),
    "slice_spacing": (None, 4.0),
    "affine": (None, axial_affine()),
    "mask": ("none", "empty", "some"),
    "probabilities": (None, dict(zip(TumorType, (0.2, 0.7, 0.1), strict=True))),
    "heatmap": (False, True),
    "slices": (1, 3, 14),
}


@pytest.mark.parametrize("slices", PARTS["slices"])
def test_every_combination_of_missing_parts_makes_a_whole_page(slices: int) -> None:
    choices = [PARTS[name] for name in list(PARTS)[:-1]]
    for spacing, distance, affine, mask, probabilities, heat in itertools.product(*choices):
        scan = Scan(pixels(slices, (30, 40)), Path("a.nii"), spacing, distance, affine)  # type: ignore[arg-type]
        whole = whole_finding(scan)
        assert whole.mask is not None
        finding = dataclasses.replace(
            whole,
            mask={"none": None, "empty": np.zeros_like(whole.mask), "some": whole.mask}[str(mask)],
            probabilities=probabilities,  # type: ignore[arg-type]
            confidence=whole.confidence if probabilities else None,
            heatmap=whole.heatmap if heat else None,
        )
        page = page_of(finding)
        assert "None" not in re.sub(r"None was given", "", page.text)
        assert "nan" not in page.text.lower()
        assert len(page.all("img")) >= 1


# --- Warnings ---------------------------------------------------------------------------------------------


def test_every_kind_of_warning_says_what_it_means_and_what_to_do() -> None:
    told = advice([FindingWarning(kind, str(kind), 1, 1) for kind in WarningKind])
    assert len({(each.meaning, each.advice) for each in told}) == len(WarningKind)
    assert not any("without a further explanation" in each.meaning for each in told)
    page = page_of(whole_finding(dicom_scan(), warnings=WARNINGS))
    for each in advice(WARNINGS):
        assert each.title in page.text
        assert each.meaning in page.text
        assert each.advice in page.text


def test_warnings_of_one_kind_are_explained_once() -> None:
    two = [FindingWarning(WarningKind.EDGE, text, 1, 1) for text in ("one edge", "another")]
    (told,) = advice(two)
    assert told.title == "One edge; another"


# --- Slices -----------------------------------------------------------------------------------------------


def numbers(finding: Finding) -> list[int]:
    """Which further slices are shown, from 1."""
    alts = [attributes["alt"] for attributes, _ in page_of(finding).all("img")]
    key = f"Slice {finding.key_slice + 1} of "
    return [int(alt.split()[1]) for alt in alts if not alt.startswith(key)]


def test_further_slices_are_up_to_eight_of_those_with_an_outline_evenly_chosen() -> None:
    few = whole_finding(dicom_scan(12))
    assert (few.tumor_slices, few.key_slice) == (tuple(range(1, 11)), 6)
    assert numbers(few) == [2, 3, 4, 5, 8, 9, 10, 11]
    mask = np.zeros((60, 48, 40), np.bool_)
    mask[10:50, 10:20, 10:20] = True
    mask[30, 5:30, 5:30] = True
    many = whole_finding(dicom_scan(60), mask=mask)
    shown = numbers(many)
    assert len(shown) == 8
    assert (shown[0], shown[-1]) == (11, 50)
    assert all(4 <= after - before <= 8 for before, after in itertools.pairwise(shown))


def test_without_an_outline_slices_of_the_whole_stack_are_shown() -> None:
    empty = whole_finding(dicom_scan(30), mask=np.zeros((30, 48, 40), np.bool_))
    shown = numbers(empty)
    assert (shown[0], shown[-1], len(shown)) == (1, 30, 8)
    page = page_of(empty)
    assert "Further slices; none has an outline" in page.text
    assert "Key slice: slice 16 of 30, in the middle" in page.text


def test_the_slice_that_the_diameters_lie_in_is_always_shown() -> None:
    mask = np.zeros((60, 48, 40), np.bool_)
    mask[5:55, 20:24, 20:24] = True
    mask[30, 10:22, 10:22] = True
    for longest in (6, 15, 23, 37, 51):
        changed = mask.copy()
        changed[longest, 22, 1:39] = True
        finding = whole_finding(dicom_scan(60), mask=changed)
        assert finding.diameters is not None
        assert finding.diameters.slice_index == longest
        assert longest + 1 in numbers(finding)
        text = page_of(finding).text
        assert f"The longest diameter lies on slice {longest + 1}." in text
        assert "solid line" not in text


@pytest.mark.parametrize(
    ("given", "expected"), [([], ""), ([3], "3"), ([3, 4], "3–4"), ([1, 3, 4, 5, 9], "1, 3–5, 9")]
)
def test_runs_of_numbers_are_written_in_short(given: list[int], expected: str) -> None:
    assert runs(given) == expected


# --- The patient's sides ----------------------------------------------------------------------------------


def test_left_is_said_to_be_at_the_right_only_where_that_is_known() -> None:
    convention = "The patient's left is at the image's right"
    axial = axial_affine()
    coronal = np.array([[0, 0, 1, 0], [5, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)
    sagittal = np.array([[-5, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)
    said = {}
    for name, affine in {"axial": axial, "coronal": coronal, "sagittal": sagittal, "none": None}.items():
        scan = dataclasses.replace(dicom_scan(), affine=affine)
        page = page_of(whole_finding(scan))
        said[name] = convention in page.text
        assert (name in page.text) == (affine is not None)
        assert ("doesn't say which side" in page.text) == (affine is None)
    assert said == {"axial": True, "coronal": True, "sagittal": False, "none": False}
