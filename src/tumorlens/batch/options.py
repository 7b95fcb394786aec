"""What is asked of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tumorlens.finding.write import Format, WriteOptions

CHUNK = 64
"""Units that are done, or done again, together."""


class Engine(StrEnum):
    """What does the work.

    ``THREADS`` are this process's, ``PROCESSES`` this machine's, ``RAY`` has the workers of a Ray cluster;
    ``LOCAL`` is ``PROCESSES`` where more than two cores get at least two chunks each, else ``THREADS``.
    """

    LOCAL = "local"
    THREADS = "threads"
    PROCESSES = "processes"
    RAY = "ray"


@dataclass(frozen=True)
class BatchOptions:
    """What is asked of `tumorlens.batch.run_batch`.

    Attributes:
        formats: Files to write beside the rows; none by default.
        write: How.
        series: Of DICOM studies; see `tumorlens.scan.read_scan`.
        largest_component: Whether to keep nothing but the largest connected part of an outline.
        bundle: The bundle's folder; None for the one that comes along.
        study_depth: Folders so many levels below the source are a study each, with all DICOM files below
            them; None where each folder is one of its own.
        chunk: Units of a part, at least 1.
        engine: What does the work.
        workers: At most so many at once; None for as many as there are cores.
        retry_failed: Whether inputs that failed before are analysed again.
        address: Of a running Ray cluster; None for one of this process's own.
    """

    formats: tuple[Format, ...] = ()
    write: WriteOptions = field(default_factory=WriteOptions)
    series: str | None = None
    largest_component: bool = False
    bundle: Path | None = None
    study_depth: int | None = None
    chunk: int = CHUNK
    engine: Engine = Engine.LOCAL
    workers: int | None = None
    retry_failed: bool = False
    address: str | None = None

    def identity(self, model: str | None) -> Mapping[str, object]:
        """All that rows and files depend on; a destination holds the results of one such choice."""
        return {
            "model": model,
            "formats": sorted({str(each) for each in self.formats}),
            "uncertainty": self.write.uncertainty,
            "keep_identity": self.write.keep_identity,
            "series": self.series,
            "largest_component": self.largest_component,
            "study_depth": self.study_depth,
        }
