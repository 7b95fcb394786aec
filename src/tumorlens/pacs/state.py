"""What a watch knows of each study, in a small SQLite file that outlives a kill at any moment."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from tumorlens.errors import TumorlensError

_APPLICATION = 0x746C7763  # "tlwc" in the file's header: this is no other program's database
_SCHEMA = 1
_HEAD = b"SQLite format 3\0"
_TABLES = (
    """
    CREATE TABLE studies (
        uid TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        instances INTEGER NOT NULL,
        stable INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        not_before REAL NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT ''
    )
    """,
    """
    CREATE TABLE results (
        study TEXT NOT NULL REFERENCES studies (uid),
        name TEXT NOT NULL,
        instance TEXT NOT NULL,
        PRIMARY KEY (study, name)
    )
    """,
    "CREATE TABLE looks (id INTEGER PRIMARY KEY CHECK (id = 1), began REAL NOT NULL)",
)
_MARKS = (f"PRAGMA application_id = {_APPLICATION}", f"PRAGMA user_version = {_SCHEMA}")
_COLUMNS = "uid, state, instances, stable, attempts, not_before, reason"
_WAIT = 10.0  # seconds for another program that is just reading


class State(StrEnum):
    """How far a study is.

    ``SEEN``: the server listed it. ``PULLED``: its series is here. ``ANALYSED``: the results are written
    and their UIDs known. ``PUSHED``: they were sent. ``DONE``: the server lists them. ``SKIPPED``: it has
    nothing to analyse. ``FAILED``: too many attempts went wrong.
    """

    SEEN = "seen"
    PULLED = "pulled"
    ANALYSED = "analysed"
    PUSHED = "pushed"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


_PENDING = (State.SEEN, State.PULLED, State.ANALYSED, State.PUSHED)


@dataclass(frozen=True)
class Record:
    """A study.

    Attributes:
        uid: StudyInstanceUID.
        state: How far it is.
        instances: How many it had when last looked at.
        stable: Whether it had as many twice in a row.
        attempts: How often work on it was begun and went wrong, or ended with the program.
        not_before: When to try again, in seconds since 1970.
        reason: Why it failed or was skipped, or what went wrong last.
    """

    uid: str
    state: State
    instances: int
    stable: bool = False
    attempts: int = 0
    not_before: float = 0.0
    reason: str = ""


class WatchState:
    """The file; every change is on the disk when a method returns. Close it, or use it with ``with``.

    Args:
        path: The file; made if missing.
        create: Whether it may be made.

    Raises:
        TumorlensError: It is another kind of file, can't be used, or there is none. The methods raise
            sqlite3.OperationalError where it can't be read or written any more.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        if not create and not path.is_file():
            raise TumorlensError(f"{path}: expected the state file of a watch, found none")
        if not _may_be_database(path):
            raise _foreign(path)
        self._database = _open(path, _WAIT)
        try:
            self._database.execute("PRAGMA synchronous = FULL")
            self._prepare(path, create)
        except sqlite3.DatabaseError as error:
            self._database.close()
            if isinstance(error, sqlite3.OperationalError):
                raise TumorlensError(f"{path}: can't be used: {error}") from error
            raise _foreign(path) from error
        except TumorlensError:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def records(self, states: Sequence[State] = tuple(State)) -> list[Record]:
        """The studies in these states, those first that were seen first."""
        marks = ",".join("?" * len(states))
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM studies WHERE state IN ({marks}) ORDER BY rowid",  # noqa: S608
            tuple(states),
        )
        return [_record(row) for row in rows]

    def record(self, uid: str) -> Record | None:
        """A study; None where it was never seen."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM studies WHERE uid = ?", (uid,))  # noqa: S608
        return next((_record(row) for row in rows), None)

    def pending(self) -> list[Record]:
        """The studies that aren't finished."""
        return self.records(_PENDING)

    def due(self, now: float) -> list[Record]:
        """The studies that can be worked on at a time in seconds since 1970."""
        return [
            each
            for each in self.pending()
            if each.not_before <= now and (each.stable or each.state is not State.SEEN)
        ]

    def notice(self, uid: str, instances: int, not_before: float = 0.0) -> None:
        """Remember how many instances a study has now; it is stable once that was so twice in a row.

        A skipped study that has got more, or fewer, is looked at once more; and so is one that was done and
        has got more than its results.

        Args:
            uid: Of the study.
            instances: That it has.
            not_before: If these are others than before, when it may be worked on, in seconds since 1970.
        """
        known = self.record(uid)
        if known is None:
            self._run(
                "INSERT INTO studies (uid, state, instances, not_before) VALUES (?, ?, ?, ?)",
                *(uid, State.SEEN, instances, not_before),
            )
        elif known.state is State.SEEN and instances == known.instances:
            stable = instances > 0
            if stable != known.stable:
                self._run("UPDATE studies SET stable = ? WHERE uid = ?", stable, uid)
        elif (
            known.state is State.SEEN
            or (known.state is State.SKIPPED and instances != known.instances)
            or (known.state is State.DONE and instances > known.instances + len(self.results(uid)))
        ):
            self._see_again(known, instances, not_before)

    def _see_again(self, known: Record, instances: int, not_before: float) -> None:
        attempts = known.attempts if known.state is State.SEEN else 0
        with self._transaction():
            self._run("DELETE FROM results WHERE study = ?", known.uid)
            self._run(
                "UPDATE studies SET state = ?, instances = ?, stable = 0, attempts = ?, not_before = ?, "
                "reason = '' WHERE uid = ?",
                *(State.SEEN, instances, attempts, not_before, known.uid),
            )

    def begin(self, uid: str) -> None:
        """Count an attempt before it is made, so that one that ends the program counts too."""
        self._run("UPDATE studies SET attempts = attempts + 1 WHERE uid = ?", uid)

    def give_back(self, uid: str, not_before: float = 0.0) -> None:
        """Uncount an attempt that said nothing of the study."""
        self._run(
            "UPDATE studies SET attempts = attempts - 1, not_before = ? WHERE uid = ? AND attempts > 0",
            not_before,
            uid,
        )

    def move(self, uid: str, state: State, reason: str = "") -> None:
        """A study got that far."""
        self._run("UPDATE studies SET state = ?, reason = ? WHERE uid = ?", state, reason, uid)

    def try_later(self, uid: str, not_before: float, reason: str) -> None:
        """An attempt went wrong; the next may be made at a time in seconds since 1970."""
        self._run("UPDATE studies SET not_before = ?, reason = ? WHERE uid = ?", not_before, reason, uid)

    def gone(self, uid: str, reason: str) -> None:
        """A study isn't on the server any more; if it comes again, it is looked at again."""
        self._run(
            "UPDATE studies SET state = ?, instances = 0, stable = 0, reason = ? WHERE uid = ?",
            State.SKIPPED,
            reason,
            uid,
        )

    def revive(self) -> int:
        """Give failed studies all their attempts again; how many there are."""
        return self._run(
            "UPDATE studies SET state = CASE WHEN uid IN (SELECT study FROM results) THEN ? ELSE ? END, "
            "attempts = 0, not_before = 0, stable = 0 WHERE state = ?",
            State.ANALYSED,
            State.SEEN,
            State.FAILED,
        )

    def keep_results(self, uid: str, instances: Mapping[str, str]) -> None:
        """Remember a study's results, by file name their SOPInstanceUIDs; it is analysed."""
        with self._transaction():
            self._run("DELETE FROM results WHERE study = ?", uid)
            for name, instance in instances.items():
                self._run("INSERT INTO results VALUES (?, ?, ?)", uid, name, instance)
            self.move(uid, State.ANALYSED)

    def forget_results(self, uid: str) -> None:
        """A study's results are gone without having been stored anywhere; it is to be analysed again."""
        with self._transaction():
            self._run("DELETE FROM results WHERE study = ?", uid)
            self.move(uid, State.SEEN)

    def results(self, uid: str) -> dict[str, str]:
        """By file name the SOPInstanceUIDs of a study's results."""
        rows = self._database.execute(
            "SELECT name, instance FROM results WHERE study = ? ORDER BY rowid", (uid,)
        )
        return dict(rows.fetchall())

    def looked(self, began: float) -> None:
        """A look that began then, in seconds since 1970, brought all that there was to see."""
        self._run("INSERT OR REPLACE INTO looks VALUES (1, ?)", began)

    def last_look(self) -> float | None:
        """When the last look began that brought all that there was to see; None before the first."""
        row = self._database.execute("SELECT began FROM looks").fetchone()
        return None if row is None else float(row[0])

    def _run(self, statement: str, *values: object) -> int:
        return self._database.execute(statement, values).rowcount

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have ended it already
                self._database.execute("ROLLBACK")
            raise

    def _prepare(self, path: Path, create: bool) -> None:
        if self._is_empty() and create:
            with self._transaction():
                if self._is_empty():  # else another program was faster
                    for statement in (*_TABLES, *_MARKS):
                        self._database.execute(statement)
            path.chmod(0o600)  # it lists which studies a hospital has
        [application] = self._database.execute("PRAGMA application_id").fetchone()
        [schema] = self._database.execute("PRAGMA user_version").fetchone()
        if (application, schema) != (_APPLICATION, _SCHEMA):
            raise _foreign(path)

    def _is_empty(self) -> bool:
        [tables] = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return bool(tables == 0)


class WatchLock:
    """Held by the one watch that may use a state file; the system lets go of it with the process.

    Raises:
        TumorlensError: Another watch has it.
    """

    def __init__(self, state: Path) -> None:
        path = state.with_name(f"{state.name}.lock")
        self._database = _open(path, 0)
        try:
            self._database.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._database.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise TumorlensError(f"{path}: can't be written: {error}") from error
            raise TumorlensError(
                f"{state}: expected a state file that no other watch uses, but one does; stop that one, "
                "or give this one a file of its own"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()


def _open(path: Path, wait: float) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, timeout=wait, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise TumorlensError(f"{path}: can't be opened: {error}") from error


def _may_be_database(path: Path) -> bool:
    """Whether a file is new, empty or begins as SQLite's do; SQLite itself takes short ones for empty."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        head = file.read(len(_HEAD))
    return head in (b"", _HEAD)


def _foreign(path: Path) -> TumorlensError:
    return TumorlensError(
        f"{path}: expected the state file of a watch, got another file or a damaged one; choose another name"
    )


def _record(row: Sequence[object]) -> Record:
    uid, state, instances, stable, attempts, not_before, reason = row
    return Record(
        str(uid),
        State(str(state)),
        int(str(instances)),
        bool(stable),
        int(str(attempts)),
        float(str(not_before)),
        str(reason),
    )
