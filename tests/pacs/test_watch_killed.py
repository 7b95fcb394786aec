"""A watch that is killed, interrupted or starved, as a process of its own."""

import contextlib
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.dicom_files import write_series
from tests.pacs.orthanc import USER, Orthanc
from tests.pacs.process import start_watch
from tests.pacs.proxy import Answer, Asked, Proxy
from tests.pacs.studies import write_study
from tests.train.process import Started
from tumorlens.errors import TumorlensError
from tumorlens.pacs.state import State, WatchState


@pytest.fixture
def begin(proxy: Proxy, tmp_path: Path) -> Callable[..., Started]:
    """Starts a watch on one and the same state file."""
    options = ["--days", 0, "--every", 0.05, "--settle", 0, "--pause", 0, "--attempts", 100, "--user", USER]

    def begin(**more: int) -> Started:
        return start_watch(tmp_path, proxy.url, "--state", tmp_path / "watch.db", *options, **more)

    return begin


def states(folder: Path) -> dict[str, State]:
    """How far each study is, by what is on the disk."""
    try:
        with WatchState(folder / "watch.db", create=False) as state:
            return {each.uid: each.state for each in state.records()}
    except TumorlensError:  # it isn't there yet
        return {}


def wait(happened: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def done(folder: Path, studies: list[str]) -> bool:
    return states(folder) == dict.fromkeys(studies, State.DONE)


def finish(started: Started, folder: Path, studies: list[str]) -> None:
    """Let a watch do all studies, and end it as a user does."""
    started.wait_until(lambda: "watching" in started.out.read_text())  # else Ctrl-C comes before the program
    wait(lambda: done(folder, studies))
    send(started, signal.SIGINT)
    assert started.finish() == 130, started.err.read_text()
    assert "interrupted; what was finished is whole" in started.err.read_text()
    assert "Traceback" not in started.err.read_text()


def send(started: Started, number: signal.Signals) -> None:
    assert started.process.pid is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(started.process.pid, number)


def assert_one_of_each(orthanc: Orthanc, studies: list[str]) -> None:
    for study in studies:
        assert len(orthanc.instances("SEG", study)) == 1
        assert len(orthanc.instances("SR", study)) == 1


def stored(orthanc: Orthanc, folder: Path, count: int = 2) -> list[str]:
    """Some studies."""
    studies = []
    for seed in map(str, range(count)):
        study, files = write_study(folder / seed, seed)
        orthanc.add(files)
        studies.append(study)
    return studies


def test_a_kill_between_storing_and_remembering_doubles_nothing(
    orthanc: Orthanc, proxy: Proxy, begin: Callable[..., Started], tmp_path: Path
) -> None:
    """Each time a result was stored it is killed, before it hears of it."""
    studies = stored(orthanc, tmp_path)
    running: list[Started] = []

    def kill(asked: Asked, answer: Answer) -> Answer:
        if asked.method == "POST":
            send(running[-1], signal.SIGKILL)
        return answer

    proxy.change = kill
    for _ in range(4):
        running.append(begin())
        assert running[-1].finish() == -signal.SIGKILL
    assert len(proxy.asked("POST")) == 4
    running.append(begin())
    finish(running[-1], tmp_path, studies)
    assert_one_of_each(orthanc, studies)


def test_a_kill_after_any_of_its_requests_loses_and_doubles_nothing(
    orthanc: Orthanc, proxy: Proxy, begin: Callable[..., Started], tmp_path: Path
) -> None:
    """The server has done what was asked, and the answer is still on its way."""
    studies = stored(orthanc, tmp_path)
    running: list[Started] = []
    left = [0]
    known = threading.Event()  # to this test, which process is under way

    def kill(asked: Asked, answer: Answer) -> Answer:
        assert known.wait(20)
        left[0] -= 1
        if left[0] == 0:
            send(running[-1], signal.SIGKILL)
        return answer

    proxy.change = kill
    for requests in range(1, 41):
        left[0] = requests
        known.clear()
        running.append(begin())
        known.set()
        assert running[-1].finish() == -signal.SIGKILL
        if done(tmp_path, studies):
            break
    assert len(running) > 5
    left[0] = 0
    finish(begin(), tmp_path, studies)
    assert_one_of_each(orthanc, studies)


def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    orthanc: Orthanc, begin: Callable[..., Started], tmp_path: Path
) -> None:
    studies = stored(orthanc, tmp_path, 5)
    moments = random.Random(7)  # noqa: S311 - nothing is encrypted with it
    for _ in range(8):
        started = begin()
        time.sleep(moments.uniform(0.02, 0.4))
        send(started, signal.SIGKILL)
        assert started.finish() == -signal.SIGKILL
    finish(begin(), tmp_path, studies)
    assert_one_of_each(orthanc, studies)


def test_a_second_watch_on_the_same_state_file_is_refused(
    orthanc: Orthanc, proxy: Proxy, begin: Callable[..., Started], tmp_path: Path
) -> None:
    first = begin()
    wait(lambda: bool(proxy.log))
    second = begin()
    assert second.finish() == 2
    [line] = second.err.read_text().splitlines()
    assert "expected a state file that no other watch uses, but one does" in line
    finish(first, tmp_path, [])


def test_a_full_disk_is_said_and_the_study_is_done_once_there_is_room(
    orthanc: Orthanc, begin: Callable[..., Started], tmp_path: Path
) -> None:
    values = np.random.default_rng(1).integers(0, 4000, (1, 500, 500), dtype=np.uint16)
    [path] = write_series(tmp_path / "large", values)
    orthanc.add([path])
    study = header_of(path)
    started = begin(largest_file=100_000)
    wait(lambda: "the disk is full" in started.out.read_text())
    assert states(tmp_path) != {study: State.DONE}
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(started.process.pid or 0, resource.RLIMIT_FSIZE, (hard, hard))
    finish(started, tmp_path, [study])
    assert_one_of_each(orthanc, [study])


def header_of(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)
