"""A text file that names scans, a path or URL a line."""

import os
import posixpath
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Self

from tumorlens.batch.keys import KeySet
from tumorlens.batch.listing import tree_units
from tumorlens.batch.remote import file_system, is_url, patiently, stamp_of
from tumorlens.batch.unit import StoredFile, Unit, blocks
from tumorlens.errors import TumorlensError
from tumorlens.scan.reader import is_single_name

_BLOCK = 1_000  # lines that are looked at together
_TEXT: Any = {"encoding": "utf-8-sig", "errors": "surrogateescape"}  # some editors begin files with a mark
_ASKED_AT_ONCE = 32  # URLs; a store far away takes its time for each


class ListArchive:
    """The scans that a list names; a file that is named twice is one scan.

    Args:
        lines: Opens the list as text in UTF-8.
        folder: What relative paths are relative to.
    """

    def __init__(self, lines: Callable[[], AbstractContextManager[IO[str]]], folder: Path) -> None:
        self._lines = lines
        self._folder = folder
        self._lock = threading.Lock()
        self._systems: dict[str, Any] = {}

    @classmethod
    def at_path(cls, path: Path) -> Self:
        """A list on this machine; relative paths are relative to its folder."""
        return cls(lambda: path.open(**_TEXT), path.resolve().parent)

    @classmethod
    def at_url(cls, url: str) -> Self:
        """A list in an object store, of URLs."""
        system, path = file_system(url)

        def lines() -> Any:
            return patiently(lambda: system.open(path, "r", **_TEXT), url)

        return cls(lines, Path.cwd())

    def units(self, study_depth: int | None) -> Iterator[Unit]:
        """See `Archive`; a folder that is named is one study."""
        del study_depth
        seen = KeySet()
        with self._lines() as lines:
            for block in blocks(self._named(lines), _BLOCK):
                fresh = list({unit.key: unit for unit in block}.values())
                keys = [unit.key for unit in fresh]
                yield from (unit for unit, known in zip(fresh, seen.has(keys), strict=True) if not known)
                seen.add(keys)

    def local(self, path: str) -> Path | None:
        """See `Archive`."""
        return None if is_url(path) else self._folder / path

    def fetch(self, path: str, target: Path) -> None:
        """See `Archive`."""
        if not is_url(path):
            target.symlink_to(self._folder / path)
            return
        system, stored = self._system_at(path)
        patiently(lambda: system.get_file(stored, str(target)), path)

    def _named(self, lines: IO[str]) -> Iterator[Unit]:
        texts = (text for line in lines if (text := line.strip()))
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            for block in blocks(texts, _BLOCK):
                if any("\0" in text for text in block):
                    raise TumorlensError("expected a list in UTF-8, got another encoding; save it as UTF-8")
                stored = pool.map(self._remote_file, filter(is_url, block))
                for text in block:
                    if is_url(text):
                        yield next(stored)
                        continue
                    path = os.path.normpath(text)
                    if (self._folder / path).is_dir():
                        yield from self._folder_units(path)
                    else:
                        yield self._file(path)

    def _file(self, path: str) -> Unit:
        try:
            status = (self._folder / path).stat()
        except OSError:
            return _unit(StoredFile(path, -1, ""))  # reading it will say why
        return _unit(StoredFile(path, status.st_size, str(status.st_mtime_ns)))

    def _remote_file(self, url: str) -> Unit:
        system, path = self._system_at(url)
        try:
            entry = patiently(lambda: system.info(path), url)
        except (FileNotFoundError, PermissionError):
            return _unit(StoredFile(url, -1, ""))
        return _unit(StoredFile(url, int(entry.get("size") or 0), stamp_of(entry)))

    def _system_at(self, url: str) -> tuple[Any, str]:
        """As `file_system`, which makes a new one in each thread: here one serves all URLs of a host."""
        if "::" in url:  # one within another: they have more than the host in common, or nothing
            return file_system(url)
        host = "/".join(url.split("/")[:3])
        with self._lock:
            if host not in self._systems:
                self._systems[host], _ = file_system(url)
            system = self._systems[host]
        return system, str(system._strip_protocol(url))

    def _folder_units(self, folder: str) -> Iterator[Unit]:
        from tumorlens.batch.archive import LocalFolder

        below = "" if folder == "." else folder
        for unit in tree_units(LocalFolder(self._folder / folder), study_depth=0):
            files = tuple(replace(file, path=posixpath.join(below, file.path)) for file in unit.files)
            yield replace(unit, place=posixpath.join(below, unit.place).rstrip("/"), files=files)


def _unit(file: StoredFile) -> Unit:
    return Unit(file.path, (file,), is_folder=not is_single_name(file.path))
