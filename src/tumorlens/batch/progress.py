"""How far a batch is: what everybody who shows it is told."""

import threading
import time
from collections.abc import Iterator
from typing import Protocol

from tumorlens.batch.archive import Archive
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.stages import Stages


class Progress:
    """The numbers of a run, up to now."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.stages = Stages()
        self.total: int | None = None
        self.before = 0
        self.units = self.scans = self.failed = self.slices = self.warned = 0

    def add(self, report: ChunkReport) -> None:
        """Count a chunk."""
        self.units += report.units
        self.scans += report.scans
        self.slices += report.slices
        self.failed += len(report.failures)
        self.warned += report.warned
        self.stages.add(report.seconds)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.begin

    @property
    def rate(self) -> float:
        """Scans a second."""
        return self.scans / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds; None while nobody knows."""
        if self.total is None or not self.units:
            return None
        return max(0, self.total - self.before - self.units) * self.seconds / self.units

    def __str__(self) -> str:
        """Such as ``1,024 of 10,000 inputs, 12.3 scans a second, 12 min left``."""
        of = "" if self.total is None else f" of {self.total:,}"
        words = f"{self.before + self.units:,}{of} inputs, {self.rate:,.1f} scans a second"
        return words if self.left is None else f"{words}, {duration(self.left)} left"


class Watcher(Protocol):
    """Shows a run to somebody, or to a program."""

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        """There is a report, or time has passed."""

    def ended(self, progress: Progress, words: str) -> None:
        """The run is over: ``done``, ``stopped`` or ``failed``."""


def duration(seconds: float) -> str:
    """Such as ``45 s``, ``12 min`` or ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Count:
    """Counts an archive's units in a thread beside the work, so that the time left can be told.

    What goes wrong with it is told by the work, which lists the same.
    """

    def __init__(self, archive: Archive, study_depth: int | None, progress: Progress) -> None:
        self._stop = threading.Event()
        self._units = archive.units(study_depth)
        self._progress = progress
        self._thread = threading.Thread(target=self._run, name="count", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, whether or not it is at the end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            count = sum(1 for _ in self._until_stopped())
        except Exception:
            return
        if not self._stop.is_set():
            self._progress.total = count

    def _until_stopped(self) -> Iterator[object]:
        for unit in self._units:
            if self._stop.is_set():
                return
            yield unit
