"""Zip archives, unpacked where no name inside them decides the place."""

import contextlib
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from tumorlens.errors import TumorlensError, is_disk_full

_MOST_FILES = 20_000
_MOST_BYTES = 4 << 30
_LARGEST_RATIO = 200  # unpacked to packed, of the whole archive; series of images reach about 20
_SMALL = 64 << 20  # bytes unpacked below which no ratio matters
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack some bytes to a gigabyte at once
_ENCRYPTED = 0x1  # a bit of a member's flags


def is_zip(head: bytes) -> bool:
    """Whether a file's first bytes are those of a zip archive."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


@contextlib.contextmanager
def unpacked(path: Path, within: Path | None = None) -> Iterator[Path]:
    """Yield a temporary folder with an archive's files, numbered in its order; it is gone afterwards.

    Hidden files, what macOS adds to archives, and symbolic links are left out.

    Args:
        path: The archive.
        within: The folder that gets it; None for the machine's temporary one.

    Raises:
        TumorlensError: The archive is damaged, encrypted, too large unpacked, or has names that lead out of
            it.
        OSError: This machine's disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="tumorlens-", dir=within) as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                _check(path, members)
                _unpack(path, archive, members, Path(folder))
        except TumorlensError:
            raise
        except Exception as error:  # zipfile lets struct.error, UnicodeDecodeError and others through
            if is_disk_full(error):
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise TumorlensError(
                f"{path.name}: expected a whole zip archive, but {reason}; pack it again"
            ) from error
        yield Path(folder)


def _unpack(path: Path, archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], folder: Path) -> None:
    left = _MOST_BYTES
    for number, member in enumerate(members):
        if member.is_dir() or _is_hidden(member) or stat.S_ISLNK(member.external_attr >> 16):
            continue
        # The name is only for messages about the file.
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", _parts(member)[-1])[-60:]
        target = folder / f"{number:06d}-{name}"
        with archive.open(member) as packed, target.open("wb") as file:
            left -= _copied(packed, file, left, path)


def _check(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    for member in members:
        _check_member(path, member)
    size = sum(member.file_size for member in members)
    packed = min(sum(member.compress_size for member in members), path.stat().st_size)
    if len(members) > _MOST_FILES:
        raise TumorlensError(
            f"{path.name}: expected at most {_MOST_FILES:,} files, got {len(members):,}; split the archive"
        )
    if size > _MOST_BYTES or (size > _SMALL and size > _LARGEST_RATIO * max(packed, 1)):
        raise TumorlensError(
            f"{path.name}: expected at most {_MOST_BYTES >> 30} GB unpacked and {_LARGEST_RATIO} times the "
            f"archive, got {size:,} bytes of {packed:,}; unpack it yourself if you trust it"
        )


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    if not _parts(member) or name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
        raise TumorlensError(
            f"{path.name}: expected names inside the archive, got {member.filename[:80]!r}, which leads out; "
            "don't trust this file"
        )
    if member.flag_bits & _ENCRYPTED:
        raise TumorlensError(
            f"{path.name}: expected an archive without a password, got encrypted files; unpack it yourself"
        )
    if member.compress_type not in _METHODS:
        raise TumorlensError(
            f"{path.name}: expected files that are stored or deflated, got compression method "
            f"{member.compress_type}; pack it again without special settings"
        )


def _parts(member: zipfile.ZipInfo) -> list[str]:
    """The folders' and the file's own name."""
    return [part for part in member.filename.replace("\\", "/").split("/") if part not in ("", ".")]


def _is_hidden(member: zipfile.ZipInfo) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in _parts(member))


def _copied(packed: IO[bytes], file: IO[bytes], left: int, path: Path) -> int:
    """Copy a member; what it really holds counts, not what the archive says."""
    done = 0
    while block := packed.read(1 << 20):
        done += len(block)
        if done > left:
            raise TumorlensError(
                f"{path.name}: expected at most {_MOST_BYTES >> 30} GB unpacked, got more; unpack it yourself"
            )
        file.write(block)
    return done
