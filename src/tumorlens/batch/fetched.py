"""A unit's files on this machine, under names that results and messages may use."""

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from tumorlens.batch.archive import Archive
from tumorlens.batch.unit import StoredFile, Unit
from tumorlens.errors import TumorlensError
from tumorlens.scan.sources import Source, find_sources

Map = Callable[[Callable[[StoredFile], None], Iterable[StoredFile]], Iterable[None]]


@contextlib.contextmanager
def fetched(archive: Archive, unit: Unit, copies: Path | None, map_: Map = map) -> Iterator[Path]:
    """Yield the path of a unit's file, or of a folder with its files; what was copied is gone afterwards.

    Args:
        archive: Where it comes from.
        unit: Which.
        copies: A folder for copies; None for the machine's temporary one.
        map_: Calls a function on each of its files, in any threads.

    Raises:
        TumorlensError: A file is gone, may not be read or is damaged.
        StorageError: The storage doesn't answer.
    """
    here = None if unit.is_folder else archive.local(unit.files[0].path)
    if here is not None:
        yield here
        return
    with tempfile.TemporaryDirectory(prefix="tumorlens-batch-", dir=copies) as temporary:
        name = PurePosixPath(unit.place).name or "scan"
        folder = Path(temporary, name) if unit.is_folder else Path(temporary)
        folder.mkdir(exist_ok=True)
        for _ in map_(lambda file: _fetch(archive, file.path, folder / _inside(unit, file.path)), unit.files):
            pass
        yield folder if unit.is_folder else folder / name


def sources_of(unit: Unit, path: Path) -> list[Source]:
    """The scans of a fetched unit.

    Raises:
        TumorlensError: There is no scan in it.
    """
    return find_sources([path]) if unit.is_folder else [Source(path, Path(path.name))]


def _fetch(archive: Archive, path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        archive.fetch(path, target)
    except (FileNotFoundError, PermissionError) as error:
        reason = "it is gone" if isinstance(error, FileNotFoundError) else "no permission"
        raise TumorlensError(f"{path}: can't be read: {reason}") from error


def _inside(unit: Unit, path: str) -> PurePosixPath:
    """A file's path in the folder that it is fetched into; never one that leads out of it."""
    below = path[len(unit.place) + 1 :] if unit.is_folder and path.startswith(f"{unit.place}/") else path
    parts = [part for part in below.split("/") if part not in ("", ".", "..")]
    return PurePosixPath(*parts) if unit.is_folder else PurePosixPath(parts[-1])
