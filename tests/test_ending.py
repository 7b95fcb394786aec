"""No Ctrl-C and no SIGTERM is lost, and none hangs."""

import os
import signal
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


@pytest.mark.parametrize(("number", "kind"), REQUESTS)
def test_a_second_request_ends_at_once(number: signal.Signals, kind: type[BaseException]) -> None:
    with endable():
        ask(signal.SIGINT)
        with pytest.raises(kind):
            ask(number)


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
