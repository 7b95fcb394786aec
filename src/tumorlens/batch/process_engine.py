"""The engine of a machine with several cores: processes, each with an analyzer of its own.

All but the networks' own time goes through Python, which runs one thread at a time, so that the threads of
one process do so many slices a second and no more, however many cores there are (`benchmarks/many_cores.py`).
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from tumorlens.batch.destination import Destination
from tumorlens.batch.options import BatchOptions
from tumorlens.batch.remote import StorageError
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.thread_engine import POLL_SECONDS, StoppedError
from tumorlens.batch.unit import Chunk
from tumorlens.batch.work import DestinationError
from tumorlens.errors import TumorlensError
from tumorlens.parallel import processors

_AHEAD = 2  # chunks a process that are under way or wait, so that no process does
_ERRORS = {kind.__name__: kind for kind in (StorageError, DestinationError, TumorlensError)}
# Ctrl-C on a terminal is for this process alone, which ends the others.
if sys.platform == "win32":
    _FLAGS, _GROUP = subprocess.CREATE_NEW_PROCESS_GROUP, None
else:
    _FLAGS, _GROUP = 0, 0


def analyse_in_processes(
    source: str,
    out: str,
    options: BatchOptions,
    chunks: Iterable[Chunk],
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[ChunkReport]:
    """Analyse chunks on this machine, each in one of several processes; the reports come as they are ready.

    On an exception, also one in whoever takes the reports, the processes are killed. They end as well where
    this one is killed.

    Args:
        source: Of the scans.
        out: Of the results.
        options: What is asked; ``workers`` is the most processes, None for as many as there are cores.
        chunks: Taken while others are worked on.
        wait: Waits so many seconds, again and again until a chunk is done; what it raises ends the run.

    Raises:
        TumorlensError: A process ended, or what its own exception says.
        OSError: A process can't be begun, or a result can't be written.
        RuntimeError: A process raised something else.
    """
    count = options.workers or processors()
    under_way: set[Future[ChunkReport]] = set()
    with (
        tempfile.TemporaryDirectory(
            prefix="tumorlens-batch-", dir=Destination(out).staging(), ignore_cleanup_errors=True
        ) as copies,
        contextlib.closing(
            _Processes({"source": source, "out": out, "options": _as_json(options)}, copies)
        ) as processes,
        ThreadPoolExecutor(count) as threads,
    ):
        try:
            for chunk in chunks:
                under_way.add(threads.submit(processes.analyse, chunk))
                if len(under_way) >= _AHEAD * count:
                    yield from _done(under_way, wait)
            while under_way:
                yield from _done(under_way, wait)
        finally:
            processes.kill()
            for future in under_way:
                future.cancel()


def _as_json(options: BatchOptions) -> Any:
    return TypeAdapter(BatchOptions).dump_python(options, mode="json")


def _done(under_way: set[Future[ChunkReport]], wait: Callable[[float], None]) -> Iterator[ChunkReport]:
    """Wait until chunks are done; these are under way no more."""
    while not (done := {future for future in under_way if future.done()}):
        wait(POLL_SECONDS)  # not at a lock, see `tumorlens.batch.thread_engine`
    under_way -= done
    yield from (future.result() for future in done)


@dataclass
class _Processes:
    """As many as are needed at once; each is begun when a chunk finds all others at work.

    Attributes:
        asked: What each is told first.
        copies: The folder for their temporary files, which outlives them.
    """

    asked: dict[str, Any]
    copies: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _idle: "queue.SimpleQueue[_Process]" = field(default_factory=queue.SimpleQueue)
    _all: "list[_Process]" = field(default_factory=list)
    _over: bool = False

    def analyse(self, chunk: Chunk) -> ChunkReport:
        """What comes of a chunk; from any thread."""
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            process = self._begun()
        report = process.analyse(chunk)
        self._idle.put(process)
        return report

    def _begun(self) -> "_Process":
        with self._lock:
            if self._over:
                raise StoppedError
            self._all.append(_Process(self.asked, self.copies))
            return self._all[-1]

    def kill(self) -> None:
        """End them all, whatever they do, and begin no more."""
        with self._lock:
            self._over = True
            for process in self._all:
                process.kill()

    def close(self) -> None:
        """End them all, once no thread asks them any more."""
        self.kill()
        for process in self._all:
            process.close()


class _Process:
    """A process that analyses chunks, one at a time; see `tumorlens.batch.process_worker`."""

    def __init__(self, asked: dict[str, Any], copies: str) -> None:
        path = os.pathsep.join(folder for folder in sys.path if folder)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tumorlens.batch.process_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": copies, "TEMP": copies, "TMP": copies},
            text=True,
            encoding="utf-8",
            creationflags=_FLAGS,
            process_group=_GROUP,
        )
        self._asked: str | None = json.dumps(asked)

    def analyse(self, chunk: Chunk) -> ChunkReport:
        """What comes of a chunk.

        Raises:
            TumorlensError: The process ended, or what its exception says.
            OSError: What its exception says.
            RuntimeError: It raised something else.
        """
        lines = [chunk.to_json()] if self._asked is None else [self._asked, chunk.to_json()]
        self._asked = None
        assert self._process.stdin is not None  # noqa: S101 - asked for
        assert self._process.stdout is not None  # noqa: S101 - likewise
        try:
            self._process.stdin.write("".join(f"{line}\n" for line in lines))
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except OSError:  # it is gone
            answer = ""
        if not answer.endswith("\n"):
            raise TumorlensError(
                f"a process ended ({_ending(self._process.wait())}), perhaps for want of memory; run this "
                "again to continue, with fewer --workers"
            )
        return _report(json.loads(answer))

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the ways to and from it, after `kill`."""
        for way in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was written to it and not read
                if way is not None:
                    way.close()


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _report(answer: dict[str, Any]) -> ChunkReport:
    """What a process answers; raises what it raised."""
    if "report" in answer:
        return ChunkReport.from_json(answer["report"])
    kind, words = answer["error"], answer["words"]
    if kind == "OSError":
        raise OSError(answer["number"], words, answer["file"])
    raise _ERRORS.get(kind, RuntimeError)(words)
