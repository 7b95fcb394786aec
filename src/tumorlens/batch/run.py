"""A batch from its source to its rows."""

import contextlib
import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tumorlens.analyze import Analyzer
from tumorlens.batch.archive import Archive, open_archive
from tumorlens.batch.destination import Destination, Done
from tumorlens.batch.options import BatchOptions, Engine
from tumorlens.batch.progress import Count, Progress, Watcher
from tumorlens.batch.remote import is_url
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.rows import load_libraries
from tumorlens.batch.thread_engine import analyse_in_threads
from tumorlens.batch.unit import Chunk, chunks_of
from tumorlens.batch.work import DestinationError, Worker
from tumorlens.bundle.device import Device, wanted_device
from tumorlens.errors import TumorlensError
from tumorlens.lock import alone_in
from tumorlens.parallel import beside_others, processors

_TELL_EVERY = 1  # seconds between two tellings where nothing else is told
_FEW_WORKERS = 2
_CHUNKS_EACH = 2  # from which on processes, to each of which chunks are given, are worth their beginning


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        before: Inputs that had been done before.
        failed_before: Of these, those of which a scan has no finding.
        units: Inputs done now.
        scans: Rows written.
        failed: Of these, without a finding.
        seconds: That it took.
    """

    before: int
    failed_before: int
    units: int
    scans: int
    failed: int
    seconds: float


def run_batch(
    source: str,
    out: str,
    options: BatchOptions | None = None,
    watchers: Sequence[Watcher] = (),
    wait: Callable[[float], None] = time.sleep,
) -> Summary:
    """Analyse an archive: a row a scan in Parquet, and the files asked for.

    What has rows is skipped, so that the same call goes on where a stopped or killed one was.

    Args:
        source: A folder, a zip, a list of files or a URL; see `tumorlens.batch.archive.open_archive`.
        out: The folder or URL that gets the results.
        options: What is asked.
        watchers: Told how far it is.
        wait: Waits so many seconds; called between steps, often with 0. What it raises stops the run.

    Raises:
        TumorlensError: There is nothing to look at, or the results there depend on something else.
        StorageError: A storage doesn't answer.
        OSError: A result can't be written.
    """
    options = options or BatchOptions()
    source, out = _here(source), _whole(_here(out))
    _refuse_place(source, out)
    archive = open_archive(source, leave_out=out)
    with beside_others():  # the sessions that pictures need: one thread each
        analyzer = Analyzer(options.bundle)
    load_libraries()
    progress = Progress()
    with contextlib.nullcontext() if is_url(out) else alone_in(Path(out)):
        destination = Destination(out)
        where = _whole(source)
        destination.claim({"source": where, **options.identity(analyzer.name)})
        run = _Run(where, out, options, archive, analyzer, destination, progress, watchers, wait)
        run.go()
        destination.clean()
    return Summary(
        before=progress.before,
        failed_before=run.failed_before,
        units=progress.units,
        scans=progress.scans,
        failed=progress.failed,
        seconds=progress.seconds,
    )


def _here(place: str) -> str:
    """A URL or, on this machine, a path."""
    return url2pathname(urlsplit(place).path) if place.lower().startswith("file://") else place


def _whole(place: str) -> str:
    """A URL or a whole path, since Ray's workers may run elsewhere."""
    return place.rstrip("/") if is_url(place) else str(Path(place).resolve())


def _refuse_place(source: str, out: str) -> None:
    """No file, and not the scans' own folder, where results would be taken for scans."""
    if not source.strip():
        raise TumorlensError("expected a source of scans, got an empty text; is a variable not set?")
    if not is_url(out) and Path(out).is_file():
        raise TumorlensError(f"{out}: expected a folder for the results, got a file; give another --out")
    if _whole(source) == out:
        raise TumorlensError(f"{out}: expected a folder of its own for the results, got that of the scans")


@dataclass
class _Run:
    source: str
    out: str
    options: BatchOptions
    archive: Archive
    analyzer: Analyzer
    destination: Destination
    progress: Progress
    watchers: Sequence[Watcher]
    wait: Callable[[float], None]
    failed_before: int = 0
    told: float = field(default_factory=time.monotonic)

    def go(self) -> None:
        count = Count(self.archive, self.options.study_depth, self.progress)
        words = "failed"
        try:
            done = self.destination.done(with_parts=self.options.retry_failed)
            with contextlib.closing(self._reports(self._chunks(done))) as reports:
                for report in reports:
                    self.progress.add(report)
                    self._tell(report)
                    self._wait(0)
            if not self.progress.before and not self.progress.units:
                raise TumorlensError(
                    f"{self.source}: expected scans (DICOM, NIfTI, .mat, PNG, JPEG, TIFF, BMP), found none"
                )
            words = "done"
        except DestinationError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None  # the command line has words for a full disk
            raise
        except (KeyboardInterrupt, SystemExit):
            words = "stopped"
            raise
        finally:
            count.stop()
            self._end(words)

    def _end(self, words: str) -> None:
        """Tell every watcher, whatever goes wrong with one; what was wrong with the run counts more."""
        wrong: list[OSError] = []
        for watcher in self.watchers:
            try:
                watcher.ended(self.progress, words)
            except OSError as error:
                wrong.append(error)
        if wrong and words == "done":
            raise wrong[0]

    def _wait(self, seconds: float) -> None:
        """As ``wait``; the watchers are told now and then that time has passed."""
        self.wait(seconds)
        if time.monotonic() - self.told > _TELL_EVERY:
            self._tell(None)

    def _tell(self, report: ChunkReport | None) -> None:
        self.told = time.monotonic()
        for watcher in self.watchers:
            watcher.changed(self.progress, report)

    def _chunks(self, done: Done) -> Iterator[Chunk]:
        """What there is to do.

        Units are put together before those that are done are left out, so that the same archive always has
        the same chunks: two workers with the same one write the same part.
        """
        units = self.archive.units(self.options.study_depth)
        begin = time.perf_counter()
        for chunk in chunks_of(units, self.options.chunk):
            self._wait(0)
            known = self._known(chunk, done)
            self.progress.before += sum(known)
            self.progress.stages.add({"list": time.perf_counter() - begin})
            if not all(known):
                yield chunk.without(known)
            else:
                self._tell(None)
            begin = time.perf_counter()

    def _known(self, chunk: Chunk, done: Done) -> list[bool]:
        """Which of a chunk's units are done; those to be tried again lose their rows just now."""
        keys = [unit.key for unit in chunk.units]
        known, failed = done.keys.has(keys), done.failed.has(keys)
        if not self.options.retry_failed:
            self.failed_before += sum(failed)
            return known
        self.destination.forget([key for key, is_failed in zip(keys, failed, strict=True) if is_failed], done)
        return [is_known and not is_failed for is_known, is_failed in zip(known, failed, strict=True)]

    def _reports(self, chunks: Iterator[Chunk]) -> Generator[ChunkReport]:
        options = self.options
        engine, chunks = _engine_for(options, chunks)
        if engine is Engine.THREADS:
            worker = Worker(self.analyzer, self.archive, self.destination, options)
            yield from analyse_in_threads(worker, chunks, options.chunk, options.workers, self._wait)
        elif engine is Engine.PROCESSES:
            from tumorlens.batch.process_engine import analyse_in_processes

            try:
                yield from analyse_in_processes(self.source, self.out, options, chunks, self._wait)
            finally:
                if not is_url(self.out):
                    self.destination.clean()  # of what killed processes leave
        else:
            from tumorlens.batch.ray_engine import analyse_on_ray

            yield from analyse_on_ray(self.source, self.out, options, chunks, self.destination)


def _engine_for(options: BatchOptions, chunks: Iterator[Chunk]) -> tuple[Engine, Iterator[Chunk]]:
    """What does the work, and the chunks, of which some may have been looked at to choose it.

    On two cores threads do nearly as much as processes, in a third of the memory. Processes would each take
    some of a GPU's.
    """
    if options.engine is not Engine.LOCAL:
        return options.engine, chunks
    workers = options.workers or processors()
    if workers <= _FEW_WORKERS or wanted_device() is not Device.CPU:
        return Engine.THREADS, chunks
    first = list(itertools.islice(chunks, _CHUNKS_EACH * workers))
    engine = Engine.PROCESSES if len(first) == _CHUNKS_EACH * workers else Engine.THREADS
    return engine, itertools.chain(first, chunks)
