"""Where results go: a folder on this machine or of an object store; each file whole or not at all."""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from tumorlens import atomic
from tumorlens.batch.remote import file_system, is_url, patiently

Part = tuple[int, int]


class Store(Protocol):
    """Files under relative paths, with ``/`` between folders."""

    def names(self, folder: str) -> list[str]:
        """The names of a folder's files, in order; none where there is no such folder."""

    def read(self, path: str, part: Part | None = None) -> bytes | None:
        """A file, or its bytes from one place up to another; None where there is none."""

    def write(self, path: str, data: bytes) -> None:
        """Make or replace a file, whole or not at all."""

    def take(self, file: Path, path: str) -> None:
        """Make or replace a file from one in `staging`, whole or not at all."""

    def remove(self, path: str) -> None:
        """Remove a file, or a folder and all in it, where there is one."""

    def staging(self) -> Path | None:
        """Where files are written before `take`; None for the machine's temporary folder."""


def open_store(place: str) -> Store:
    """The store of a path or a URL.

    Raises:
        TumorlensError: The URL's kind isn't known, or its library is missing.
    """
    return RemoteStore(place) if is_url(place) else LocalStore(Path(place))


class LocalStore:
    """A folder on this machine, or on a disk that all workers see at the same path."""

    _STAGING = ".staging"

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def names(self, folder: str) -> list[str]:
        """See `Store`."""
        path = self._folder / folder
        if not path.is_dir():
            return []
        return sorted(each.name for each in path.iterdir() if not each.name.startswith("."))

    def read(self, path: str, part: Part | None = None) -> bytes | None:
        """See `Store`."""
        begin, end = part or (0, None)
        with contextlib.suppress(FileNotFoundError), (self._folder / path).open("rb") as file:
            file.seek(begin)
            return file.read() if end is None else file.read(end - begin)
        return None

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        staged = self.staging() / uuid.uuid4().hex  # what a kill leaves there is removed by the next run
        atomic.write_bytes(staged, data)
        self.take(staged, path)

    def take(self, file: Path, path: str) -> None:
        """See `Store`."""
        target = self._folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            top = self._folder / PurePosixPath(path).parts[0]
            if top.is_dir():
                raise
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(top)) from None
        file.replace(target)

    def remove(self, path: str) -> None:
        """See `Store`."""
        place = self._folder / path
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)

    def staging(self) -> Path:
        """See `Store`: on the same disk, so that a file can be moved."""
        folder = self._folder / self._STAGING
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class RemoteStore:
    """A folder of an object store, where a file appears when all of it was sent."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._system, self._path = file_system(url)

    def names(self, folder: str) -> list[str]:
        """See `Store`."""
        return sorted(self._names(folder))

    def read(self, path: str, part: Part | None = None) -> bytes | None:
        """See `Store`."""
        begin, end = part or (None, None)
        with contextlib.suppress(FileNotFoundError):
            return bytes(
                patiently(
                    lambda: self._system.cat_file(self._at(path), start=begin, end=end), f"{self._url}/{path}"
                )
            )
        return None

    def write(self, path: str, data: bytes) -> None:
        """See `Store`."""
        patiently(lambda: self._system.pipe_file(self._at(path), data), f"{self._url}/{path}")

    def take(self, file: Path, path: str) -> None:
        """See `Store`."""
        patiently(lambda: self._system.put_file(str(file), self._at(path)), f"{self._url}/{path}")

    def remove(self, path: str) -> None:
        """See `Store`."""
        with contextlib.suppress(FileNotFoundError):
            patiently(lambda: self._system.rm(self._at(path), recursive=True), f"{self._url}/{path}")

    def staging(self) -> Path | None:
        """See `Store`."""
        return None

    def _at(self, path: str) -> str:
        return f"{self._path}/{path}"

    def _names(self, folder: str) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            entries = patiently(
                lambda: self._system.ls(self._at(folder), detail=True), f"{self._url}/{folder}"
            )
            for entry in entries:
                if entry["type"] == "file" and not str(entry["name"]).endswith("/"):
                    yield str(entry["name"]).rpartition("/")[2]
