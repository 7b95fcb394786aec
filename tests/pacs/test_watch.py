import datetime as dt
import errno
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import pytest

from tests.pacs.conftest import KNOWN
from tests.pacs.orthanc import Orthanc
from tests.pacs.proxy import Answer, Asked, Proxy
from tests.pacs.studies import quick_analysis, write_study
from tests.pacs.test_pull import PATIENT
from tumorlens.errors import TumorlensError
from tumorlens.pacs.access import Credentials
from tumorlens.pacs.errors import PacsError
from tumorlens.pacs.server import PacsServer
from tumorlens.pacs.state import Record, State, WatchState
from tumorlens.pacs.watch import Watch, WatchOptions

ALL_DAYS = WatchOptions(every=0.01, days=None, settle=0, attempts=3, pause=60)


@dataclass
class Watching:
    """A watch whose clock the test turns."""

    server: PacsServer
    folder: Path
    analyse: Callable[[Path, Path], Sequence[Path]] = quick_analysis
    options: WatchOptions = ALL_DAYS
    clock: float = 1_709_300_000.0  # the first of March 2024
    lines: list[str] = field(default_factory=list)
    analysed: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.state = WatchState(self.folder / "watch.db")
        self.work = self.folder / "work"
        self.watch = Watch(
            self.server,
            self.state,
            self.work,
            self._analyse,
            self.options,
            report=self.lines.append,
            now=lambda: self.clock,
        )

    def _analyse(self, scan: Path, out: Path) -> Sequence[Path]:
        self.analysed.append(scan)
        return self.analyse(scan, out)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.watch.look()

    def record(self, uid: str) -> Record:
        found = self.state.record(uid)
        assert found is not None
        return found


@pytest.fixture
def watching(server: PacsServer, tmp_path: Path) -> Watching:
    return Watching(server, tmp_path / "watch")


def assert_one_result(orthanc: Orthanc, study: str) -> None:
    assert len(orthanc.instances("SEG", study)) == 1
    assert len(orthanc.instances("SR", study)) == 1


def test_each_study_is_analysed_once_and_its_results_are_stored(
    orthanc: Orthanc, watching: Watching, tmp_path: Path
) -> None:
    studies = []
    for seed in ("1", "2"):
        uid, files = write_study(tmp_path / seed, seed)
        orthanc.add(files)
        studies.append(uid)
    watching.look(5)
    for uid in studies:
        assert watching.record(uid).state is State.DONE
        assert_one_result(orthanc, uid)
    assert len(watching.analysed) == 2
    assert list(watching.work.iterdir()) == [], "nothing of a patient is left behind"


def test_a_study_that_is_still_arriving_is_waited_for(
    orthanc: Orthanc, watching: Watching, folder: Path
) -> None:
    uid, files = write_study(folder, slices=4)
    counts: list[int] = []

    def counted(scan: Path, out: Path) -> Sequence[Path]:
        counts.append(len(list(scan.rglob("*.dcm"))))
        return quick_analysis(scan, out)

    watching.analyse = counted
    for path in files:
        orthanc.add([path])
        watching.look()
        assert watching.record(uid).state is State.SEEN
    watching.look()
    assert counts == [4]
    assert watching.record(uid).state is State.DONE


def test_a_study_of_yesterday_is_finished_today(orthanc: Orthanc, server: PacsServer, tmp_path: Path) -> None:
    days = [dt.datetime(2024, 3, day, 12).astimezone() for day in (1, 2)]
    old, files = write_study(tmp_path / "a", "1", StudyDate="20240229")
    uid, more = write_study(tmp_path / "b", "2", StudyDate="20240301")
    orthanc.add([*files, *more])
    watching = Watching(
        server, tmp_path / "watch", options=WatchOptions(days=1, settle=0), clock=days[0].timestamp()
    )
    watching.look()
    assert watching.state.record(old) is None
    watching.clock = days[1].timestamp()
    watching.look()
    assert watching.record(uid).state is State.DONE


def test_the_days_that_a_watch_was_away_are_looked_at_too(
    orthanc: Orthanc, server: PacsServer, tmp_path: Path
) -> None:
    friday, monday = (dt.datetime(2024, 3, day, 12).astimezone().timestamp() for day in (1, 4))
    options = WatchOptions(days=1, settle=0, pause=0)
    first = Watching(server, tmp_path / "watch", options=options, clock=friday)
    first.look()
    first.state.__exit__(None, None, None)
    uid, files = write_study(tmp_path / "study", "1", StudyDate="20240302")
    orthanc.add(files)
    fresh = Watching(server, tmp_path / "fresh", options=options, clock=monday)
    fresh.look(3)
    assert fresh.state.record(uid) is None, "a new watch begins with its own day"
    again = Watching(server, tmp_path / "watch", options=options, clock=monday)
    again.look(3)
    assert again.record(uid).state is State.DONE


def test_a_study_that_was_deleted_is_given_up_and_taken_up_when_it_comes_again(
    orthanc: Orthanc, watching: Watching, folder: Path
) -> None:
    uid, files = write_study(folder)
    orthanc.add(files)
    watching.look()
    orthanc.clear()
    watching.look(2)
    assert watching.record(uid).state is State.SKIPPED
    orthanc.add(files)
    watching.look(3)
    assert watching.record(uid).state is State.DONE


def test_a_study_without_mr_is_skipped_with_the_reason_until_one_comes(
    orthanc: Orthanc, server: PacsServer, tmp_path: Path
) -> None:
    uid, files = write_study(tmp_path / "ct", "1", Modality="CT")
    orthanc.add(files)
    watching = Watching(server, tmp_path / "watch", options=WatchOptions(days=None, modality=None, settle=0))
    watching.look(8)
    record = watching.record(uid)
    assert (record.state, record.attempts) == (State.SKIPPED, 0)
    assert record.reason == "expected a study with an MR series, got series of: CT"
    assert sum("skipped" in line for line in watching.lines) == 1
    _, more = write_study(tmp_path / "mr", "1", SeriesInstanceUID="1.2.77")
    orthanc.add(more)
    watching.look(2)
    assert watching.record(uid).state is State.DONE


def test_where_nothing_is_outlined_nothing_is_stored(
    orthanc: Orthanc, watching: Watching, folder: Path
) -> None:
    uid, files = write_study(folder)
    orthanc.add(files)
    watching.analyse = lambda *_: []
    watching.look(3)
    record = watching.record(uid)
    assert (record.state, record.reason) == (State.DONE, "nothing was outlined; nothing was stored")
    assert orthanc.instances("SEG") == []


def test_a_study_that_goes_wrong_is_tried_with_growing_pauses_and_then_marked(
    orthanc: Orthanc, watching: Watching, tmp_path: Path
) -> None:
    def fails(scan: Path, out: Path) -> Sequence[Path]:
        raise TumorlensError("scan: expected a head, got a foot")

    bad, files = write_study(tmp_path / "a", "1")
    orthanc.add(files)
    watching.analyse = fails
    watching.look(3)
    assert len(watching.analysed) == 1
    watching.clock += 60
    watching.look(2)
    assert len(watching.analysed) == 2
    watching.clock += 60
    watching.look()
    assert len(watching.analysed) == 2, "the second pause is longer"
    watching.clock += 180
    watching.look(4)
    record = watching.record(bad)
    assert (record.state, record.attempts) == (State.FAILED, 3)
    assert record.reason == "scan: expected a head, got a foot"
    watching.clock += 1e6
    watching.look(2)
    assert len(watching.analysed) == 3
    watching.analyse = quick_analysis
    watching.state.revive()
    watching.look(2)
    assert watching.record(bad).state is State.DONE


def test_a_study_that_goes_wrong_doesnt_stop_the_others(
    orthanc: Orthanc, watching: Watching, tmp_path: Path
) -> None:
    first, files = write_study(tmp_path / "a", "1", PatientID="BAD")
    second, more = write_study(tmp_path / "b", "2")
    orthanc.add([*files, *more])

    def picky(scan: Path, out: Path) -> Sequence[Path]:
        if b"BAD " in min(scan.rglob("*.dcm")).read_bytes():
            raise RuntimeError("Muster^Erika is bad")
        return quick_analysis(scan, out)

    watching.analyse = picky
    watching.look(2)
    assert watching.record(second).state is State.DONE
    assert watching.record(first).reason == "RuntimeError in the analysis"


def test_a_study_that_ends_the_program_each_time_is_marked_in_the_end(
    orthanc: Orthanc, watching: Watching, folder: Path
) -> None:
    uid, files = write_study(folder)
    orthanc.add(files)
    watching.look()
    for _ in range(3):
        watching.state.begin(uid)  # and then the program is gone
    watching.look(2)
    record = watching.record(uid)
    assert (record.state, watching.analysed) == (State.FAILED, [])
    assert record.reason == "the program ended 3 times while at it"


def test_no_line_and_no_reason_says_whose_study_it_is(
    orthanc: Orthanc, watching: Watching, tmp_path: Path
) -> None:
    """Not even where a message of another part of the program quotes a header."""

    def quotes(scan: Path, out: Path) -> Sequence[Path]:
        raise TumorlensError("Muster^Erika, ID PID-4711 (ERIKA?), born 19640812, 20240301/ACC-99: odd")

    for number, analyse in enumerate((quotes, quick_analysis)):
        uid, files = write_study(tmp_path / f"{number}", f"{number}")
        orthanc.add(files)
        watching.analyse = analyse
        watching.look(2)
        uids = uid
        watching.clock += 1e6
    told = "\n".join([*watching.lines, *(each.reason for each in watching.state.records())])
    assert "odd" in told
    assert "done" in told
    assert not any(word in told for word in (*PATIENT, uids))


def test_a_server_that_goes_away_and_comes_back_is_waited_for(
    orthanc: Orthanc, tmp_path: Path, folder: Path
) -> None:
    uid, files = write_study(folder)
    orthanc.add(files)
    server = PacsServer(orthanc.url, KNOWN, attempts=2, retry_wait=0.01)
    watching = Watching(server, tmp_path / "watch")
    watching.watch.run(looks=1)
    orthanc.stop()
    try:
        watching.watch.run(looks=3)
        assert watching.record(uid).attempts == 0
    finally:
        orthanc.start()
    watching.watch.run(looks=2)
    assert watching.record(uid).state is State.DONE
    assert_one_result(orthanc, uid)
    assert sum("will look again" in line for line in watching.lines) == 1, "it is said once"
    assert sum("answers again" in line for line in watching.lines) == 1


@pytest.mark.parametrize("part", ["/series", "/instances", "/metadata", "SOPInstanceUID", "/studies"])
def test_a_server_that_goes_away_in_the_middle_costs_no_attempt(
    orthanc: Orthanc, watching: Watching, proxy: Proxy, folder: Path, part: str
) -> None:
    away: list[str] = []

    def gone(asked: Asked) -> Answer | None:
        if away or (part in asked.path and watching.lines):
            away.append(asked.path)
            raise ConnectionResetError
        return None

    uid, files = write_study(folder)
    orthanc.add(files)
    proxy.instead = gone
    assert not watching.watch.run(looks=4)
    assert watching.record(uid).attempts == 0
    proxy.instead = lambda _: None
    assert watching.watch.run(looks=2)
    assert watching.record(uid).state is State.DONE
    assert_one_result(orthanc, uid)


def test_a_study_whose_images_never_come_is_marked_and_holds_up_no_other(
    orthanc: Orthanc, watching: Watching, proxy: Proxy, tmp_path: Path
) -> None:
    """The server answers everything but them."""

    def cut(asked: Asked) -> Answer | None:
        if bad in asked.path and "multipart" in asked.headers["Accept"]:
            raise ConnectionResetError
        return None

    bad, files = write_study(tmp_path / "a", "1")
    good, more = write_study(tmp_path / "b", "2")
    orthanc.add([*files, *more])
    proxy.instead = cut
    for _ in range(5):
        watching.look()
        watching.clock += 1e6
    assert watching.record(good).state is State.DONE
    assert watching.record(bad).state is State.FAILED
    assert "the connection failed or broke off" in watching.record(bad).reason


@pytest.mark.parametrize("status", [409, 503])
def test_results_that_are_refused_for_a_while_are_stored_later_and_not_made_anew(
    orthanc: Orthanc, watching: Watching, proxy: Proxy, folder: Path, status: int
) -> None:
    uid, files = write_study(folder)
    orthanc.add(files)
    proxy.instead = lambda asked: Answer(status) if asked.method == "POST" else None
    watching.look(3)
    assert watching.record(uid).state is State.ANALYSED
    assert f"HTTP {status}" in watching.record(uid).reason
    assert not list(watching.work.rglob("scan")), "the pulled images aren't needed any more"
    proxy.instead = lambda _: None
    watching.clock += 60
    watching.look()
    assert watching.record(uid).state is State.DONE
    assert len(watching.analysed) == 1
    assert_one_result(orthanc, uid)


def test_results_whose_storing_was_not_remembered_arent_stored_twice(
    orthanc: Orthanc, watching: Watching, proxy: Proxy, folder: Path
) -> None:
    """The first is stored, and the answer never arrives."""
    uid, files = write_study(folder)
    orthanc.add(files)
    proxy.change = lambda asked, answer: Answer(500) if asked.method == "POST" else answer
    watching.look(2)
    assert len(orthanc.instances("SEG", uid)) == 1
    proxy.change = lambda _, answer: answer
    watching.clock += 60
    watching.look()
    assert watching.record(uid).state is State.DONE
    assert_one_result(orthanc, uid)


def test_without_its_state_file_a_watch_sees_by_the_server_what_was_done(
    orthanc: Orthanc, watching: Watching, server: PacsServer, folder: Path, tmp_path: Path
) -> None:
    def named(scan: Path, out: Path) -> Sequence[Path]:
        files = quick_analysis(scan, out)
        for path in files:
            dataset = pydicom.dcmread(path)
            dataset.SeriesDescription = "tumorlens segmentation (research use only)"
            dataset.save_as(path)
        return files

    uid, files = write_study(folder)
    orthanc.add(files)
    watching.analyse = named
    watching.look(2)
    other = Watching(server, tmp_path / "other", named)
    other.look(4)
    assert other.record(uid).reason == "it has a segmentation by tumorlens already"
    assert_one_result(orthanc, uid)


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_deleted_results_are_made_anew_only_if_none_was_stored(
    orthanc: Orthanc, watching: Watching, proxy: Proxy, folder: Path, stored: int
) -> None:
    uid, files = write_study(folder)
    orthanc.add(files)

    def trouble(asked: Asked) -> Answer | None:
        """After so many were stored the next is refused, or the search that confirms fails."""
        posts = len(proxy.asked("POST"))
        if asked.method == "POST" and posts > stored:
            return Answer(409)
        return Answer(500) if posts == 2 and "SOPInstanceUID" in asked.path else None

    proxy.instead = trouble
    watching.look(2)
    for path in watching.work.rglob("*.dcm"):
        path.unlink()
    proxy.instead = lambda _: None
    watching.clock += 60
    watching.look(2)
    assert len(watching.analysed) == (2 if stored == 0 else 1)
    if stored == 1:
        assert "some of its results are stored" in watching.record(uid).reason
        assert len(orthanc.instances("SEG", uid)) + len(orthanc.instances("SR", uid)) == 1
    else:
        assert watching.record(uid).state is State.DONE
        assert_one_result(orthanc, uid)


def test_a_full_disk_is_said_and_waited_out_at_no_attempt(
    orthanc: Orthanc, watching: Watching, folder: Path
) -> None:
    def full(scan: Path, out: Path) -> Sequence[Path]:
        raise OSError(errno.ENOSPC, "No space left on device")

    uid, files = write_study(folder)
    orthanc.add(files)
    watching.analyse = full
    watching.look(2)
    assert any("the disk is full" in line for line in watching.lines)
    assert watching.record(uid).attempts == 0
    assert not list(watching.work.rglob("*.dcm")), "its files don't fill the disk"
    for _ in range(5):
        watching.clock += 60
        watching.look()
    watching.analyse = quick_analysis
    watching.clock += 60
    watching.look()
    assert watching.record(uid).state is State.DONE


def test_a_state_file_that_cant_be_written_for_a_while_loses_nothing(
    orthanc: Orthanc, watching: Watching, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails at each write in turn."""
    uid, files = write_study(folder)
    orthanc.add(files)
    real = WatchState._run

    def failing(self: WatchState, statement: str, *values: object) -> int:
        left[0] -= 1
        if left[0] == 0:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return real(self, statement, *values)

    monkeypatch.setattr(WatchState, "_run", failing)
    left = [0]
    for write in range(1, 16):
        left[0] = write
        watching.watch.run(looks=1)
        watching.clock += 60
    watching.watch.run(looks=2)
    assert watching.record(uid).state is State.DONE
    assert_one_result(orthanc, uid)
    assert any("the disk is full" in line for line in watching.lines)


def test_a_wrong_password_ends_it_at_the_first_look_only(
    orthanc: Orthanc, watching: Watching, proxy: Proxy, tmp_path: Path
) -> None:
    wrong = Watching(PacsServer(proxy.url, Credentials("reader", "wrong")), tmp_path / "wrong")
    with pytest.raises(PacsError, match="HTTP 401"):
        wrong.watch.run()
    answers = iter([None, None, Answer(401)])
    proxy.instead = lambda _: next(answers, None)
    watching.watch.run(looks=4)
    assert watching.lines[0].endswith("will look again")
    assert watching.lines[1].endswith("answers again")


def test_ctrl_c_in_the_middle_costs_no_attempt(orthanc: Orthanc, watching: Watching, folder: Path) -> None:
    def interrupted(scan: Path, out: Path) -> Sequence[Path]:
        raise KeyboardInterrupt

    uid, files = write_study(folder)
    orthanc.add(files)
    watching.analyse = interrupted
    watching.look()
    with pytest.raises(KeyboardInterrupt):
        watching.look()
    assert watching.record(uid).attempts == 0
    watching.analyse = quick_analysis
    watching.look()
    assert watching.record(uid).state is State.DONE


def test_leftovers_of_a_kill_are_removed_but_no_other_folder(
    orthanc: Orthanc, watching: Watching, tmp_path: Path
) -> None:
    for name in ("0123456789", "mine"):
        (watching.work / name).mkdir(parents=True)
    watching.look()
    assert [path.name for path in watching.work.iterdir()] == ["mine"]


def test_a_server_that_doesnt_count_images_is_watched_too(
    orthanc: Orthanc, watching: Watching, proxy: Proxy, folder: Path
) -> None:
    def silent(asked: Asked, answer: Answer) -> Answer:
        return Answer(
            answer.status,
            answer.body.replace(b"00201208", b"00201299").replace(b"00201209", b"00201298"),
            answer.headers,
        )

    uid, files = write_study(folder)
    orthanc.add(files)
    proxy.change = silent
    watching.look(2)
    assert watching.record(uid).state is State.DONE


def real_like(scan: Path, out: Path) -> Sequence[Path]:
    """Results whose segmentation says of which series it is, as a real one does."""
    source = str(pydicom.dcmread(min(scan.rglob("*.dcm"))).SeriesInstanceUID)
    written = quick_analysis(scan, out)
    dataset = pydicom.dcmread(written[0])
    item = pydicom.Dataset()
    item.SeriesInstanceUID = source
    dataset.ReferencedSeriesSequence = [item]
    dataset.SeriesDescription = "tumorlens segmentation"
    dataset.save_as(written[0])
    return written


def series_of(scan: Path) -> str:
    return str(pydicom.dcmread(min(scan.rglob("*.dcm"))).SeriesDescription)


def test_contrast_that_comes_after_a_study_was_done_is_analysed_too(
    orthanc: Orthanc, watching: Watching, tmp_path: Path
) -> None:
    looked_at: list[str] = []

    def noting(scan: Path, out: Path) -> Sequence[Path]:
        looked_at.append(series_of(scan))
        return real_like(scan, out)

    watching.analyse = noting
    uid, files = write_study(tmp_path / "pre", slices=6, SeriesDescription="t1_se_tra", ContrastBolusAgent="")
    orthanc.add(files)
    watching.look(4)
    assert watching.record(uid).state is State.DONE
    contrast = {"SeriesInstanceUID": "1.2.3", "SeriesNumber": 9, "SeriesDescription": "t1_se_tra +C"}
    orthanc.add(write_study(tmp_path / "post", slices=6, **contrast)[1])
    watching.look(6)
    assert looked_at == ["t1_se_tra", "t1_se_tra +C"]
    assert watching.record(uid).state is State.DONE
    assert len(orthanc.instances("SEG", uid)) == 2
    orthanc.add(
        write_study(
            tmp_path / "t2",
            slices=6,
            **contrast | {"SeriesInstanceUID": "1.2.4", "SeriesNumber": 10, "SeriesDescription": "t2_tse"},
        )[1]
    )
    watching.look(6)
    assert len(looked_at) == 2, "the same series is not analysed again"
    assert watching.record(uid).reason == "it has a segmentation by tumorlens already"


def test_a_study_is_taken_once_nothing_has_come_for_a_while(
    orthanc: Orthanc, server: PacsServer, tmp_path: Path
) -> None:
    watching = Watching(server, tmp_path / "watch", options=WatchOptions(days=None, settle=600))
    uid, files = write_study(tmp_path / "study", slices=4)
    orthanc.add(files[:3])
    watching.look(3)
    watching.clock += 599
    watching.look(3)
    assert watching.record(uid).state is State.SEEN
    orthanc.add(files[3:])
    watching.look()
    watching.clock += 599
    watching.look(3)
    assert watching.record(uid).state is State.SEEN, "an image came, so it waits anew"
    watching.clock += 2
    watching.look()
    assert watching.record(uid).state is State.DONE
