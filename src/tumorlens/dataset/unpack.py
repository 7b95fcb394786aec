"""Archives from the network, unpacked without trusting what they say."""

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tumorlens.atomic import replacing
from tumorlens.errors import TumorlensError

UNPACKED_BYTES_LIMIT = 8 * 1024**3
"""The most that one archive may unpack to; a quarter of the published dataset takes less than 1 GiB."""

_UNSAFE_CHARACTERS = re.compile(r'[\x00-\x1f\\:*?"<>|]')
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def unpack(
    archive: Path,
    folder: Path,
    limit: int = UNPACKED_BYTES_LIMIT,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Unpack a zip's regular files below ``folder``; nothing is written unless every entry is acceptable.

    Args:
        archive: The zip.
        folder: Where the files go; made if missing. A file of the same name is replaced.
        limit: The most bytes that all files together may take.
        advance: Told the bytes of each file once it is in place.

    Returns:
        Size in bytes of every unpacked file, by its path below ``folder`` (with forward slashes).

    Raises:
        TumorlensError: The archive is damaged, or an entry leaves the folder, is a link or a device, is
            encrypted or comes twice, or the files exceed ``limit`` or the free space.
        OSError: A file could not be written.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = _regular_files(archive, source.infolist())
            _require_room(archive, sum(member.file_size for member in members), folder, limit)
            for member in members:
                _extract(source, member, folder)
                advance(member.file_size)
    except _DAMAGE as error:
        raise TumorlensError(
            f"{archive.name}: expected a whole zip, but {error}; download it again"
        ) from error
    return {member.filename: member.file_size for member in members}


def is_plain_name(name: str) -> bool:
    """Whether a name from elsewhere is that of a file, on every system: no folder, drive or special name."""
    return not (_UNSAFE_CHARACTERS.search(name) or "/" in name or name.strip(". ") == "")


def _regular_files(archive: Path, members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    seen: set[str] = set()
    for member in members:
        reason = _why_refused(member)
        if reason is None and member.filename.casefold() in seen:
            reason = "comes twice"
        if reason is not None:
            raise TumorlensError(
                f"{archive.name}: expected only files inside the archive's own folder, "
                f"got the entry {member.filename!r}, which {reason}; nothing was unpacked"
            )
        seen.add(member.filename.casefold())
    return [member for member in members if not member.is_dir()]


def _why_refused(member: zipfile.ZipInfo) -> str | None:
    mode = member.external_attr >> 16
    if PurePosixPath(member.filename).is_absolute():
        return "is absolute"
    if not all(is_plain_name(part) for part in member.filename.removesuffix("/").split("/")):
        return "leaves the folder or isn't a plain name"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    return "is encrypted" if member.flag_bits & 1 else None


def _require_room(archive: Path, size: int, folder: Path, limit: int) -> None:
    if size > limit:
        raise TumorlensError(
            f"{archive.name}: expected at most {limit:,} bytes in all, got {size:,}; none was unpacked"
        )
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise TumorlensError(
            f"{archive.name}: expected {size:,} free bytes in {folder}, got {free:,}; make room first"
        )


def _extract(source: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / member.filename
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise TumorlensError(
            f"{target.parent}: expected a folder inside {folder}, got a link out of it; remove it"
        )
    # zipfile hands out no more than the size that the entry declares, so the sum checked before holds.
    with replacing(target) as temporary, source.open(member) as packed, temporary.open("wb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
