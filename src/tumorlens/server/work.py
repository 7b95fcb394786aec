"""What worker threads do: single slices some at a time, a volume alone."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from tumorlens.analyze import Analyzer
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding
from tumorlens.finding.privacy import told_name
from tumorlens.scan import Scan
from tumorlens.server.analysis import Progress, ScanKind, Status
from tumorlens.server.endings import Endings
from tumorlens.server.job import Job, StoppedError
from tumorlens.server.lanes import Lanes
from tumorlens.server.metrics import Metrics
from tumorlens.server.problems import Kind, problem
from tumorlens.server.reading import read_upload, series_of, where

_LOG = logging.getLogger("tumorlens.server")
_JOIN = 15.0  # seconds that a thread is waited for at the end


class Workers:
    """Threads that work on what waits.

    Args:
        analyzer: What looks at scans.
        lanes: Where jobs wait.
        endings: How they end.
        metrics: Counts.
        count: How many threads.
    """

    def __init__(
        self, analyzer: Analyzer, lanes: Lanes, endings: Endings, metrics: Metrics, count: int
    ) -> None:
        self._analyzer = analyzer
        self._lanes = lanes
        self._endings = endings
        self._metrics = metrics
        names = (f"tumorlens-worker-{number}" for number in range(count))
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for name in names]

    def start(self) -> None:
        """Let them begin."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for them, once the lanes are closed."""
        until = time.monotonic() + _JOIN
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))

    def _run(self) -> None:
        while jobs := self._lanes.take():
            volume = jobs[0] if jobs[0].is_volume else None
            try:
                for job in jobs:
                    job.began = time.monotonic()
                with self._lanes.share_of_cores():
                    if volume is not None:
                        self._guarded(volume, self._alone)
                    else:
                        self._together(jobs)
            finally:
                self._lanes.done(volume)
            del jobs, volume  # or it would hold the last ones until the next come

    def _guarded(self, job: Job, work: Callable[[Job], None]) -> None:
        """Work on a job; whatever goes wrong is its own end and no other's."""
        try:
            work(job)
        except StoppedError:
            pass
        except TumorlensError as error:
            self._endings.failed(job, problem(Kind.NOT_A_SCAN, str(error)))
        except OSError as error:
            _LOG.error("an upload can't be written or read: %s", where(error))
            told = problem(Kind.FULL, "The server can't write to its disk; try again later.")
            self._endings.failed(job, told)
        except Exception as error:  # decoders and the runtime raise whatever their libraries do
            _LOG.error("an analysis failed: %s", where(error))
            told = problem(
                Kind.FAILED, "The analysis failed in a way that wasn't foreseen; tell who runs this server."
            )
            self._endings.failed(job, told)

    def _together(self, jobs: Sequence[Job]) -> None:
        """Single slices at once; those that turn out to be more are sent to wait for their turn."""
        scans: list[tuple[Job, Scan]] = []
        for job in jobs:
            self._guarded(job, partial(self._read_slice, scans=scans))
        if not scans:
            return
        self._metrics.batches.observe(len(scans))
        try:
            findings = self._analyzer.analyze_batch([scan for _, scan in scans])
        except Exception:  # one of them is at fault; alone it fails alone
            for job, scan in scans:
                self._guarded(job, partial(self._analyse, scan=scan))
            return
        for (job, _), finding in zip(scans, findings, strict=True):
            self._guarded(job, partial(self._endings.done, finding=finding))

    def _read_slice(self, job: Job, scans: list[tuple[Job, Scan]]) -> None:
        scan = self._read(job)
        if scan.is_volume:
            job.is_volume = True
            job.began = None  # waiting isn't working
            job.update(kind=ScanKind.VOLUME, status=Status.QUEUED)
            self._lanes.add(job, again=True)
        elif job.ask.largest_component:
            self._analyse(job, scan)
        else:
            scans.append((job, scan))

    def _alone(self, job: Job) -> None:
        self._analyse(job, self._read(job))

    def _read(self, job: Job) -> Scan:
        job.check()
        job.update(status=Status.RUNNING)
        with job.lock:
            job.check()  # or the folder of what was erased meanwhile would be made anew
            job.prepare()
        scan = read_upload(job.folder, job.ask, job.label)
        job.check()
        kind = ScanKind.VOLUME if scan.is_volume else ScanKind.SLICE
        job.update(
            kind=kind,
            name=told_name(scan, keep_identity=False),
            series=series_of(job.folder, scan, job.ask),
            progress=Progress(done=0, total=len(scan.slices)),
        )
        return scan

    def _analyse(self, job: Job, scan: Scan) -> None:
        total = len(scan.slices)
        done = 0

        def report(count: int) -> None:
            nonlocal done
            job.check()
            done += count
            job.update(progress=Progress(done=done, total=total))

        finding: Finding = self._analyzer.analyze(
            scan, largest_component=job.ask.largest_component, report=report
        )
        self._endings.done(job, finding)
