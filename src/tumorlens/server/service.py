"""What the routes ask: analyses begun, found, cancelled, erased, and their findings."""

import logging
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from tumorlens.server.analysis import Analysis, Ask, Kept, Status, whole_seconds
from tumorlens.server.endings import Endings
from tumorlens.server.findings import Findings, Held
from tumorlens.server.job import Job
from tumorlens.server.labels import neutral
from tumorlens.server.lanes import FullError, Lanes
from tumorlens.server.metrics import Metrics
from tumorlens.server.model import ServedModel
from tumorlens.server.problems import Kind, Problem, ProblemError, problem
from tumorlens.server.reading import read_upload, where
from tumorlens.server.settings import Settings
from tumorlens.server.store import Store
from tumorlens.server.uploads import Upload
from tumorlens.server.work import Workers

_LOG = logging.getLogger("tumorlens.server")


class Service:
    """A server's analyses; its methods may be called from any thread, but `submit` only on the event loop.

    Args:
        settings: How it runs.
        model: What looks at scans.

    Raises:
        TumorlensError: Its folder can't be used.
    """

    def __init__(self, settings: Settings, model: ServedModel) -> None:
        self.settings = settings
        self.model = model
        self.store = Store(settings.data, settings.keep)
        self.findings = Findings(settings.cache)
        self.lanes = Lanes(settings.queue_length)
        self.metrics = Metrics(lambda: len(self.lanes), lambda: self.findings.size)
        self.uploads = 0
        self._followers = 0
        self.is_stopping = False
        self._live: dict[str, Job] = {}
        self._again = _Again()
        self._endings = Endings(self.store, self.findings, self.metrics, model.key, self._forget)
        self._workers = Workers(model.analyzer, self.lanes, self._endings, self.metrics, settings.workers)
        self._stopping = threading.Lock()
        self._stopped = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="tumorlens-sweeper", daemon=True)
        self._temporary = tempfile.tempdir

    def start(self) -> None:
        """Begin to work."""
        # Archives are unpacked where a kill leaves nothing behind after the next start.
        self._temporary, tempfile.tempdir = tempfile.tempdir, str(self.store.temporary)
        self._workers.start()
        self._sweeper.start()

    def stop(self) -> None:
        """End all that is under way, and let others use the folder; again, nothing."""
        with self._stopping:
            self.is_stopping, before = True, self.is_stopping
        if before:
            return
        self._stopped.set()
        self.lanes.close()
        for job in list(self._live.values()):
            self._endings.stopped(job, Status.INTERRUPTED, _interrupted())
        self._workers.join()
        self._sweeper.join()
        tempfile.tempdir = self._temporary
        self.store.close()

    def admit(self, size: int) -> None:
        """Refuse an upload before it is received, where nothing could come of it.

        Raises:
            ProblemError: The server stops, too many wait, or the disk is full.
        """
        try:
            self.check_room(size)
        except ProblemError as error:
            if error.kind is Kind.BUSY:
                self.metrics.refused.inc()
            raise

    def check_room(self, size: int) -> None:
        """As `admit`, for who only asks."""
        self._refuse_when_stopping()
        if self.uploads >= self.settings.most_uploads:
            raise ProblemError(
                Kind.BUSY,
                f"{self.uploads} uploads are under way, which is the most; try again.",
                retry_after=2,
            )
        try:
            self.lanes.check()
        except FullError as error:
            raise self._busy(error) from error
        if not self.store.has_room(size):
            raise ProblemError(Kind.FULL, "The server's disk is full; try again later, or make room there.")

    def check_followers(self) -> None:
        """Refuse to tell one more client of changes, so that they leave connections to others.

        Raises:
            ProblemError: As many follow analyses as may.
        """
        if self._followers >= max(self.settings.most_connections // 2, 1):
            raise ProblemError(
                Kind.BUSY,
                f"{self._followers} clients follow analyses, which is the most; ask now and then instead.",
                retry_after=2,
            )

    async def counted(self, told: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """What a client is told, which counts as a follower meanwhile. On the event loop alone."""
        self._followers += 1
        try:
            async for each in told:
                yield each
        finally:
            self._followers -= 1

    def submit(self, id_: str, upload: Upload, *, known: bool = False) -> Job:
        """Let an upload be analysed.

        Args:
            id_: Of the analysis.
            upload: What arrived.
            known: Whether a client learns the id whatever becomes of it, so that a failure is kept, too.

        Raises:
            ProblemError: Too many wait.
        """
        now = whole_seconds(datetime.now(UTC))
        analysis = Analysis(
            id=id_,
            status=Status.QUEUED,
            name=neutral(upload.label),
            created=now,
            expires=self.store.expiry(now),
        )
        job = Job(analysis, upload, self.store.upload(id_))
        job.known = known
        self._refuse_when_stopping()
        self._live[id_] = job
        try:
            self.lanes.add(job)
        except FullError as error:
            self._live.pop(id_, None)
            self.metrics.refused.inc()
            raise self._busy(error) from error
        return job

    def make_known(self, job: Job) -> Analysis:
        """Keep a job on the disk, since a client is about to know of it."""
        try:
            with job.lock:
                if not job.is_claimed:
                    job.prepare()
                    job.known = True
                    self.store.write(job.kept())
                return job.analysis
        except OSError as error:
            _LOG.error("an upload can't be kept: %s", where(error))
            told = problem(Kind.FULL, "The server can't write to its disk; try again later.")
            job.known = False
            self._endings.failed(job, told)
            return job.analysis

    def job(self, id_: str) -> Job | None:
        """An analysis under way."""
        return self._live.get(id_)

    def find(self, id_: str) -> Analysis:
        """An analysis.

        Raises:
            ProblemError: There is none, or none any more.
        """
        job = self._live.get(id_)
        return job.analysis if job is not None else self.kept(id_).analysis

    def kept(self, id_: str) -> Kept:
        """An analysis on the disk.

        Raises:
            ProblemError: There is none, or none any more.
        """
        kept = self.store.read(id_)
        if kept is None:
            raise ProblemError(
                Kind.UNKNOWN, "There is no such analysis; it may have been erased. Send the scan again."
            )
        return kept

    def cancel(self, id_: str) -> Analysis:
        """Stop an analysis; a final one stays as it is."""
        job = self._live.get(id_)
        if job is not None:
            self.lanes.discard(job)
            self._endings.stopped(job, Status.CANCELLED)
            return job.analysis
        return self.find(id_)

    def erase(self, id_: str) -> None:
        """Stop an analysis and remove everything of it.

        Raises:
            ProblemError: There is none.
        """
        self.cancel(id_)
        self.findings.drop(id_)
        self.store.erase(id_)

    def again(self, kept: Kept, series: str) -> tuple[str, Upload]:
        """The same upload for another series: a new id, and what it is."""
        id_, size = self.store.new_id(), 0
        try:
            folder = self.store.begin(id_)
            for file in self.store.upload(kept.analysis.id).iterdir():
                _share(file, folder / file.name)
                size += file.stat().st_size
        except OSError as error:
            self.store.erase(id_)
            raise ProblemError(Kind.UNKNOWN, "The upload is gone; send the scan again.") from error
        ask = Ask(series=series, largest_component=kept.ask.largest_component)
        return id_, Upload(kept.label, size, ask, is_volume=True, write=lambda: None)

    def finding(self, id_: str) -> Held:
        """The finding of an analysis that is done: held in memory, or found again.

        Raises:
            ProblemError: It isn't done, was found by another model, or can't be found again.
        """
        held = self.findings.get(id_)
        if held is not None and self.store.has(id_):
            return held
        if id_ in self._live:
            raise ProblemError(Kind.NOT_FINISHED, "This analysis isn't finished yet; wait for it.")
        kept = self.kept(id_)
        if kept.analysis.status is not Status.DONE:
            raise ProblemError(
                Kind.NOT_FINISHED,
                f"This analysis was {kept.analysis.status}, so it has no result; start it again.",
            )
        if kept.model != self.model.key:
            raise ProblemError(
                Kind.OTHER_MODEL,
                "Another model found this, and the server has a new one; send the scan again.",
            )
        with self._again.of(id_):
            return self.findings.get(id_) or self._find_again(kept)

    def _find_again(self, kept: Kept) -> Held:
        id_ = kept.analysis.id
        try:
            scan = read_upload(self.store.upload(id_), kept.ask, kept.label)
            finding = self.model.analyzer.analyze(scan, largest_component=kept.ask.largest_component)
        except Exception as error:
            _LOG.warning("a kept scan can't be analysed again: %s", where(error))
            raise ProblemError(
                Kind.UNKNOWN, "What was kept of this analysis can't be read; send the scan again."
            ) from error
        held = Held(finding)
        self.findings.put(id_, held)
        if not self.store.has(id_):  # erased meanwhile
            self.findings.drop(id_)
        return held

    def _refuse_when_stopping(self) -> None:
        if self.is_stopping:
            raise ProblemError(Kind.STOPPING, "The server is stopping; try again later.", retry_after=30)

    def _forget(self, job: Job) -> None:
        self._live.pop(job.id, None)

    def _busy(self, error: FullError) -> ProblemError:
        return ProblemError(
            Kind.BUSY,
            f"{len(self.lanes)} analyses wait, which is the most; try again in {error.retry_after} s.",
            retry_after=error.retry_after,
        )

    def _sweep(self) -> None:
        """Erase what has expired, stop what takes too long."""
        while not self._stopped.wait(self.settings.clean_every):
            try:
                self.clean()
            except Exception as error:  # a disk in trouble; the next look may go better
                _LOG.error("cleaning failed: %s", where(error))

    def clean(self) -> None:
        """Look once for what has expired or takes too long."""
        for id_ in self.store.expired():
            if id_ not in self._live:
                self.findings.drop(id_)
                self.store.erase(id_)
        limit = self.settings.time_limit
        for job in list(self._live.values()):
            if job.began is not None and time.monotonic() - job.began > limit:
                told = problem(
                    Kind.TOO_LONG, f"The analysis took more than {limit:g} s; send fewer or smaller slices."
                )
                self._endings.failed(job, told)
                self.lanes.release(job)  # even where its thread hangs, the next volume may begin


class _Again:
    """Lets one thread at a time find the same thing again, the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: OrderedDict[str, threading.Lock] = OrderedDict()

    def of(self, id_: str) -> threading.Lock:
        """The lock of an analysis."""
        with self._lock:
            lock = self._locks.setdefault(id_, threading.Lock())
            self._locks.move_to_end(id_)
            while len(self._locks) > 256:  # of long ago
                self._locks.popitem(last=False)
            return lock


def _interrupted() -> Problem:
    return problem(Kind.INTERRUPTED, "The server ended before this analysis was finished; start it again.")


def _share(source: Path, target: Path) -> None:
    """The same file in another folder, copied only where the disk knows no links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
