"""What one worker takes at a time: a unit, and a chunk of several."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import PurePosixPath
from typing import Self, TypeVar

KEY_BYTES = 16

Item = TypeVar("Item")


@dataclass(frozen=True)
class StoredFile:
    """A file of an archive.

    Attributes:
        path: Below the archive, with ``/`` between folders.
        size: In bytes; -1 where it isn't known.
        stamp: Changes when the file does: its time, or a store's ETag.
    """

    path: str
    size: int
    stamp: str


@dataclass(frozen=True)
class Unit:
    """A file that is a scan of its own, or the other files of a folder together.

    Attributes:
        place: The file's or the folder's path below the archive; empty for the archive's own folder.
        files: What belongs to it.
        is_folder: Whether it is a folder, which may hold several studies.
        problem: Why it can't be looked at, known from the listing; None where nothing is.
    """

    place: str
    files: tuple[StoredFile, ...]
    is_folder: bool = False
    problem: str | None = None

    @cached_property
    def key(self) -> bytes:
        """16 bytes that change with the paths, sizes and times of its files."""
        digest = hashlib.blake2b(digest_size=KEY_BYTES)
        known = [self.place, *(f"{each.path}\0{each.size}\0{each.stamp}" for each in self.files)]
        for text in known:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0\0")
        return digest.digest()

    @property
    def result_place(self) -> PurePosixPath:
        """Where below the results' folder its files lie: no two units have the same, and none leads out."""
        parts = [part for part in self.place.split("/") if part not in ("", ".")]
        return PurePosixPath(*("__" if part == ".." else part for part in parts))


@dataclass(frozen=True)
class Chunk:
    """Units whose rows are written together, as one part."""

    units: tuple[Unit, ...]

    @cached_property
    def name(self) -> str:
        """Of its part; the same for the same units."""
        digest = hashlib.blake2b(b"".join(unit.key for unit in self.units), digest_size=KEY_BYTES)
        return f"part-{digest.hexdigest()}.parquet"

    def without(self, done: Sequence[bool]) -> "Chunk":
        """The units that aren't done."""
        return Chunk(tuple(unit for unit, is_done in zip(self.units, done, strict=True) if not is_done))

    def to_json(self) -> str:
        """As a text that `from_json` reads."""
        return json.dumps([asdict(unit) for unit in self.units])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            tuple(
                Unit(
                    each["place"],
                    tuple(StoredFile(**file) for file in each["files"]),
                    each["is_folder"],
                    each["problem"],
                )
                for each in json.loads(text)
            )
        )


_MOST_BYTES = 256 << 20  # of a chunk's files, so that large studies don't have to wait for each other's rows


def chunks_of(units: Iterable[Unit], size: int) -> Iterator[Chunk]:
    """Units together: so many, or fewer that are large. The same units always make the same chunks."""
    waiting: list[Unit] = []
    total = 0
    for unit in units:
        waiting.append(unit)
        total += sum(max(file.size, 0) for file in unit.files)
        if len(waiting) >= size or total >= _MOST_BYTES:
            yield Chunk(tuple(waiting))
            waiting, total = [], 0
    if waiting:
        yield Chunk(tuple(waiting))


def blocks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Consecutive items, so many at a time; the last block may be shorter."""
    iterator = iter(items)
    while block := list(islice(iterator, size)):
        yield block
