"""From a chunk of units to its part: the one way, whatever engine walks it."""

import contextlib
import errno
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tumorlens.analyze import Analyzer
from tumorlens.batch.ahead import Ahead
from tumorlens.batch.archive import Archive, open_archive
from tumorlens.batch.destination import FILES, Destination
from tumorlens.batch.fetched import sources_of
from tumorlens.batch.naming import header_of, result_place, told_error, told_source
from tumorlens.batch.options import BatchOptions
from tumorlens.batch.remote import StorageError
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.rows import Row, failed_row, found_row, load_libraries
from tumorlens.batch.stages import Stages
from tumorlens.batch.unit import Chunk, Unit, blocks
from tumorlens.errors import TumorlensError, is_disk_full
from tumorlens.finding import Finding
from tumorlens.finding.privacy import encodable
from tumorlens.finding.write import refuse_impossible
from tumorlens.parallel import beside_others
from tumorlens.scan import Scan

Numbered = list[tuple[int, Unit]]
Rows = list[tuple[int, list[Row]]]
Map = Callable[[Callable[[Numbered], Rows], Iterable[Numbered]], Iterable[Rows]]

TOGETHER = 4
"""Pictures that are looked at in one call: as many slices as the analyzer takes at once."""
_LARGE = 8 << 20  # bytes of a file from which it may be a stack
_OF_THE_NAME = {errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EILSEQ, errno.EINVAL}
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".mat")


class DestinationError(TumorlensError):
    """A result can't be written: no input's fault, so that the run stops. Its cause says why."""


@dataclass
class _Read:
    """A unit that was read, or why it wasn't.

    Attributes:
        unit: Which.
        path: Where its file is, once it is here.
        scan: What was read.
        error: Why not.
        seconds: Of each of the columns of times.
    """

    unit: Unit
    path: Path | None = None
    scan: Scan | None = None
    error: Exception | None = None
    seconds: dict[str, float] = field(default_factory=dict)


class Worker:
    """Analyses chunks; safe to call from any thread.

    Args:
        analyzer: What looks at scans.
        archive: Where they come from.
        destination: Where rows and files go.
        options: What is asked.
    """

    def __init__(
        self, analyzer: Analyzer, archive: Archive, destination: Destination, options: BatchOptions
    ) -> None:
        self._analyzer = analyzer
        self._archive = archive
        self._destination = destination
        self._options = options
        self._one_stack = threading.Lock()

    def analyse_chunk(
        self, chunk: Chunk, map_: Map = map, check: Callable[[], None] = lambda: None
    ) -> ChunkReport:
        """Analyse a chunk's units and write their rows as one part, whole or not at all.

        The same chunk again, after a kill or on another worker, makes the same files and the same part, so
        that it doesn't matter how often it is begun.

        Args:
            chunk: Units.
            map_: Calls a function on each group of pictures, in any threads, and hands out its results.
            check: Called between other scans; what it raises ends the chunk before its part is written.

        Raises:
            DestinationError: A result can't be written.
            StorageError: A storage doesn't answer.
        """
        stages, begin = Stages(), time.time()
        numbered = list(enumerate(chunk.units))
        pictures = [each for each in numbered if _is_picture(each[1])]
        others = [each for each in numbered if not _is_picture(each[1])]
        found: dict[int, list[Row]] = {}
        units = [unit for _, unit in (*pictures, *others)]
        with Ahead(self._archive, units, self._destination.staging) as ahead:
            for told in map_(lambda group: self._group(group, ahead, stages), blocks(pictures, TOGETHER)):
                found.update(told)
            for number, unit in others:
                check()
                found[number] = []
                for row in self._alone(unit, ahead, stages):
                    found[number].append(row)
                    check()
        check()
        rows = [row for number in sorted(found) for row in found[number]]
        with stages.timed("write"), _writing():
            self._destination.write_part(chunk.name, rows)
        return ChunkReport.of(chunk.name, len(chunk.units), rows, stages.seconds, (begin, time.time()))

    def _group(self, group: Numbered, ahead: Ahead, stages: Stages) -> Rows:
        """Pictures that are looked at together."""
        with contextlib.ExitStack() as here:
            reads = [self._read(unit, ahead, here, stages) for _, unit in group]
            findings = self._findings([read for read in reads if read.scan is not None], stages)
            rows = [self._finished(read, findings.get(id(read)), stages) for read in reads]
        return [(number, [row]) for (number, _), row in zip(group, rows, strict=True)]

    def _read(self, unit: Unit, ahead: Ahead, here: contextlib.ExitStack, stages: Stages) -> _Read:
        read = _Read(unit)
        with _caught(read):
            with stages.timed("fetch") as fetch:
                read.path = here.enter_context(ahead.fetched(unit))
            with stages.timed("read") as seconds:
                (source,) = sources_of(unit, read.path)
                read.scan = source.read(self._options.series, self._destination.staging())
            read.seconds = {"fetch_seconds": fetch[0], "read_seconds": seconds[0]}
        return read

    def _findings(self, reads: Sequence[_Read], stages: Stages) -> dict[int, Finding]:
        """The findings by `id` of what was read; where they can't be had together, one by one."""
        scans = [read.scan for read in reads if read.scan is not None]
        stack = any(scan.is_volume for scan in scans) or self._options.largest_component
        if scans and not stack:
            with contextlib.suppress(Exception), stages.timed("analyse") as seconds:
                findings = self._analyzer.analyze_batch(scans)
                for read in reads:
                    read.seconds["analyse_seconds"] = 0.0
            if seconds and all("analyse_seconds" in read.seconds for read in reads):
                for read in reads:
                    read.seconds["analyse_seconds"] = seconds[0] / len(reads)
                return {id(read): finding for read, finding in zip(reads, findings, strict=True)}
        found = {}
        for read in reads:
            with _caught(read):
                found[id(read)] = self._finding(read, stages)
        return found

    def _finding(self, read: _Read, stages: Stages) -> Finding:
        assert read.scan is not None  # noqa: S101 - asked before
        with stages.timed("analyse") as seconds:
            finding = self._analyzer.analyze(read.scan, largest_component=self._options.largest_component)
        read.seconds["analyse_seconds"] = seconds[0]
        return finding

    def _alone(self, unit: Unit, ahead: Ahead, stages: Stages) -> Iterator[Row]:
        """A unit that may be large or hold several scans: one of these in memory at a time."""
        first = _Read(unit)
        with contextlib.ExitStack() as here:
            with _caught(first):
                if unit.problem is not None:
                    raise TumorlensError(f"{unit.place or '.'}: {unit.problem}")
                with stages.timed("fetch") as fetch:
                    first.path = here.enter_context(ahead.fetched(unit))
                with stages.timed("read"):
                    sources = sources_of(unit, first.path)
            if first.error is not None or first.path is None:
                yield self._finished(first, None, stages)
                return
            header = functools.cache(lambda: header_of(unit, first.path))
            with self._one_stack:  # others may be fetched meanwhile
                for number, source in enumerate(sources, start=1):
                    read = _Read(unit, first.path, seconds={"fetch_seconds": fetch[0] / len(sources)})
                    finding = None
                    with _caught(read):
                        with stages.timed("read") as seconds:
                            read.scan = source.read(self._options.series, self._destination.staging())
                        read.seconds["read_seconds"] = seconds[0]
                        finding = self._finding(read, stages)
                    yield self._finished(read, finding, stages, number, header)

    def _finished(
        self,
        read: _Read,
        finding: Finding | None,
        stages: Stages,
        number: int = 1,
        header: Callable[[], Scan | None] | None = None,
    ) -> Row:
        """The row of a scan whose files, if any are asked for, are written.

        Args:
            read: The scan.
            finding: None where it failed.
            stages: Gets the time.
            number: Of the scan in its input.
            header: The input's `header_of`, where that is asked for more than once.
        """
        row: Row | None = None
        if finding is not None:
            with _caught(read):
                row = self._written(read, finding, stages, number)
        known = self._hides(read.scan)
        if row is None:
            known = known or self._hides(header() if header else header_of(read.unit, read.path))
            error = read.error or TumorlensError("no scan")
            row = failed_row(told_error(error, read.unit, read.path, known))
        return {
            "unit": read.unit.key.hex(),
            "source": told_source(read.unit, known),
            "scan": number,
            **row,
            **read.seconds,
        }

    def _written(self, read: _Read, finding: Finding, stages: Stages, number: int) -> Row:
        options = self._options
        refuse_impossible(finding.scan, options.formats)
        row = found_row(finding, keep_identity=options.write.keep_identity)
        with stages.timed("write") as seconds:
            if options.formats:
                place = result_place(read.unit, self._hides(finding.scan), number)
                with _writing(of_input=True):
                    files = self._destination.write_files(finding, place, options.formats, options.write)
                row["files"] = [encodable(file) for file in files]
        read.seconds["write_seconds"] = seconds[0]
        return row

    def _hides(self, scan: Scan | None) -> Scan | None:
        """The scan by which names are made neutral; None where they are to stay."""
        return None if self._options.write.keep_identity else scan


def open_worker(source: str, out: str, options: BatchOptions) -> Worker:
    """A worker of this process, with an analyzer that leaves the other cores to others.

    Args:
        source: Of the scans.
        out: Of the results.
        options: What is asked.
    """
    with beside_others():
        analyzer = Analyzer(options.bundle)
    load_libraries()
    return Worker(analyzer, open_archive(source, leave_out=out), Destination(out), options)


def _is_picture(unit: Unit) -> bool:
    """Whether a unit is small and, by its name, no stack."""
    if unit.is_folder or not unit.place.lower().endswith(_PICTURES):
        return False
    return unit.files[0].size <= _LARGE


@contextlib.contextmanager
def _caught(read: _Read) -> Iterator[None]:
    """Keep what goes wrong with one input; what is wrong with storage or destination goes on."""
    try:
        yield
    except (StorageError, DestinationError):
        raise
    except Exception as error:  # among millions of files there are some that nobody thought of
        if is_disk_full(error):  # no fault of this input, which is to be tried again
            raise DestinationError(f"this machine's disk is full: {error}") from error
        known = isinstance(error, TumorlensError)
        read.error = error if known else TumorlensError(f"unexpected {type(error).__name__}: {error}")


@contextlib.contextmanager
def _writing(*, of_input: bool = False) -> Iterator[None]:
    """Tell what the destination's trouble is from an input's own, whose results have its name."""
    try:
        yield
    except OSError as error:
        if of_input and error.errno in _OF_THE_NAME and Path(error.filename or "").name != FILES:
            raise TumorlensError(
                f"its results can't have its name: {error.strerror}; give it another, or a shorter one"
            ) from error
        raise DestinationError(f"a result can't be written: {error}") from error
