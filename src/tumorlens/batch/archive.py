"""Where scans come from: a folder, a zip, a list of files, or a folder of an object store."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from tumorlens.batch.file_list import ListArchive
from tumorlens.batch.listing import Child, tree_units
from tumorlens.batch.remote import RemoteFolder, is_url
from tumorlens.batch.unit import Unit
from tumorlens.batch.zip_archive import ZipArchive
from tumorlens.errors import TumorlensError
from tumorlens.scan.archive import is_zip
from tumorlens.scan.folder import has_results
from tumorlens.scan.reader import read_head

_LISTS = (".txt", ".list", ".lst")


class Archive(Protocol):
    """Units and their files."""

    def units(self, study_depth: int | None) -> Iterator[Unit]:
        """All units, listed while they are taken; see `tumorlens.batch.listing.tree_units`."""

    def local(self, path: str) -> Path | None:
        """A file's path on this machine; None where it has to be fetched."""

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file.

        Raises:
            FileNotFoundError: It is gone.
            PermissionError: It may not be read.
            TumorlensError: It is damaged.
            StorageError: The storage doesn't answer.
        """


def open_archive(source: str, leave_out: str | None = None) -> Archive:
    """The archive that a user's source means.

    Args:
        source: A folder, a zip, a text file with a path or URL a line, or a URL of these.
        leave_out: A folder not to look into, such as that of the results.

    Raises:
        TumorlensError: There is none.
    """
    if is_url(source):
        if source.lower().endswith(".zip"):
            return ZipArchive.at_url(source)
        if source.lower().endswith(_LISTS):
            return ListArchive.at_url(source)
        return RemoteFolder(source, leave_out)
    path = Path(source)
    if path.is_dir():
        return LocalFolder(path, None if leave_out is None or is_url(leave_out) else Path(leave_out))
    if is_zip(read_head(path)):
        return ZipArchive.at_path(path)
    if path.suffix.lower() in _LISTS:
        return ListArchive.at_path(path)
    raise TumorlensError(
        f"{source}: expected a folder, a zip, a list of files ({', '.join(_LISTS)}) or a URL, got another "
        "file; for a single scan there is 'tumorlens predict'"
    )


class LocalFolder:
    """A folder on this machine, or on a disk that all workers see at the same path.

    Args:
        folder: Which.
        leave_out: A folder in it not to look into.
    """

    def __init__(self, folder: Path, leave_out: Path | None = None) -> None:
        self._folder = folder.resolve()
        self._left_out = None if leave_out is None else leave_out.resolve()

    def units(self, study_depth: int | None) -> Iterator[Unit]:
        """See `Archive`."""
        return tree_units(self, study_depth)

    def local(self, path: str) -> Path | None:
        """See `Archive`."""
        return self._folder / path

    def fetch(self, path: str, target: Path) -> None:
        """See `Archive`; a link does."""
        target.symlink_to(self._folder / path)

    def children(self, folder: str) -> Iterator[Child]:
        """See `tumorlens.batch.listing.Tree`; links to folders and folders of results are left out."""
        with os.scandir(self._folder / folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    path = Path(entry.path)
                    if path != self._left_out and not has_results(path):
                        yield Child(entry.name, is_folder=True)
                elif not entry.is_dir():
                    yield _child(entry)


def _child(entry: os.DirEntry[str]) -> Child:
    """A file; one that can't be looked at, such as a link that leads nowhere, has no size."""
    child = partial(Child, entry.name, is_folder=False)
    try:
        status = entry.stat()
    except OSError:
        return child(size=-1)
    return child(size=status.st_size, stamp=str(status.st_mtime_ns))
