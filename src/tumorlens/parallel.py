"""The processor's cores, kept busy while order is kept, too."""

import contextlib
import functools
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items a thread that are begun before the first one's result is taken


def processors() -> int:
    """How many cores' worth of time this process may use, at least 1.

    No more than the cores that it may run on, and no more than what its container or job is given, rounded
    up.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota())))


@functools.cache
def _quota() -> float:
    """`cpu_quota` of this process, read once; it hardly ever changes while a process runs."""
    return cpu_quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))


def cpu_quota(membership: Path, root: Path) -> float:
    """The cores' worth of time that Linux's control groups leave to a process; infinite without a limit.

    A group has no more than the groups that it lies in, so that the least of all is what counts. A container
    may see its own group as the root; the root is looked at as well.

    Args:
        membership: Which groups the process is in, as ``/proc/self/cgroup`` tells.
        root: Where the groups are mounted; the second version's there or in ``unified``, the first version's
            in a folder named after its controllers.
    """
    try:
        lines = membership.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return math.inf
    quotas = [math.inf]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            mounts, quota_of = [root, root / "unified"], _second_version
        elif "cpu" in controllers.split(","):
            mounts, quota_of = [root / controllers, root / "cpu"], _first_version
        else:
            continue
        inside = PurePosixPath(*(part for part in PurePosixPath(path).parts if part not in ("/", "..")))
        quotas += [quota_of(mount / group) for mount in mounts for group in (inside, *inside.parents)]
    return min(quotas)


def _second_version(group: Path) -> float:
    """Such as ``150000 100000`` for one and a half cores, or ``max 100000`` for no limit."""
    quota, period = _numbers(group / "cpu.max")
    return quota / period


def _first_version(group: Path) -> float:
    quota, *_ = _numbers(group / "cpu.cfs_quota_us")
    period, *_ = _numbers(group / "cpu.cfs_period_us")
    return quota / period if math.isfinite(period) else math.inf


def _numbers(path: Path) -> tuple[float, float]:
    """A limit's first number, infinite where there is none, and its second, 1 where there is none."""
    try:
        first, second, *_ = [*path.read_text().split(), "1"]
        numbers = float(first.replace("max", "inf")), float(second)
    except (OSError, ValueError):
        return math.inf, 1.0
    return (numbers[0] if numbers[0] > 0 else math.inf), (numbers[1] if numbers[1] > 0 else 1.0)


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

    A single item is worked on in the calling thread, and so are all where the other threads have their own
    work. Few results wait at a time, so that memory doesn't grow with the number of items.

    Raises:
        Exception: What the function raised, at the place of its item; what isn't begun by then never is.
    """
    if len(items) == 1 or threads_for_a_call() == 1:
        yield from map(function, items)
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
