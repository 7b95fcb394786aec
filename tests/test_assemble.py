"""What was said of a stack's slices becomes one finding."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorlens.assemble import assemble, outlined
from tumorlens.ensemble import Opinion
from tumorlens.finding import Finding, WarningKind
from tumorlens.judgement import Judgement
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

SIZE = 16
CERTAIN = 9.0  # a class logit beside two of 0


def opinion(
    side: int = 0,
    named: int = 0,
    inside: float = 0.9,
    at: tuple[int, int] = (4, 4),
) -> Opinion:
    """A square of ``side`` pixels outlined, and a type named."""
    probability = np.zeros((1, SIZE, SIZE), np.float32)
    probability[0, at[0] : at[0] + side, at[1] : at[1] + side] = inside
    logits = np.zeros((1, 3), np.float32)
    logits[0, named] = CERTAIN
    maps = np.zeros((1, 3, SIZE, SIZE), np.float32)
    maps[0, named, at[0], at[1]] = CERTAIN
    return Opinion(probability, logits, maps)


def stack(*slices: Opinion, unevenness: float = 0, **more: object) -> Finding:
    pixels = np.zeros((len(slices), SIZE, SIZE))
    scan = Scan(pixels, Path("stack"), spacing=(0.5, 2.0), slice_spacing=3.0, unevenness=unevenness)
    judgement = more.pop("judgement", Judgement(faint_below=0.6))
    assert isinstance(judgement, Judgement)
    told = [outlined(each, (SIZE, SIZE), judgement, in_stack=len(slices) > 1) for each in slices]
    return assemble(scan, told, judgement, **more)  # type: ignore[arg-type]


def kinds(finding: Finding) -> list[WarningKind]:
    return [warning.kind for warning in finding.warnings]


def test_each_slice_keeps_its_own_outline() -> None:
    finding = stack(opinion(), opinion(3), opinion(2, at=(9, 1)), opinion())
    assert finding.mask is not None
    assert finding.tumor_slices == (1, 2)
    assert finding.tumor_pixels == (0, 9, 4, 0)
    assert finding.mask[1, 4:7, 4:7].all()
    assert finding.mask[2, 9:11, 1:3].all()
    assert finding.key_slice == 1


def test_volume_and_area_follow_from_the_spacing() -> None:
    finding = stack(opinion(), opinion(3), opinion(2), opinion())
    assert finding.volume_mm3 == pytest.approx((9 + 4) * 0.5 * 2 * 3)
    assert finding.area_mm2 == pytest.approx(9 * 0.5 * 2)
    assert finding.diameters is not None
    assert finding.diameters.slice_index == 1


@pytest.mark.parametrize(("share", "kept"), [(0, 13), (0.4, 13), (0.5, 9)])
def test_of_a_single_slice_small_parts_of_the_outline_are_left_out(share: float, kept: int) -> None:
    large, small = (
        opinion(3).tumor_probability,
        opinion(2, at=(9, 1)).tumor_probability,
    )  # they promise 8.1 and 3.6
    assert large is not None
    assert small is not None
    both = Opinion(large + small, opinion().class_logits, opinion().class_maps)
    judgement = Judgement(faint_below=0.6, smallest_part=share)
    finding = stack(both, judgement=judgement)
    assert finding.mask is not None
    assert finding.tumor_pixels == (kept,)
    assert finding.mask[0, 4:7, 4:7].all()
    assert stack(both, opinion(), judgement=judgement).tumor_pixels == (13, 0)  # of a stack all stay


def test_a_single_slice_has_no_volume() -> None:
    finding = stack(opinion(3))
    assert finding.volume_mm3 is None
    assert finding.area_mm2 == pytest.approx(9)


def test_the_type_is_the_slices_weighted_by_their_outlined_area() -> None:
    finding = stack(opinion(0, named=2), opinion(3, named=0), opinion(4, named=1), opinion(0, named=2))
    assert finding.probabilities is not None
    assert finding.tumor_type is TumorType.from_class_index(1)
    shares = [finding.probabilities[TumorType.from_class_index(index)] for index in range(3)]
    assert shares == pytest.approx([9 / 25, 16 / 25, 0], abs=1e-3)


def test_without_any_outline_all_slices_name_the_type_alike() -> None:
    finding = stack(opinion(named=2), opinion(named=2), opinion(named=0), opinion(named=2))
    assert finding.probabilities is not None
    assert finding.probabilities[TumorType.from_class_index(2)] == pytest.approx(0.75, abs=1e-3)
    assert WarningKind.NO_TUMOR in kinds(finding)


def test_a_faint_outline_counts_on_a_single_slice_and_not_in_a_stack() -> None:
    faint = opinion(3, inside=0.55)
    assert stack(faint).tumor_slices == (0,)
    assert WarningKind.NO_TUMOR in kinds(stack(faint))
    assert stack(faint, opinion(2), faint, opinion()).tumor_slices == (1,)


def test_the_largest_component_is_the_largest_in_three_dimensions() -> None:
    slices = (opinion(), opinion(3), opinion(2, at=(3, 3)), opinion(3, at=(10, 10)), opinion())
    assert stack(*slices).tumor_slices == (1, 2, 3)
    assert stack(*slices, largest_component=True).tumor_slices == (1, 2)


def test_what_touches_by_a_corner_is_one_component() -> None:
    finding = stack(
        opinion(2, at=(4, 4)), opinion(2, at=(6, 6)), opinion(1, at=(1, 1)), largest_component=True
    )
    assert finding.tumor_slices == (0, 1)


def test_the_strangeness_is_that_of_the_slices_with_tumor() -> None:
    strangeness = [9.0, 0.2, 0.4, 9.0].__getitem__
    slices = (opinion(), opinion(2), opinion(2), opinion())
    assert stack(*slices, strangeness=strangeness).strangeness == pytest.approx(0.3)
    nothing = (opinion(), opinion(), opinion())
    assert stack(*nothing, strangeness=[9.0, 1.0, 2.0].__getitem__).strangeness == 2
    assert stack(*nothing).strangeness is None


def test_of_a_long_stack_only_some_slices_are_asked_how_strange_they_are() -> None:
    asked: list[int] = []

    def strangeness(index: int) -> float:
        asked.append(index)
        return float(index)

    finding = stack(*(opinion(2 if index >= 100 else 0) for index in range(300)), strangeness=strangeness)
    assert finding.strangeness == pytest.approx(199.5, abs=4)
    assert len(asked) <= 32
    assert (min(asked), max(asked)) == (100, 299)


@pytest.mark.parametrize(("at", "told"), [(0, True), (1, False), (2, False), (3, True)])
def test_an_outline_on_the_first_or_last_slice_may_go_on_beyond(at: int, told: bool) -> None:
    finding = stack(*[opinion(2 if index == at else 0) for index in range(4)])
    assert (WarningKind.EDGE in kinds(finding)) == told


def test_a_single_slice_is_no_end_of_a_stack() -> None:
    assert kinds(stack(opinion(3))) == []


@pytest.mark.parametrize(("unevenness", "told"), [(0.05, False), (0.06, True)])
def test_uneven_slices_are_told(unevenness: float, told: bool) -> None:
    finding = stack(opinion(), opinion(3), opinion(), unevenness=unevenness)
    assert (WarningKind.UNEVEN in kinds(finding)) == told


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_probabilities_sum_to_one_whatever_is_outlined(sides: list[int]) -> None:
    finding = stack(*[opinion(side, named=index % 3) for index, side in enumerate(sides)])
    assert finding.probabilities is not None
    assert sum(finding.probabilities.values()) == pytest.approx(1)
    assert finding.tumor_pixels == tuple(side * side for side in sides)
