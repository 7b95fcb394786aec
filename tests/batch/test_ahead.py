"""Files are fetched while others are worked on, few at a time, and nothing of them stays."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tumorlens.batch.ahead import _AT_ONCE, _FILES_AT_ONCE, _MOST_BYTES, Ahead
from tumorlens.batch.unit import StoredFile, Unit
from tumorlens.errors import TumorlensError


class FarAway:
    """An archive whose files say their own names, after a while."""

    def __init__(self, seconds: float = 0.0, missing: str = "") -> None:
        self._seconds, self._missing = seconds, missing
        self._lock = threading.Lock()
        self.begun: list[str] = []
        self.at_once = self.most_at_once = 0

    def units(self, study_depth: int | None) -> Iterator[Unit]:
        raise NotImplementedError

    def local(self, path: str) -> Path | None:
        return None

    def fetch(self, path: str, target: Path) -> None:
        with self._lock:
            self.begun.append(path)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        if path != self._missing:
            time.sleep(self._seconds)
        with self._lock:
            self.at_once -= 1
        if path == self._missing:
            raise FileNotFoundError(path)
        target.write_text(path)


def pictures(count: int, size: int = 1) -> list[Unit]:
    return [Unit(f"{n}.png", (StoredFile(f"{n}.png", size, ""),)) for n in range(count)]


def text(ahead: Ahead, unit: Unit) -> str:
    with ahead.fetched(unit) as path:
        return path.read_text()


@given(st.permutations(range(20)))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_unit_gets_its_own_file_in_whatever_order(tmp_path: Path, order: list[int]) -> None:
    units, far = pictures(20), FarAway()
    with Ahead(far, units, lambda: tmp_path) as ahead:
        assert [text(ahead, units[n]) for n in order] == [f"{n}.png" for n in order]
    assert sorted(far.begun) == sorted(unit.place for unit in units)  # each once
    assert not list(tmp_path.iterdir())


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_next_files_come_while_one_is_worked_on(tmp_path: Path) -> None:
    units, far = pictures(40), FarAway(seconds=0.05)
    with Ahead(far, units, lambda: tmp_path) as ahead:
        for unit in units:
            with ahead.fetched(unit):
                time.sleep(0.01)
    assert 1 < far.most_at_once <= _AT_ONCE


def test_few_files_wait_to_be_taken(tmp_path: Path) -> None:
    units, far = pictures(3 * _AT_ONCE), FarAway()
    with Ahead(far, units, lambda: tmp_path) as ahead:
        with ahead.fetched(units[0]):
            until(lambda: len(far.begun) > _AT_ONCE)
            time.sleep(0.1)
            assert sorted(far.begun) == sorted(unit.place for unit in units[: _AT_ONCE + 1])
        assert len(list(tmp_path.iterdir())) == _AT_ONCE
    assert not list(tmp_path.iterdir())


def test_large_files_wait_one_at_a_time(tmp_path: Path) -> None:
    units, far = pictures(3, size=_MOST_BYTES), FarAway()
    with Ahead(far, units, lambda: tmp_path) as ahead:
        until(lambda: bool(far.begun))
        time.sleep(0.1)
        assert far.begun == ["0.png"]
        with ahead.fetched(units[0]):
            until(lambda: len(far.begun) > 1)
            time.sleep(0.1)
            assert far.begun == ["0.png", "1.png"]


def test_a_file_that_is_gone_is_told_to_who_asks_for_it_alone(tmp_path: Path) -> None:
    units = pictures(4)
    with Ahead(FarAway(missing="2.png"), units, lambda: tmp_path) as ahead:
        for unit in units:
            if unit.place == "2.png":
                with pytest.raises(TumorlensError, match=r"2\.png: can't be read: it is gone"):
                    text(ahead, unit)
            else:
                assert text(ahead, unit) == unit.place
    assert not list(tmp_path.iterdir())


def test_the_files_of_a_folder_come_at_once(tmp_path: Path) -> None:
    files = tuple(StoredFile(f"study/{n:02}.dcm", 1, "") for n in range(24))
    far = FarAway(seconds=0.05)
    unit = Unit("study", files, is_folder=True)
    with Ahead(far, [unit], lambda: tmp_path) as ahead, ahead.fetched(unit) as folder:
        assert sorted(each.name for each in folder.iterdir()) == [f"{n:02}.dcm" for n in range(24)]
    assert 8 < far.most_at_once <= _FILES_AT_ONCE
    assert not list(tmp_path.iterdir())


def test_a_folder_with_a_file_that_is_gone_leaves_nothing_behind(tmp_path: Path) -> None:
    files = tuple(StoredFile(f"study/{n:02}.dcm", 1, "") for n in range(24))
    far = FarAway(seconds=0.02, missing="study/00.dcm")
    with Ahead(far, [unit := Unit("study", files, is_folder=True)], lambda: tmp_path) as ahead:
        with pytest.raises(TumorlensError, match=r"00\.dcm: can't be read"), ahead.fetched(unit):
            pass
        assert len(far.begun) == 24  # the others weren't left to write into a folder that is gone
        time.sleep(0.1)
        assert not list(tmp_path.iterdir())


def test_nothing_stays_when_the_work_ends_early(tmp_path: Path) -> None:
    far = FarAway(seconds=0.05)
    with pytest.raises(KeyboardInterrupt), Ahead(far, pictures(30), lambda: tmp_path):
        raise KeyboardInterrupt
    assert far.at_once == 0
    assert len(far.begun) <= _AT_ONCE
    assert not list(tmp_path.iterdir())


def test_files_on_this_machine_stay_where_they_are(tmp_path: Path) -> None:
    class Near(FarAway):
        def local(self, path: str) -> Path | None:
            return tmp_path / path

    (tmp_path / "0.png").write_text("here")
    [unit], near = pictures(1), Near()
    with Ahead(near, [unit], lambda: None) as ahead, ahead.fetched(unit) as path:
        assert path == tmp_path / "0.png"
    assert not near.begun
    assert path.exists()
