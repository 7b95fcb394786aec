"""The engine of a machine with several cores: processes, each with an analyzer of its own.

All but the networks' own time goes through Python, which runs one thread at a time, so that the threads of
one process do so many slices a second and no more, however many cores there are (`benchmarks/many_cores.py`).
"""

import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future

from loky.process_executor import BrokenProcessPool, ProcessPoolExecutor  # type: ignore[import-untyped]

from tumorlens.batch.options import BatchOptions
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.thread_engine import result_of
from tumorlens.batch.unit import Chunk
from tumorlens.batch.work import DestinationError, Worker, open_worker
from tumorlens.errors import TumorlensError
from tumorlens.parallel import beside_others, processors

_AHEAD = 2  # chunks a process that are under way or wait, so that no process does
_WATCH_SECONDS = 0.2

# loky remarks that a worker was begun anew, or that it had no `pgrep` for ending one.
warnings.filterwarnings("ignore", category=UserWarning, module=r"loky\b")


def analyse_in_processes(
    source: str,
    out: str,
    options: BatchOptions,
    chunks: Iterable[Chunk],
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[ChunkReport]:
    """Analyse chunks on this machine, each in one of several processes; the reports come in their order.

    On an exception, also one in whoever takes the reports, the processes are killed. They end as well where
    this one is killed.

    Args:
        source: Of the scans.
        out: Of the results.
        options: What is asked; ``workers`` is the number of processes, None for as many as there are cores.
        chunks: Taken while others are worked on.
        wait: Waits so many seconds, again and again until a chunk is done; what it raises ends the run.

    Raises:
        TumorlensError: A process was killed.
        Exception: What a process raised.
    """
    count = options.workers or processors()
    pool = ProcessPoolExecutor(count, initializer=_begin, initargs=(source, out, options, os.getpid()))
    waiting: deque[Future[ChunkReport]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_analyse, chunk))
            if len(waiting) > _AHEAD * count:
                yield result_of(waiting.popleft(), wait)
        while waiting:
            yield result_of(waiting.popleft(), wait)
    except BrokenProcessPool as error:
        raise TumorlensError(
            f"one of {count} processes was killed, perhaps for want of memory; run this again to continue, "
            "with fewer --workers"
        ) from error
    finally:
        pool.shutdown(kill_workers=True)


_worker: Worker | None = None


def _begin(source: str, out: str, options: BatchOptions, parent: int) -> None:
    """Make this process a worker. To end it is its parent's business, also where all hear Ctrl-C."""
    global _worker
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(os, "fork"):  # elsewhere nothing tells that a parent is gone
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker = open_worker(source, out, options)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _analyse(chunk: Chunk) -> ChunkReport:
    assert _worker is not None  # noqa: S101 - set as the process began
    try:
        with beside_others():
            return _worker.analyse_chunk(chunk)
    except DestinationError as error:  # its cause doesn't come along
        raise error.__cause__ if isinstance(error.__cause__, OSError) else error from None
