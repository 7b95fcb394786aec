"""One study's way: its series pulled, analysed, the results stored, and each step remembered."""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tumorlens.errors import TumorlensError
from tumorlens.pacs.choice import choose_series
from tumorlens.pacs.entry import InstanceEntry, SeriesEntry
from tumorlens.pacs.errors import NothingSuitableError, PacsBusyError, PacsError
from tumorlens.pacs.pull import identify, pull_series
from tumorlens.pacs.push import confirm, send
from tumorlens.pacs.server import PacsServer
from tumorlens.pacs.state import Record, State, WatchState

_OWN = re.compile(r"tumorlens\b")


class Job:
    """What there is to do for one study, from where it was left.

    The results and their UIDs are on the disk before the first is sent, so that whatever happens after,
    the same objects are sent again and never others in their place.

    Args:
        server: That has the study and gets the results.
        state: Remembers each step.
        folder: For this study's files.
        analyse: Analyses the DICOM files in a folder, writes results into another, and returns these.
    """

    def __init__(
        self,
        server: PacsServer,
        state: WatchState,
        folder: Path,
        analyse: Callable[[Path, Path], Sequence[Path]],
    ) -> None:
        self._server = server
        self._state = state
        self.folder = folder
        self._scan = folder / "scan"
        self._results = folder / "results"
        self._analyse = analyse

    def run(self, record: Record) -> str:
        """Do all that is left to do.

        Returns:
            What was done, in words.

        Raises:
            NothingSuitableError: It has no series to analyse, or was analysed by another watch.
            PacsError: The server can't be reached, refuses, or lost something.
            TumorlensError: The scan can't be analysed.
        """
        uid = record.uid
        if record.state in (State.SEEN, State.PULLED):
            self._pull(uid)
            if not self._write_results(uid):
                self._state.move(uid, State.DONE, "nothing was outlined; nothing was stored")
                return "done: nothing was outlined; nothing was stored"
        elif not self._has_results(uid):
            return self._without_results(uid)
        return self._push(uid)

    def drop_scan(self) -> None:
        """Remove the pulled files."""
        shutil.rmtree(self._scan, ignore_errors=True)

    def clean(self, record: Record | None) -> None:
        """Remove what isn't needed any more: of a study that failed after its analysis, not the results."""
        state = None if record is None else record.state
        if state in (State.DONE, State.SKIPPED):
            shutil.rmtree(self.folder, ignore_errors=True)
        elif state in (State.ANALYSED, State.PUSHED, State.FAILED):
            self.drop_scan()

    def _pull(self, uid: str) -> None:
        series, _ = choose_series(self._server, uid)
        if self._is_analysed(series):  # by a watch whose state file was lost, by another, or before more came
            raise NothingSuitableError("it has a segmentation by tumorlens already")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        pull_series(self._server, [series], self._scan)
        self._state.move(uid, State.PULLED)

    def _is_analysed(self, chosen: SeriesEntry) -> bool:
        """Whether a segmentation by tumorlens is of a series, or doesn't say of which it is."""
        found = self._server.find_series(chosen.study_uid)
        own = [each for each in found if each.modality == "SEG" and _OWN.match(each.description)]
        return any(self._source_of(each) in (chosen.uid, "") for each in own)

    def _source_of(self, segmentation: SeriesEntry) -> str:
        """The UID of the series that a segmentation is of; empty where the server doesn't tell."""
        try:
            [first] = self._server.find_instances(segmentation.study_uid, segmentation.uid, most=1)
            header = self._server.header(first)
            return str(header.ReferencedSeriesSequence[0].SeriesInstanceUID)
        except PacsBusyError:
            raise
        except (PacsError, AttributeError, LookupError, TypeError, ValueError):
            return ""

    def _write_results(self, uid: str) -> bool:
        fresh = self.folder / "results.new"
        for left in (fresh, self._results):
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        files = self._analyse(self._scan, fresh)
        instances = {path.name: _instance(path).uid for path in files}
        if not instances:
            return False
        _sync(fresh)
        fresh.replace(self._results)
        _sync(self.folder)
        self._state.keep_results(uid, instances)
        return True

    def _has_results(self, uid: str) -> bool:
        return all((self._results / name).is_file() for name in self._state.results(uid))

    def _without_results(self, uid: str) -> str:
        """The files were deleted by hand: what the server has of them decides."""
        stored = [
            self._server.has(InstanceEntry(uid, "", instance))
            for instance in self._state.results(uid).values()
        ]
        if all(stored):
            self._state.move(uid, State.DONE)
            return f"done: {len(stored)} results stored before"
        if any(stored):
            raise TumorlensError(
                "some of its results are stored, the files of the others were deleted here; delete the "
                "stored ones on the server and try again"
            )
        self._state.forget_results(uid)
        return "its results were deleted here before they were stored; it will be analysed again"

    def _push(self, uid: str) -> str:
        files = [self._results / name for name in self._state.results(uid)]
        for path in files:
            send(self._server, path)
        self._state.move(uid, State.PUSHED)
        for path in files:
            confirm(self._server, path)
        self._state.move(uid, State.DONE)
        return f"done: {len(files)} results stored"


def _instance(path: Path) -> InstanceEntry:
    found = identify(path)
    if found is None:
        raise TumorlensError(f"{path.name}: expected the analysis to write DICOM files, got another")
    return found


def _sync(folder: Path) -> None:
    """Make sure that a new name in a folder outlives a crash of the machine."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
