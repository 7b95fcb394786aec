"""A zip of many scans, read where it lies."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from tumorlens.batch.listing import Child, tree_units
from tumorlens.batch.remote import file_system, patiently
from tumorlens.batch.unit import Unit
from tumorlens.errors import TumorlensError

_MOST_BYTES = 4 << 30  # of a file, unpacked
_BLOCK = 1 << 20


class ZipArchive:
    """The folders and files of a zip; its table of contents is held in memory.

    Args:
        file: The zip, open for reading.
        name: What to call it.

    Raises:
        TumorlensError: It is damaged, or a name in it leads out of it.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._name = name
        try:
            self._zip = zipfile.ZipFile(file)
        except Exception as error:  # zipfile lets struct.error, UnicodeDecodeError and others through
            raise TumorlensError(
                f"{name}: expected a whole zip archive, but {error}; pack it again"
            ) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._folders: dict[str, dict[str, Child]] = {"": {}}
        for member in self._zip.infolist():
            self._add(member)

    @classmethod
    def at_path(cls, path: Path) -> Self:
        """A zip on this machine."""
        return cls(path.open("rb"), path.name)

    @classmethod
    def at_url(cls, url: str) -> Self:
        """A zip in an object store; only what is needed of it is fetched.

        Raises:
            TumorlensError: There is none.
        """
        system, path = file_system(url)
        try:
            return cls(patiently(lambda: system.open(path, "rb"), url), url)
        except (FileNotFoundError, PermissionError) as error:
            raise TumorlensError(f"{url}: can't be read: {error}") from error

    def units(self, study_depth: int | None) -> Iterator[Unit]:
        """See `Archive`."""
        return tree_units(self, study_depth)

    def local(self, path: str) -> Path | None:
        """See `Archive`."""
        return None

    def fetch(self, path: str, target: Path) -> None:
        """See `Archive`."""
        member = self._members[path]
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise TumorlensError(  # others unpack to any size at once
                f"{path}: expected a file packed by deflate in the zip, got another kind; pack it again"
            )
        try:
            with self._zip.open(member) as packed, target.open("wb") as file:
                while block := packed.read(_BLOCK):
                    file.write(block)
                    if file.tell() > _MOST_BYTES:
                        raise TumorlensError(
                            f"{path}: expected at most {_MOST_BYTES >> 30} GB unpacked, got more"
                        )
        except (
            zipfile.BadZipFile,
            RuntimeError,
            NotImplementedError,
            EOFError,
            ValueError,
            zipfile.error,
        ) as error:
            raise TumorlensError(
                f"{path}: expected a whole file without a password in the zip, but {error}"
            ) from error

    def children(self, folder: str) -> Iterator[Child]:
        """See `tumorlens.batch.listing.Tree`."""
        return iter(self._folders[folder].values())

    def _add(self, member: zipfile.ZipInfo) -> None:
        name = member.filename.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts or name.startswith("/"):
            raise TumorlensError(
                f"{self._name}: expected names inside the archive, got {member.filename[:80]!r}, which leads "
                "out; don't trust this file"
            )
        folders = parts if member.is_dir() else parts[:-1]
        if "__MACOSX" in parts:
            return
        for depth, part in enumerate(folders):
            above = "/".join(folders[:depth])
            self._folders[above].setdefault(part, Child(part, is_folder=True))
            self._folders.setdefault("/".join(folders[: depth + 1]), {})
        if not member.is_dir() and "/".join(parts) in self._folders:
            raise TumorlensError(
                f"{self._name}: expected a name to be a file or a folder, got {member.filename[:80]!r} as "
                "both; pack it again"
            )
        if not member.is_dir() and parts:
            child = Child(parts[-1], is_folder=False, size=member.file_size, stamp=f"{member.CRC:08x}")
            self._folders["/".join(folders)][parts[-1]] = child
            self._members["/".join(parts)] = member
