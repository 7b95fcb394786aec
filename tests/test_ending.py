"""No Ctrl-C and no SIGTERM is lost, and none hangs."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tumorlens.cli.ending import endable

REQUESTS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]


pytestmark = pytest.mark.usefixtures("ctrl_c")


def ask(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


class Unlucky:
    """Is asked to end while it is tidied up."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        ask(self.number)


@pytest.mark.parametrize(("number", "kind"), REQUESTS)
def test_a_request_ends_a_wait(number: signal.Signals, kind: type[BaseException]) -> None:
    with endable() as wait:
        threading.Timer(0.1, ask, [number]).start()
        with pytest.raises(kind) as raised:
            wait(60)
    if isinstance(raised.value, SystemExit):
        assert raised.value.code == 143


@pytest.mark.parametrize(("number", "kind"), REQUESTS)
def test_a_step_is_finished_first(
    number: signal.Signals, kind: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    with endable() as wait:
        wait(0)
        ask(number)
        with pytest.raises(kind):
            wait(0)
    assert "Ctrl-C again ends at once" in capfd.readouterr().err


STUCK = """
import os, signal, sys, threading, time
from tumorlens.cli.ending import endable

signal.signal(signal.SIGINT, signal.default_int_handler)
second, where = int(sys.argv[1]), sys.argv[2]

def ask(number):
    os.kill(os.getpid(), number)

with endable(quiet="quiet" in sys.argv) as wait:
    threading.Timer(0.2, ask, [signal.SIGINT]).start()
    threading.Timer(0.6, ask, [second]).start()
    try:
        if where == "waiting":
            wait(60)
    finally:  # as where threads are waited for that are at work
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
"""


@pytest.mark.parametrize("where", ["waiting", "at work"])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_request_ends_at_once_whatever_hangs(second: signal.Signals, where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK, str(int(second)), where], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 128 + second
    told = [] if where == "waiting" else ["will end once this step is done; Ctrl-C again ends at once"]
    told.append("ended at once; what was finished is whole")
    assert done.stderr.splitlines() == [f"tumorlens: {line}" for line in told]


def test_nothing_is_said_where_a_log_is_for_programs() -> None:
    words = [sys.executable, "-c", STUCK, str(int(signal.SIGINT)), "at work", "quiet"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_while_an_object_is_tidied_up_is_not_lost(number: signal.Signals) -> None:
    with endable() as wait:
        Unlucky(number)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            wait(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_afterwards_all_is_as_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with endable():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before


def test_what_is_ignored_stays_so() -> None:
    """As ``nohup`` and a shell's ``&`` ask for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with endable() as wait:
        ask(signal.SIGINT)
        wait(0)
