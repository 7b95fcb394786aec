"""Which of several series to look at: evidence for and against T1 with contrast."""

from collections.abc import Sequence
from dataclasses import dataclass

from tumorlens.errors import TumorlensError
from tumorlens.scan.description import body_part, names_agent, understood
from tumorlens.scan.stack import GRAY_KINDS, Stack

_FEW_SLICES = 5  # fewer than that are a localizer or cut short
_T1_REPETITION_MS = 1200
_T1_ECHO_MS = 30
_LONG_ECHO_MS = 45
_MUCH_LONGER = 2
_COMPONENT_POINTS = {"phase": -40, "imaginary": -40, "fat": -40, "opposed-phase": -20, "real": -10}
_OTHER_WEIGHTINGS = (
    *("T2", "T2_STAR", "PROTON_DENSITY", "DIFFUSION", "PERFUSION", "FLUID_ATTENUATED", "STIR", "TOF"),
    *("FLOW_ENCODED", "TAGGING", "TEMPERATURE", "MAGNETIZATION"),
)


@dataclass(frozen=True)
class Choice:
    """A stack with what speaks for it.

    Attributes:
        stack: Which.
        points: The more, the likelier T1 with contrast.
        reasons: What counted, such as ``"T1 by its description"``.
    """

    stack: Stack
    points: int
    reasons: tuple[str, ...]


def judge(stack: Stack) -> Choice:
    """How likely a stack is a T1 series with contrast, by what its header says."""
    said = understood(" ".join(map(stack.text, ("SeriesDescription", "ProtocolName", "SequenceName"))))
    kind = stack.text("ImageType").upper()
    repetition = _milliseconds(stack, "RepetitionTime")
    echo = _milliseconds(stack, "EchoTime") or _milliseconds(stack, "EffectiveEchoTime")
    weighting, part = "".join(stack.values("AcquisitionContrast")), body_part(stack.body_part)
    times_say_t1 = 0 < repetition < _T1_REPETITION_MS and 0 < echo < _T1_ECHO_MS
    agent = names_agent(stack.contrast_agent) and said.contrast is not False
    unsaid = not (said.other or said.t1)
    evidence = (
        (stack.modality == "MR", 20, "MR"),
        (stack.modality not in GRAY_KINDS, -1000, f"{stack.modality} is not MR"),
        (said.other, -40, "another weighting or a map by its description"),
        (weighting in _OTHER_WEIGHTINGS and not said.t1, -40, "another weighting by its header"),
        (said.t1, 20, "T1 by its description"),
        (unsaid and weighting == "T1", 20, "T1 by its header"),
        (unsaid and weighting != "T1" and times_say_t1, 10, "T1 by its repetition and echo times"),
        ((said.t1 or weighting == "T1") and echo > _LONG_ECHO_MS, -15, "an echo too long for T1"),
        (agent, 15, "a contrast agent in the header"),
        (said.contrast is True, 15, "contrast by its description"),
        (said.contrast is False, -5, "no contrast by its description"),
        (said.dynamic, -12, "one of a dynamic"),
        (said.elsewhere, -20, "not of the head by its description"),
        (part is False, -60, "of another part of the body"),
        (bool(stack.component), _COMPONENT_POINTS.get(stack.component, 0), f"{stack.component} images"),
        ("LOCALIZER" in kind, -40, "a localizer"),
        ("SUBTRACT" in kind or "MIP" in kind or "PROJECTION" in kind, -40, "computed from other images"),
        ("DERIVED" in kind, -5, "derived from other images"),
        (len(stack.frames) < _FEW_SLICES, -10, "few slices"),
    )
    found = [(points, reason) for holds, points, reason in evidence if holds]
    return Choice(stack, sum(points for points, _ in found), tuple(reason for _, reason in found))


def _milliseconds(stack: Stack, keyword: str) -> float:
    """A time in the header; 0 where there is none."""
    try:
        return float(stack.frames[0].find(keyword))
    except (TypeError, ValueError):
        return 0.0


def choose(stacks: Sequence[Stack], wanted: str | None, name: str) -> tuple[Stack, str | None]:
    """The stack to look at, and why where there was a choice.

    Args:
        stacks: At least one.
        wanted: A place in the list from 1, a series' UID, its description or a part of that; None for the
            best match for T1 with contrast, of two alike the longer, then the later one: contrast comes last.
        name: Of the source, for messages.

    Raises:
        TumorlensError: None or several are wanted, or none of several is MR.
    """
    if wanted is not None:
        return _wanted(stacks, wanted.strip(), name), f"asked for by --series {wanted}"
    if len(stacks) == 1:
        return stacks[0], None
    judged = [(judge(stack), place) for place, stack in enumerate(stacks, start=1)]
    best, place = max(judged, key=lambda each: (each[0].points, len(each[0].stack.frames), each[1]))
    if best.points < 0:
        raise TumorlensError(
            f"{name}: expected an MR series with T1 contrast, got none that looks like one: "
            f"{listing(stacks)}; choose one by --series"
        )
    return best.stack, f"series {place} of {len(stacks)}: {', '.join(best.reasons) or 'the only one left'}"


def _wanted(stacks: Sequence[Stack], wanted: str, name: str) -> Stack:
    text = wanted.lower()
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= len(stacks):
        return stacks[int(wanted) - 1]
    named = (
        [stack for stack in stacks if wanted and wanted == stack.uid]
        or [stack for stack in stacks if wanted and text == stack.description.lower()]
        or [stack for stack in stacks if wanted and text in stack.description.lower()]
    )
    if len({stack.uid for stack in named}) == 1 and len(named) > 1:
        longest, next_longest = sorted(named, key=lambda stack: len(stack.frames), reverse=True)[:2]
        if len(longest.frames) >= _MUCH_LONGER * len(next_longest.frames):  # beside it, what was sent twice
            return longest
    if len(named) != 1:
        found = "several" if named else "none"
        raise TumorlensError(
            f"{name}: expected --series to name one series by its place in the list, its UID or a part of "
            f"its description, got {found} for {wanted!r}: {listing(stacks)}"
        )
    return named[0]


def listing(stacks: Sequence[Stack]) -> str:
    """The stacks in one line, numbered from 1."""
    return "; ".join(f"{at}) {stack}" for at, stack in enumerate(stacks, start=1))
