"""What a reader should know before trusting a finding."""

from dataclasses import dataclass
from enum import StrEnum


class WarningKind(StrEnum):
    """Why a finding should be doubted.

    ``UNFAMILIAR``: the picture doesn't look like a T1 contrast-enhanced brain slice.
    ``NO_TUMOR``: nothing was outlined, or nothing clearly.
    ``UNSURE``: two tumor types are nearly as likely.
    ``EDGE``: the outline touches the image's edge or reaches a stack's first or last slice, so that a part
    may lie outside.
    ``UNEVEN``: a stack's slices don't lie equally far apart, so that the volume is approximate.
    ``INCOMPLETE``: files beside a series' own couldn't be read, so that slices of it may be missing.
    """

    UNFAMILIAR = "unfamiliar"
    NO_TUMOR = "no-tumor"
    UNSURE = "unsure"
    EDGE = "edge"
    UNEVEN = "uneven"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class FindingWarning:
    """One reason to doubt a finding.

    Attributes:
        kind: Which.
        message: For people, without a full stop.
        score: What was compared with the limit; its meaning depends on the kind.
        limit: From where on, or up to where, the warning is given.
    """

    kind: WarningKind
    message: str
    score: float
    limit: float

    def __str__(self) -> str:
        return self.message
