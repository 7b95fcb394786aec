"""The processor's cores, kept busy while order is kept, too."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items a thread that are begun before the first one's result is taken


def processors() -> int:
    """How many of the machine's cores this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_thread = threading.local()


def threads_for_a_call() -> int:
    """How many threads a library should use for a call from here: as many as cores, or one beside others."""
    return 1 if getattr(_thread, "beside_others", False) else processors()


@contextlib.contextmanager
def beside_others() -> Iterator[None]:
    """Say that this thread is one of as many as there are cores, all at work."""
    before = getattr(_thread, "beside_others", False)
    _thread.beside_others = True
    try:
        yield
    finally:
        _thread.beside_others = before


def _mark() -> None:
    _thread.beside_others = True


def in_order(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Call a function on each item, on all cores; the results come in the items' order.

    A single item is worked on in the calling thread. Few results wait at a time, so that memory doesn't grow
    with the number of items.

    Raises:
        Exception: What the function raised, at the place of its item; what isn't begun by then never is.
    """
    if len(items) == 1:
        yield function(items[0])
        return
    threads = processors()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, initializer=_mark) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
