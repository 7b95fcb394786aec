"""Of several series the T1 with contrast is taken, or the one that the user names."""

from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.dicom_files import header
from tumorlens.errors import TumorlensError
from tumorlens.scan.choice import choose, judge
from tumorlens.scan.dicom import Frame
from tumorlens.scan.stack import Stack


def stack(description: str, slices: int = 24, **tags: object) -> Stack:
    """A stack of equal frames, with the times of T1 and no contrast agent where ``tags`` don't say."""
    values = {"ContrastBolusAgent": "", "SeriesInstanceUID": generate_uid(entropy_srcs=[description]), **tags}
    head = header(SeriesDescription=description, **values)
    return Stack((Frame(Path("x"), head, 0, multiframe=False),) * slices)


def chosen(*stacks: Stack) -> str:
    return choose(stacks, None, "study")[0].description


@pytest.mark.parametrize(
    ("right", "others"),
    [
        ("AX T1 POST", ["AX T1 PRE", "AX T2", "AX FLAIR", "DWI b1000", "ADC"]),
        ("t1_se_tra_KM", ["t1_se_tra", "t2_tse_tra", "t2_tirm_tra_dark-fluid", "localizer"]),
        ("T1 gado", ["T1 sans injection", "FLAIR gado", "T2 post", "SUB T1 gado"]),
        ("T1 mdc", ["T1 basale", "T2", "T1 senza mdc"]),
        ("AX T1 FLAIR +C", ["AX T1 FLAIR", "AX T2 FLAIR +C"]),
        ("T1", ["T2 post", "FLAIR + C", "SWI"]),
        ("T1 pre", ["T2 post", "FLAIR + C", "SWI"]),
        ("T1", ["T1 pre"]),
        ("T1 Gd", ["T1 Gd spine", "T1 Gd dyn"]),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_best_t1_is_taken_wherever_it_stands(right: str, others: list[str], first: bool) -> None:
    names = [right, *others] if first else [*others, right]
    assert chosen(*map(stack, names)) == right


def test_a_contrast_agent_in_the_header_tells_where_the_description_does_not() -> None:
    assert chosen(stack("T1 x"), stack("T1 y", ContrastBolusAgent="Gadovist"), stack("T1 z")) == "T1 y"


def test_a_contrast_agent_that_all_series_have_does_not_outweigh_the_word_pre() -> None:
    given = {"ContrastBolusAgent": "Gadovist"}
    assert chosen(stack("T1 pre", 40, **given), stack("T1", 20, **given)) == "T1"
    assert chosen(stack("T1 pre", 40, **given), stack("T1", 20)) == "T1"


def test_a_word_for_no_agent_is_no_agent() -> None:
    reasons = judge(stack("T1", ContrastBolusAgent="NONE")).reasons
    assert "a contrast agent in the header" not in reasons


def test_a_sequence_of_contrast_agents_counts_where_it_names_one() -> None:
    """As enhanced MR has it."""
    assert stack("T1", ContrastBolusAgentSequence=[Dataset()]).contrast_agent == "given"
    assert stack("T1", ContrastBolusAgentSequence=[]).contrast_agent == ""


def test_times_tell_t1_where_the_description_does_not() -> None:
    t2 = stack("se tra a", RepetitionTime=4000, EchoTime=90)
    assert chosen(t2, stack("se tra b", RepetitionTime=500, EchoTime=12), t2) == "se tra b"


def test_the_first_echo_of_a_t1_series_is_taken() -> None:
    assert chosen(stack("T1 a", EchoTime=12), stack("T1 b", EchoTime=80)) == "T1 a"


def test_of_two_alike_the_longer_is_taken() -> None:
    assert chosen(stack("T1 a Gd", 20), stack("T1 b Gd", 30), stack("T1 c Gd", 10)) == "T1 b Gd"


def test_of_two_alike_in_everything_the_later_is_taken() -> None:
    """Where nothing is written of contrast, it was given before the later one."""
    assert chosen(stack("T1 a"), stack("T1 b"), stack("T2")) == "T1 b"


@pytest.mark.parametrize("kind", [["DERIVED", "SECONDARY", "MIP"], ["DERIVED", "PRIMARY", "SUBTRACT"]])
def test_what_was_computed_from_other_images_is_not_taken(kind: list[str]) -> None:
    assert chosen(stack("T1 Gd b", 90, ImageType=kind), stack("T1 Gd a", 20)) == "T1 Gd a"


def test_a_localizer_is_not_taken() -> None:
    kind = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert chosen(stack("T1 Gd b", 90, ImageType=kind), stack("T1", 20)) == "T1"


def test_the_reason_says_which_and_why() -> None:
    _, reason = choose([stack("T2"), stack("AX T1 POST"), stack("CT", Modality="CT")], None, "study")
    assert reason == "series 2 of 3: MR, T1 by its description, contrast by its description"
    assert choose([stack("T2")], None, "study")[1] is None


def test_where_none_looks_like_t1_the_series_are_listed() -> None:
    with pytest.raises(TumorlensError) as caught:
        choose([stack("ADC"), stack("localizer", 3)], None, "study")
    assert str(caught.value) == (
        "study: expected an MR series with T1 contrast, got none that looks like one: 1) MR, ADC, 24 slices, "
        "contrast agent: not stated; 2) MR, localizer, 3 slices, contrast agent: not stated; choose one by "
        "--series"
    )


SERIES = [stack("T1 pre"), stack("T1 post"), stack("T1 post sag"), stack("ADC", SeriesInstanceUID="1.2.3")]


@pytest.mark.parametrize(
    ("wanted", "place"),
    [("1", 0), (" 4 ", 3), ("1.2.3", 3), ("pre", 0), ("SAG", 2), ("adc", 3), ("T1 post", 1), ("t1 POST", 1)],
)
def test_a_series_is_found_by_its_place_its_uid_or_its_description(wanted: str, place: int) -> None:
    found, reason = choose(SERIES, wanted, "study")
    assert found is SERIES[place]
    assert reason == f"asked for by --series {wanted}"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("T1", "several"),
        ("post", "several"),
        ("T2", "none"),
        ("5", "none"),
        ("0", "none"),
        ("", "none"),
        ("²", "none"),
    ],
)
def test_a_name_that_fits_none_or_several_series_is_refused_with_the_list(wanted: str, found: str) -> None:
    with pytest.raises(TumorlensError, match=rf"got {found} for '.*': 1\) MR, T1 pre.*; 4\) MR, ADC"):
        choose(SERIES, wanted, "study")


def test_slices_sent_twice_do_not_make_a_name_ambiguous() -> None:
    whole, left_over = stack("T1", 24, SeriesInstanceUID="1.2"), stack("T1", 2, SeriesInstanceUID="1.2")
    assert choose([whole, left_over], "T1", "study")[0] is whole
    with pytest.raises(TumorlensError, match="got several"):
        choose([whole, stack("T1", 24, SeriesInstanceUID="1.2")], "1.2", "study")


@pytest.mark.parametrize(
    ("image_type", "other"),
    [
        (["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "P", "ND"]),
        (["ORIGINAL", "PRIMARY", "M_FFE", "M"], ["ORIGINAL", "PRIMARY", "PHASE MAP", "P"]),
        (["ORIGINAL", "PRIMARY", "M_IR", "M"], ["ORIGINAL", "PRIMARY", "R_IR", "R"]),
        (["DERIVED", "PRIMARY", "W", "W"], ["DERIVED", "PRIMARY", "F", "F"]),
    ],
)
def test_of_a_mixed_series_the_images_of_the_signal_itself_are_taken(
    image_type: list[str], other: list[str]
) -> None:
    right, wrong = stack("T1 +C", ImageType=image_type), stack("T1 +C", ImageType=other)
    for both in ([right, wrong], [wrong, right]):
        assert choose(both, None, "study")[0] is right


def test_two_stacks_of_one_series_are_told_apart_in_a_listing() -> None:
    phase = stack("T1 +C", ImageType=["ORIGINAL", "PRIMARY", "P"])
    assert "phase images" in str(phase)
    assert "images" not in str(stack("T1 +C"))


def test_the_phase_of_an_enhanced_file_is_not_taken() -> None:
    right, wrong = (stack("T1", ComplexImageComponent=kind) for kind in ("MAGNITUDE", "PHASE"))
    assert choose([right, wrong], None, "study")[0] is right


@pytest.mark.parametrize("part", ["CSPINE", "KNEE", "Lumbar spine", "BREAST"])
def test_another_part_of_the_body_is_not_taken(part: str) -> None:
    head, other = stack("t1_tse_tra +C", 20), stack("t1_tse_tra +C", 24, BodyPartExamined=part)
    assert choose([head, other], None, "study")[0] is head
    assert judge(other).points < 0


@pytest.mark.parametrize("part", ["HEAD", "BRAIN", "HEADNECK", "", "Pituitary gland", "IAC", "hippocampus"])
def test_the_head_or_no_word_of_the_body_is_no_reason_against_a_series(part: str) -> None:
    assert judge(stack("T1 +C", BodyPartExamined=part)).points == judge(stack("T1 +C")).points


def test_an_anatomic_region_counts_as_well() -> None:
    region = Dataset()
    region.CodeMeaning = "Knee joint"
    assert (
        "of another part of the body"
        in judge(stack("T1", BodyPartExamined="", AnatomicRegionSequence=[region])).reasons
    )


def test_an_enhanced_file_s_echo_time_and_contrast_tell_t1_from_t2() -> None:
    times: dict[str, object] = {"EchoTime": None, "ContrastBolusAgent": ""}
    t1 = stack("AX SE POST GAD", RepetitionTime=500, EffectiveEchoTime=10, **times)
    t2 = stack("AX FSE POST GAD", RepetitionTime=4000, EffectiveEchoTime=100, **times)
    assert choose([t1, t2], None, "study")[0] is t1
    times |= {"RepetitionTime": None}
    t1 = stack("AX POST GAD", AcquisitionContrast="T1", **times)
    t2 = stack("AX POST GAD 2", AcquisitionContrast="T2", **times)
    assert choose([t1, t2], None, "study")[0] is t1


def test_an_unknown_contrast_leaves_the_times_to_count() -> None:
    known = judge(stack("AX SE", AcquisitionContrast="UNKNOWN"))
    assert known.reasons == judge(stack("AX SE")).reasons
    assert "T1 by its repetition and echo times" in known.reasons
