"""An analysis as clients see it, and as it is kept."""

from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tumorlens.finding.document import FindingDocument
from tumorlens.finding.write import Format
from tumorlens.server.problems import Problem

EXAMPLE_ID = "0123456789abcdef0123456789abcdef"


class Status(StrEnum):
    """How far an analysis is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


UNFINISHED = (Status.QUEUED, Status.RUNNING)


class ScanKind(StrEnum):
    """What was uploaded."""

    SLICE = "slice"
    VOLUME = "volume"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Progress(_Part):
    """How many slices were looked at."""

    done: int = Field(ge=0, description="Slices looked at.", examples=[12])
    total: int = Field(ge=1, description="Slices of the scan.", examples=[96])


class SeriesPart(_Part):
    """A DICOM series of the upload."""

    number: int = Field(ge=1, description="Its place, from 1.", examples=[1])
    text: str = Field(description="What it is.", examples=["MR, t1 axial +C, 24 slices"])
    chosen: bool = Field(description="Whether it is the one that is analysed.", examples=[True])


class Analysis(_Part):
    """An upload and what was found on it."""

    id: str = Field(pattern="^[0-9a-f]{32}$", description="Who knows it may ask.", examples=[EXAMPLE_ID])
    status: Status = Field(description="How far it is.")
    kind: ScanKind | None = Field(None, description="Null where it isn't known yet.")
    name: str = Field(description="The upload's name; a neutral one where it tells whose scan it is.")
    created: AwareDatetime = Field(description="When it was uploaded.")
    expires: AwareDatetime = Field(description="When it is erased.")
    progress: Progress | None = Field(None, description="Null where it isn't known yet.")
    series: tuple[SeriesPart, ...] = Field((), description="Of a DICOM upload.")
    problem: Problem | None = Field(None, description="Why it failed; null where it didn't.")
    result: FindingDocument | None = Field(None, description="As `tumorlens predict --write json` makes it.")
    files: tuple[Format, ...] = Field((), description="The formats that can be had.")

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status not in UNFINISHED


class Ask(_Part):
    """What a client wants of an upload.

    Attributes:
        series: Which DICOM series; see `tumorlens.scan.read_scan`.
        largest_component: Whether to keep nothing but the largest connected part of the outline.
    """

    series: str | None = None
    largest_component: bool = False


class Kept(_Part):
    """An analysis on the disk.

    Attributes:
        analysis: As clients see it.
        ask: What was wanted.
        label: What the upload is called, for as long as it isn't known whether that tells whose it is.
        model: The key of the model that found the result; empty without one.
    """

    analysis: Analysis
    ask: Ask
    label: str
    model: str = ""


def whole_seconds(when: datetime) -> datetime:
    """A time without its fraction of a second."""
    return when.replace(microsecond=0)
