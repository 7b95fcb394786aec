"""Ctrl-C and a request to end (SIGTERM), which a command that runs for days must neither miss nor hang at."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

_WILL_END = b"tumorlens: will end once this step is done; Ctrl-C again ends at once\n"
_ENDED = b"tumorlens: ended at once; what was finished is whole\n"
_SHOW_CURSOR = b"\x1b[?25h\r\n"  # which a progress bar hides


class _Ending:
    """What was asked for, and whether this is a moment to do it."""

    def __init__(self, quiet: bool) -> None:
        self._asked: int | None = None
        self._idle = False
        self._quiet = quiet

    def wait(self, seconds: float) -> None:
        self._idle = True
        try:
            if self._asked is not None:
                self._end(self._asked)
            time.sleep(seconds)
        finally:
            self._idle = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._asked is not None:
            for stream in (stream for stream in (1, 2) if os.isatty(stream)):
                _say(stream, _SHOW_CURSOR)
            self._tell(_ENDED)
            os._exit(128 + number)
        self._asked = number
        if self._idle:
            self._end(number)
        self._tell(_WILL_END)

    def _tell(self, words: bytes) -> None:
        if not self._quiet:
            _say(2, words)

    def _end(self, number: int) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


class QuietExit(SystemExit):
    """An end by request of which all that is to be said was said."""


def _say(stream: int, words: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(stream, words)  # print isn't reentrant


@contextlib.contextmanager
def endable(*, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """Let Ctrl-C and SIGTERM end what runs inside between two of its steps, and a second one at once.

    An exception at any moment can be lost (Python drops those that are raised while an object is tidied up,
    such as an HTTP answer) or leave a lock of a pool of connections locked, for which the next step then
    waits for ever. What is ignored, as by ``nohup``, stays so. A second one is to the process what a kill is:
    what runs inside must bear that.

    Args:
        quiet: Whether to say nothing on stderr.

    Yields:
        Waits so many seconds; raises what was asked for, KeyboardInterrupt or SystemExit(143).
    """
    ending = _Ending(quiet)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, ending.ask)
    try:
        yield ending.wait
    finally:
        for number in heard:
            signal.signal(number, before[number])
