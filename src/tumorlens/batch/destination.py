"""The folder of a batch's results: ``rows``, ``files`` and ``batch.json``."""

import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pyarrow.lib import ArrowException  # type: ignore[import-untyped]

from tumorlens.batch.keys import KeySet
from tumorlens.batch.rows import Row, keys_in, rows_in, to_parquet, without_units
from tumorlens.batch.store import open_store
from tumorlens.batch.unit import blocks
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding
from tumorlens.finding.write import Format, WriteOptions, write_finding

ROWS, FILES = "rows", "files"
_PLAN, _STAGING, _ABOUT = ".plan", ".staging", "batch.json"
_READERS = 16  # parts that are read at once; a store far away takes its time for each


class PlanPlace(NamedTuple):
    """Where a text of the plan is: from and up to which byte of which file."""

    path: str
    begin: int
    end: int


@dataclass
class Done:
    """What has rows.

    Attributes:
        keys: Of all units.
        failed: Of those of which a scan has no finding.
        parts: Where the rows of these are, if that was asked.
    """

    keys: KeySet = field(default_factory=KeySet)
    failed: KeySet = field(default_factory=KeySet)
    parts: dict[bytes, str] = field(default_factory=dict)


class Destination:
    """Results, in a folder or an object store. What a part has rows of is done.

    Args:
        place: A path or a URL.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._store = open_store(place)

    def claim(self, identity: Mapping[str, object]) -> None:
        """Note what the results depend on; clean up after a run that was killed.

        Raises:
            TumorlensError: There are results already that depend on something else.
        """
        known, has_rows = self._store.read(_ABOUT), bool(self._store.names(ROWS))
        if known is not None and has_rows:
            self._compare(self._about(known), identity)
        elif has_rows:
            raise TumorlensError(
                f"{self._place}: expected the results of a batch, got other rows; give another --out"
            )
        else:
            text = json.dumps({"schema_version": 1, **identity}, indent=1) + "\n"
            self._store.write(_ABOUT, text.encode())
        self.clean()

    def _about(self, known: bytes) -> dict[str, object]:
        try:
            about = json.loads(known)
        except ValueError:
            about = None
        if isinstance(about, dict):
            return about
        raise TumorlensError(
            f"{self._place}/{_ABOUT}: expected what rows depend on, got a damaged file; give another --out"
        )

    def clean(self) -> None:
        """Remove what only a run needs."""
        for leftover in (_PLAN, _STAGING):
            self._store.remove(leftover)

    def done(self, *, with_parts: bool = False) -> Done:
        """What has rows; and in which parts those are that failed, which takes some 150 bytes for each."""
        done = Done()
        with ThreadPoolExecutor(_READERS) as pool:
            for names in blocks(self.parts(), 16 * _READERS):
                told = list(pool.map(self._keys, names))
                done.keys.add([key for keys, _ in told for key in keys])
                done.failed.add([key for _, failed in told for key in failed])
                if with_parts:
                    for name, (_, failed) in zip(names, told, strict=True):
                        done.parts |= dict.fromkeys(failed, name)
        return done

    def forget(self, keys: Collection[bytes], done: Done) -> None:
        """Remove the rows of units that failed, of which ``done`` has the parts: they are no longer done."""
        parts: dict[str, list[bytes]] = {}
        for key in keys:
            parts.setdefault(done.parts[key], []).append(key)
        for name, units in parts.items():
            path = f"{ROWS}/{name}"
            part = self._store.read(path)
            with self._whole(name):
                kept = None if part is None else without_units(part, units)
            if kept is None:
                self._store.remove(path)
            else:
                self._store.write(path, kept)

    def parts(self) -> list[str]:
        """The names of all parts."""
        return [name for name in self._store.names(ROWS) if name.endswith(".parquet")]

    def rows(self, name: str) -> list[Row] | None:
        """A part's rows; None where there is no such part."""
        data = self._store.read(f"{ROWS}/{name}")
        with self._whole(name):
            return None if data is None else rows_in(data)

    def write_part(self, name: str, rows: list[Row]) -> None:
        """Write a part; from now on the units of its rows are done."""
        self._store.write(f"{ROWS}/{name}", to_parquet(rows))

    def write_plan(self, texts: Iterable[str], size: int) -> Iterator[PlanPlace]:
        """Keep texts in files of so many, for workers to read; gives what `plan` takes, one a text."""
        for number, block in enumerate(blocks(texts, size)):
            path, lines = f"{_PLAN}/{number:06d}.jsonl", [f"{text}\n".encode() for text in block]
            self._store.write(path, b"".join(lines))
            ends = list(itertools.accumulate(map(len, lines)))
            for line, end in zip(lines, ends, strict=True):
                yield PlanPlace(path, end - len(line), end)

    def plan(self, place: PlanPlace) -> str:
        """One of the texts of `write_plan`; no more than it is read."""
        return (self._store.read(place.path, (place.begin, place.end)) or b"").decode()

    def staging(self) -> Path | None:
        """A folder that the next run empties; None for the machine's temporary one."""
        return self._store.staging()

    def write_files(
        self, finding: Finding, place: PurePosixPath, formats: Sequence[Format], options: WriteOptions
    ) -> list[str]:
        """Write a finding's files; each appears whole or not at all.

        Args:
            finding: What to write.
            place: Where below the results' files, with what their names begin with.
            formats: Which.
            options: How.

        Returns:
            Their paths below the destination.

        Raises:
            OSError: One can't be written.
            StorageError: The storage doesn't answer.
        """
        staging = tempfile.mkdtemp(prefix="tumorlens-batch-", dir=self._store.staging())
        try:
            written = write_finding(finding, Path(staging), place.name, formats, options)
            paths = [(FILES / place.parent / each.relative_to(staging)).as_posix() for each in written]
            for file, path in zip(written, paths, strict=True):
                self._store.take(file, path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return paths

    def _keys(self, name: str) -> tuple[list[bytes], list[bytes]]:
        data = self._store.read(f"{ROWS}/{name}")
        with self._whole(name):
            return ([], []) if data is None else keys_in(data)

    @contextlib.contextmanager
    def _whole(self, name: str) -> Iterator[None]:
        try:
            yield
        except (ArrowException, ValueError) as error:
            raise TumorlensError(
                f"{self._place}/{ROWS}/{name}: expected rows in Parquet, got a damaged file; remove it and "
                "run this again, which analyses its inputs anew"
            ) from error

    def _compare(self, known: Mapping[str, object], identity: Mapping[str, object]) -> None:
        for name, value in identity.items():
            if known.get(name) != value:
                raise TumorlensError(
                    f"{self._place}: expected the same {name.replace('_', ' ')} as before "
                    f"({known.get(name)}), got {value}; give another --out"
                )
