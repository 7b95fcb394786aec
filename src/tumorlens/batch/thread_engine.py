"""The engine of a machine with few cores, or of few scans: threads."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from tumorlens.batch.report import ChunkReport
from tumorlens.batch.unit import Chunk
from tumorlens.batch.work import TOGETHER, Numbered, Rows, Worker
from tumorlens.parallel import beside_others, processors

POLL_SECONDS = 0.02
"""Between two looks at whether a chunk is done."""
_AHEAD = 2  # groups of pictures a thread that wait, so that no thread does


def analyse_in_threads(
    worker: Worker,
    chunks: Iterable[Chunk],
    chunk_size: int,
    workers: int | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[ChunkReport]:
    """Analyse chunks in this process; the reports come in the chunks' order.

    The pictures of several chunks at a time go to one pool of threads, so that no thread waits for a chunk's
    end. On an exception, also one in whoever takes the reports, groups that are begun are finished and
    nothing else is.

    Args:
        worker: Does the work.
        chunks: Taken while they are worked on.
        chunk_size: Units of a chunk, at most.
        workers: Threads; None for as many as there are cores.
        wait: Waits so many seconds, again and again until a chunk is done; what it raises ends the run.

    Raises:
        Exception: What the worker raised.
    """
    threads = workers or processors()
    at_once = 1 + math.ceil(_AHEAD * threads / math.ceil(chunk_size / TOGETHER))  # chunks
    stop = threading.Event()
    waiting: deque[Future[ChunkReport]] = deque()
    with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(at_once) as chunk_pool:

        def check() -> None:
            if stop.is_set():
                raise StoppedError

        def groups(function: Callable[[Numbered], Rows], groups: Iterable[Numbered]) -> Iterator[Rows]:
            def one(group: Numbered) -> Rows:
                check()
                with beside_others():
                    return function(group)

            for future in [pool.submit(one, group) for group in groups]:
                yield future.result()

        try:
            for chunk in chunks:
                waiting.append(chunk_pool.submit(worker.analyse_chunk, chunk, groups, check))
                if len(waiting) > at_once:
                    yield _result(waiting.popleft(), wait)
            while waiting:
                yield _result(waiting.popleft(), wait)
        finally:
            stop.set()
            for future in waiting:
                future.cancel()


def _result(future: Future[ChunkReport], wait: Callable[[float], None]) -> ChunkReport:
    while not future.done():  # at a lock, Ctrl-C would have to come as an exception at any moment
        wait(POLL_SECONDS)
    return future.result()


class StoppedError(Exception):
    """The run was stopped before a chunk was whole."""
