"""Look for new studies again and again; analyse each once it is whole, and store the results."""

import datetime as dt
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorlens.errors import TumorlensError, is_disk_full
from tumorlens.pacs.entry import Query, StudyEntry
from tumorlens.pacs.errors import NothingSuitableError, PacsBusyError, PacsError
from tumorlens.pacs.job import Job
from tumorlens.pacs.privacy import label, without_identity
from tumorlens.pacs.server import PacsServer
from tumorlens.pacs.state import Record, State, WatchState

Analyse = Callable[[Path, Path], Sequence[Path]]
"""Analyses the DICOM files in a folder and writes results into another; returns these, or none."""

_LONGEST_REASON = 400
_LABEL = re.compile(r"[0-9a-f]{10}")


@dataclass(frozen=True)
class WatchOptions:
    """How to watch.

    Attributes:
        every: Seconds between two looks.
        days: Studies of how many days before the last look that went well, its own included, and of all days
            since; None for all that there are.
        modality: Of at least one series; None for any.
        settle: Seconds for which no image must have come to a study before it is taken: an examination has
            pauses, and contrast comes last.
        attempts: How often to try with a study before it is marked failed.
        pause: Seconds before its second attempt; four times as long before each further one.
    """

    every: float = 60.0
    days: int | None = 2
    modality: str | None = "MR"
    settle: float = 900.0
    attempts: int = 5
    pause: float = 60.0


class Watch:
    """Keeps up with a server.

    Args:
        server: To look at.
        state: What is known of each study.
        work: A folder for what is under way, which is left empty.
        analyse: See `Analyse`.
        options: How.
        report: Told each step in a line without anything of a patient.
        wait: Waits so many seconds between two looks, and none before each study; ends the watch by what it
            raises.
        now: The time in seconds since 1970.
    """

    def __init__(
        self,
        server: PacsServer,
        state: WatchState,
        work: Path,
        analyse: Analyse,
        options: WatchOptions | None = None,
        *,
        report: Callable[[str], None] = lambda _: None,
        wait: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._server = server
        self._state = state
        self._work = work
        self._analyse = analyse
        self._options = options or WatchOptions()
        self._report = report
        self._wait = wait
        self._now = now
        self._trouble = ""

    def run(self, looks: int | None = None) -> bool:
        """Look so many times, or until interrupted; what is the server's or the disk's trouble is waited out.

        Returns:
            Whether the last look went well; a study that went wrong doesn't matter.

        Raises:
            PacsError: At the first look the server refuses, which waiting wouldn't change.
            TumorlensError: The state file is damaged.
        """
        done = 0
        while looks is None or done < looks:
            self._wait(self._options.every if done else 0)
            try:
                self.look()
                self._say_trouble("")
            except PacsBusyError as error:
                self._say_trouble(f"{error}; will look again")
            except PacsError as error:
                if not done:
                    raise
                self._say_trouble(f"{error}; will look again")
            except (OSError, sqlite3.OperationalError) as error:
                self._say_trouble(f"{_machine_words(error)}; will look again")
            except sqlite3.DatabaseError as error:
                raise TumorlensError(f"the state file is damaged: {error}; restore or remove it") from error
            done += 1
        return not self._trouble

    def look(self) -> None:
        """Look once, and work on every study that is whole.

        Raises:
            PacsError: The search went wrong, or the server doesn't answer any more.
            OSError, sqlite3.OperationalError: The state can't be written.
        """
        self._clean()
        began = self._now()
        self._notice()
        self._state.looked(began)
        for record in self._state.due(self._now()):
            self._wait(0)
            self._attempt(record)

    def _notice(self) -> None:
        listed = self._server.find_studies(Query(date=self._dates(), modality=self._options.modality))
        for study in listed:
            known = self._state.record(study.uid)
            if (
                known is None
                or known.state in (State.SEEN, State.SKIPPED)
                or (known.state is State.DONE and study.instances is not None)  # else each would be asked for
            ):
                self._notice_one(study)
            if known is None:
                self._say(study.uid, "seen")
        found = {study.uid for study in listed}
        for record in self._state.records((State.SEEN,)):
            if record.uid not in found:
                self._notice_outside(record)

    def _notice_outside(self, record: Record) -> None:
        """Look after a study that the search doesn't bring any more, such as yesterday's."""
        study = next(iter(self._server.find_studies(Query(study_uid=record.uid))), None)
        if study is None:
            self._state.gone(record.uid, "it isn't on the server any more")
            self._say(record.uid, "isn't on the server any more")
        else:
            self._notice_one(study)

    def _notice_one(self, study: StudyEntry) -> None:
        settled = self._now() + self._options.settle
        self._state.notice(study.uid, self._server.count_instances(study), settled)

    def _dates(self) -> str | None:
        if self._options.days is None:
            return None
        last = self._state.last_look()  # days on which the server or the watch was away count as well
        since = self._now() if last is None else min(last, self._now())
        first = dt.datetime.fromtimestamp(since).astimezone().date() - dt.timedelta(
            days=self._options.days - 1
        )
        return f"{first:%Y%m%d}-"

    def _attempt(self, record: Record) -> None:
        """Work on a study; what is wrong with it alone is remembered and doesn't stop the rest."""
        uid, allowed = record.uid, self._options.attempts
        job = self._job(uid)
        if record.attempts >= allowed:
            self._fail(uid, record.reason or f"the program ended {record.attempts} times while at it")
            job.clean(self._state.record(uid))
            return
        self._state.begin(uid)
        try:
            self._say(uid, job.run(record))
        except NothingSuitableError as error:
            self._state.move(uid, State.SKIPPED, str(error))
            self._state.give_back(uid)
            self._say(uid, f"skipped: {error}")
        except Exception as error:  # decoders and the runtime raise whatever their libraries do
            if isinstance(error, PacsBusyError) and not self._answers(uid):
                self._state.give_back(uid)
                raise
            if _is_disk_trouble(error):
                self._make_room(record, job, error)
                return
            self._went_wrong(record, job, error)
        except BaseException:
            self._state.give_back(uid)
            raise
        job.clean(self._state.record(uid))

    def _answers(self, uid: str) -> bool:
        """Whether the server answers a search for a study: if so, the trouble is with the study."""
        try:
            self._server.find_studies(Query(study_uid=uid))
        except PacsBusyError:
            return False
        return True

    def _went_wrong(self, record: Record, job: Job, error: Exception) -> None:
        reason = without_identity(_study_words(error), job.folder)[:_LONGEST_REASON]
        attempts = record.attempts + 1
        if attempts >= self._options.attempts:
            self._fail(record.uid, reason)
            return
        pause = self._options.pause * 4 ** (attempts - 1)
        self._state.try_later(record.uid, self._now() + pause, reason)
        self._say(record.uid, f"attempt {attempts} went wrong: {reason}; next in {pause:.0f} s")

    def _make_room(self, record: Record, job: Job, error: Exception) -> None:
        """A full disk is not the study's fault, but its files needn't fill it."""
        job.drop_scan()
        self._state.give_back(record.uid, self._now() + self._options.pause)
        self._say(record.uid, f"{_machine_words(error)}; next attempt in {self._options.pause:.0f} s")

    def _fail(self, uid: str, reason: str) -> None:
        self._state.move(uid, State.FAILED, reason)
        self._say(uid, f"failed: {reason}")

    def _job(self, uid: str) -> Job:
        return Job(self._server, self._state, self._work / label(uid), self._analyse)

    def _clean(self) -> None:
        """Remove what a kill left of studies that aren't under way."""
        wanted = {label(each.uid) for each in self._state.pending()}
        wanted |= {label(each.uid) for each in self._state.records((State.FAILED,))}
        for folder in self._work.glob("*") if self._work.exists() else ():
            if _LABEL.fullmatch(folder.name) and folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    def _say(self, uid: str, words: str) -> None:
        self._report(f"study {label(uid)}: {words}")

    def _say_trouble(self, words: str) -> None:
        """Say once that something began to go wrong, and once that it ended."""
        if words != self._trouble:
            self._report(words or f"{self._server.name}: answers again")
        self._trouble = words


def _is_disk_trouble(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return isinstance(error, OSError) and is_disk_full(error)


def _machine_words(error: Exception) -> str:
    if isinstance(error, OSError):
        full, words = is_disk_full(error), error.strerror or type(error).__name__
    else:
        full, words = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL, str(error)
    if full:
        return "the disk is full; nothing half-written was left; free some space"
    return f"can't read or write: {words}"


def _study_words(error: Exception) -> str:
    """What went wrong with a study; of an error that isn't ours, nothing that it may quote."""
    if isinstance(error, TumorlensError):
        return str(error)
    if isinstance(error, OSError | sqlite3.Error):
        return _machine_words(error)
    return f"{type(error).__name__} in the analysis"
