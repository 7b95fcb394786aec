"""Files that aren't on this machine, fetched while others are worked on."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from tumorlens.batch.archive import Archive
from tumorlens.batch.fetched import fetched
from tumorlens.batch.unit import StoredFile, Unit

_AT_ONCE = 8  # units that are fetched, or lie here untaken; a store far away takes its time for each
_FILES_AT_ONCE = 16  # of all these
_MOST_BYTES = 64 << 20  # of these, unless a single one is larger


class Ahead:
    """Brings the files of units here, in the order in which they will be asked for.

    A context manager; when it ends, what nobody took is gone again. Safe to use from any thread.

    Args:
        archive: Where they come from.
        units: All that will be asked for.
        copies: Gives a folder for copies; None for the machine's temporary one.
    """

    def __init__(self, archive: Archive, units: Iterable[Unit], copies: Callable[[], Path | None]) -> None:
        self._archive = archive
        self._copies = copies
        self._lock = threading.Lock()
        self._waiting = deque(unit for unit in units if _is_elsewhere(unit, archive))
        self._begun: dict[bytes, Future[_Here]] = {}
        self._bytes = 0
        self._over = False
        self._unit_pool = ThreadPoolExecutor(_AT_ONCE)
        self._file_pool = ThreadPoolExecutor(_FILES_AT_ONCE)

    def __enter__(self) -> Self:
        self._begin_more()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._over = True
            self._waiting.clear()
            left = list(self._begun.values())
        for future in left:
            future.cancel()
            future.add_done_callback(_discard)
        self._unit_pool.shutdown()
        self._file_pool.shutdown()

    @contextlib.contextmanager
    def fetched(self, unit: Unit) -> Iterator[Path]:
        """Yield the path of a unit's file, or of a folder with its files; see `tumorlens.batch.fetched`.

        Raises:
            TumorlensError: A file is gone, may not be read or is damaged.
            StorageError: The storage doesn't answer.
        """
        if not _is_elsewhere(unit, self._archive):
            with fetched(self._archive, unit, self._copies()) as path:
                yield path
            return
        future = self._future(unit)
        try:
            here = future.result()
        finally:  # what is taken no longer counts: others are fetched while it is worked on
            with self._lock:
                if self._begun.pop(unit.key, None) is not None:
                    self._bytes -= _bytes(unit)
            self._begin_more()
        with here as path:
            yield path

    def _future(self, unit: Unit) -> "Future[_Here]":
        """Its fetching, which begins now if it hasn't yet."""
        with self._lock:
            if unit.key not in self._begun:
                self._waiting = deque(each for each in self._waiting if each.key != unit.key)
                self._begin(unit)
            return self._begun[unit.key]

    def _begin_more(self) -> None:
        with self._lock:
            while self._waiting and len(self._begun) < _AT_ONCE:
                if self._begun and self._bytes + _bytes(self._waiting[0]) > _MOST_BYTES:
                    return
                self._begin(self._waiting.popleft())

    def _begin(self, unit: Unit) -> None:
        """With the lock held."""
        self._bytes += _bytes(unit)
        self._begun[unit.key] = self._unit_pool.submit(self._fetch, unit)

    def _fetch(self, unit: Unit) -> "_Here":
        return _Here(fetched(self._archive, unit, self._copies(), self._each))

    def _each(self, function: Callable[[StoredFile], None], files: Iterable[StoredFile]) -> list[None]:
        """Call a function on each file; when this ends, none is under way, whatever went wrong."""

        def unless_over(file: StoredFile) -> None:
            if not self._over:
                function(file)

        futures = [self._file_pool.submit(unless_over, file) for file in files]
        wait(futures)
        return [future.result() for future in futures]


class _Here:
    """A unit's files, fetched; gone when its `with` block ends."""

    def __init__(self, files: AbstractContextManager[Path]) -> None:
        self._stack = contextlib.ExitStack()
        self._path = self._stack.enter_context(files)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _discard(future: "Future[_Here]") -> None:
    """Remove what was fetched for nobody."""
    if not future.cancelled() and future.exception() is None:
        with future.result():
            pass


def _is_elsewhere(unit: Unit, archive: Archive) -> bool:
    return unit.problem is None and any(archive.local(file.path) is None for file in unit.files)


def _bytes(unit: Unit) -> int:
    return sum(max(file.size, 0) for file in unit.files)
