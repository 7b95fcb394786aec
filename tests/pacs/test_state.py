import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorlens.errors import TumorlensError
from tumorlens.pacs.state import State, WatchLock, WatchState


def opened(folder: Path) -> WatchState:
    return WatchState(folder / "watch.db")


def test_a_study_is_stable_once_it_had_the_same_number_of_images_twice(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        for count, due in ((0, 0), (0, 0), (3, 0), (5, 0), (5, 1), (6, 0), (6, 1)):
            state.notice("1.2", count)
            assert len(state.due(0)) == due, count


def test_what_is_known_outlives_the_program(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.notice("1.2", 5)
        state.begin("1.2")
        state.keep_results("1.2", {"a.dcm": "1.9", "b.dcm": "1.8"})
    with opened(tmp_path) as state:
        [record] = state.pending()
        assert (record.state, record.instances, record.attempts) == (State.ANALYSED, 5, 1)
        assert state.results("1.2") == {"a.dcm": "1.9", "b.dcm": "1.8"}


def test_a_failed_study_and_one_that_got_only_its_results_are_not_seen_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        for uid, end in (("1.1", State.DONE), ("1.2", State.FAILED)):
            state.notice(uid, 3)
            state.keep_results(uid, {"a": "1.7", "b": "1.8"})
            state.move(uid, end)
            state.notice(uid, 5)
            state.notice(uid, 5)
        assert state.pending() == []


def test_a_study_that_got_more_than_its_results_is_seen_anew_once(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.notice("1.1", 3)
        state.keep_results("1.1", {"a": "1.7", "b": "1.8"})
        state.begin("1.1")
        state.move("1.1", State.DONE)
        state.notice("1.1", 6, 40.0)
        [seen] = state.pending()
        assert (seen.state, seen.attempts, seen.stable) == (State.SEEN, 0, False)
        state.notice("1.1", 6)
        assert (state.due(39.0), len(state.due(40.0))) == ([], 1)
        assert state.results("1.1") == {}, "what was stored stays stored"
        state.move("1.1", State.DONE)
        state.notice("1.1", 6)
        assert state.pending() == []


def test_a_skipped_study_is_looked_at_again_when_more_comes(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.notice("1.2", 3)
        state.move("1.2", State.SKIPPED, "no MR")
        state.notice("1.2", 3)
        assert state.pending() == []
        state.notice("1.2", 4)
        assert state.due(0) == []
        state.notice("1.2", 4)
        assert [each.uid for each in state.due(0)] == ["1.2"]


def test_a_study_isnt_due_before_its_pause_is_over(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.notice("1.2", 3)
        state.notice("1.2", 3)
        state.try_later("1.2", 100.0, "busy")
        assert state.due(99.0) == []
        assert [each.reason for each in state.due(100.0)] == ["busy"]


def test_failed_studies_get_all_their_attempts_again(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        for uid in ("1.1", "1.2", "1.3"):
            state.notice(uid, 3)
            state.begin(uid)
        state.keep_results("1.2", {"a.dcm": "1.9"})
        state.move("1.1", State.FAILED, "why")
        state.move("1.2", State.FAILED, "why")
        assert state.revive() == 2
        known = {each.uid: (each.state, each.attempts) for each in state.records()}
        assert known == {
            "1.1": (State.SEEN, 0),
            "1.2": (State.ANALYSED, 0),
            "1.3": (State.SEEN, 1),
        }, "results that exist aren't made anew"


def test_results_are_kept_all_together_or_not_at_all(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.notice("1.2", 3)
        with pytest.raises(sqlite3.IntegrityError):
            state.keep_results("1.2", {"a.dcm": "1.9", "b.dcm": None})  # type: ignore[dict-item]
        assert state.results("1.2") == {}
        [record] = state.records()
        assert record.state is State.SEEN


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert (tmp_path / "watch.db").stat().st_mode & 0o777 == 0o600


@given(st.binary(min_size=1, max_size=2000))
def test_another_kind_of_file_is_refused_and_left_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("state") / "watch.db"
    path.write_bytes(content)
    with pytest.raises(TumorlensError, match="expected the state file of a watch, got another"):
        WatchState(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "watch.db") as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(TumorlensError, match="expected the state file of a watch, got another"):
        opened(tmp_path)


def test_a_state_file_that_can_not_be_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match="can't be opened"):
        WatchState(tmp_path / "none" / "watch.db")
    with pytest.raises(TumorlensError, match="found none"):
        WatchState(tmp_path / "watch.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_second_watch_on_one_state_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    with WatchLock(path), pytest.raises(TumorlensError, match="no other watch uses, but one does"):
        WatchLock(path)
    with WatchLock(path):
        pass
