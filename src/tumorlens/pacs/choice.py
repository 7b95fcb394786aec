"""Which series of a study to fetch, judged by their headers before any pixel comes over the wire."""

from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.pacs.entry import InstanceEntry, SeriesEntry
from tumorlens.pacs.errors import NothingSuitableError, PacsBusyError, PacsError
from tumorlens.pacs.server import PacsServer

if TYPE_CHECKING:
    from pydicom import Dataset

    from tumorlens.scan.stack import Stack

_WITHOUT_PICTURES = ("SEG", "SR", "PR", "KO", "REG", "RTSTRUCT", "DOC", "AU", "ECG")
_WHERE = ("ImagePositionPatient", "PerFrameFunctionalGroupsSequence")
_MOST_FRAMES = 10_000


def choose_series(
    server: PacsServer, study_uid: str, wanted: str | None = None
) -> tuple[SeriesEntry, str | None]:
    """The series of a study to look at, and why where there was a choice.

    Args:
        server: That has the study.
        study_uid: Of the study.
        wanted: As in `tumorlens.scan.read_scan`; None for the best match for T1 with contrast.

    Raises:
        NothingSuitableError: None is MR, or none looks like T1.
        TumorlensError: ``wanted`` names none or several.
        PacsError: The server can't be reached, refuses, or answers with nonsense.
    """
    from tumorlens.scan.choice import choose, judge

    listed = server.find_series(study_uid)
    asked = sorted(
        (entry for entry in listed if _may_be_meant(entry, wanted)),
        key=lambda entry: (int(entry.number) if entry.number.isdecimal() else 1 << 31, entry.uid),
    )
    stacks = [_stack(server, entry) for entry in asked]
    if not stacks:
        kinds = ", ".join(sorted({entry.modality[:16] or "?" for entry in listed})) or "none"
        raise NothingSuitableError(f"expected a study with an MR series, got series of: {kinds}")
    if wanted is None and max(judge(stack).points for stack in stacks) < 0:
        raise NothingSuitableError(
            f"expected an MR series with T1 contrast, got {len(stacks)} that don't look like one; "
            "look at it by hand"
        )
    stack, reason = choose(stacks, wanted, "the study")
    return next(entry for entry, each in zip(asked, stacks, strict=True) if each is stack), reason


def _may_be_meant(entry: SeriesEntry, wanted: str | None) -> bool:
    """MR, or where the user names a series, any with pictures."""
    return entry.modality == "MR" if wanted is None else entry.modality not in _WITHOUT_PICTURES


def _stack(server: PacsServer, series: SeriesEntry) -> "Stack":
    """A series as a stack of equal frames without places and pixels: all that a judgement needs."""
    from tumorlens.scan.dicom import Frame
    from tumorlens.scan.stack import Stack

    first = server.find_instances(series.study_uid, series.uid, most=1)
    header = _header(server, series, first[0] if first else None)
    frames = header.get("NumberOfFrames")
    count = max(series.instances or 1, int(frames) if str(frames).isdecimal() else 1)
    return Stack((Frame(Path("series"), header, 0, multiframe=False),) * min(count, _MOST_FRAMES))


def _header(server: PacsServer, series: SeriesEntry, first: InstanceEntry | None) -> "Dataset":
    from pydicom import Dataset

    header = Dataset()
    if first is not None:
        try:
            header = server.header(first)
        except PacsBusyError:
            raise
        except PacsError:  # a server that doesn't hand out headers: its listing has to do
            header = Dataset()
    for keyword in _WHERE:
        if keyword in header:
            delattr(header, keyword)
    header.SeriesInstanceUID = series.uid
    header.Modality = series.modality
    for keyword, known in (("SeriesNumber", series.number), ("SeriesDescription", series.description)):
        if keyword not in header and known:
            setattr(header, keyword, known)
    return header
