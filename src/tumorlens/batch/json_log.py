"""A batch as lines of JSON on stderr, for programs; nothing in them tells of a patient."""

import datetime as dt
import json
import sys
import time
from typing import Any

from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport

_EVERY = 10  # seconds between two lines about progress


class JsonLog:
    """See `Watcher`.

    An input is told by its key alone, which its row has beside its path: a path may name a patient.
    """

    def __init__(self) -> None:
        self._told = -float("inf")
        log("start")

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        """See `Watcher`."""
        if report is not None:
            for failure in report.failures:
                log("failed", "warning", unit=failure.unit, part=report.part)
            log("part", part=report.part, units=report.units, scans=report.scans, failed=len(report.failures))
        if time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            log("progress", **_numbers(progress))

    def ended(self, progress: Progress, words: str) -> None:
        """See `Watcher`."""
        seconds = {name: round(value, 3) for name, value in progress.stages.seconds.items()}
        log("end", result=words, **_numbers(progress), stage_seconds=seconds)


def log(event: str, level: str = "info", **values: object) -> None:
    """Write a line: one JSON object with the time (UTC), the level, the event and what belongs to it."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    print(json.dumps({"time": now, "level": level, "event": event, **values}), file=sys.stderr, flush=True)


def _numbers(progress: Progress) -> dict[str, Any]:
    return {
        "done_before": progress.before,
        "units": progress.units,
        "total": progress.total,
        "scans": progress.scans,
        "failed": progress.failed,
        "scans_per_second": round(progress.rate, 3),
        "seconds_left": None if progress.left is None else round(progress.left, 1),
    }
