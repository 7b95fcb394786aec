"""One analysis under way, shared between the clients that ask for it and the thread that works on it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tumorlens.server.analysis import Analysis, Kept, ScanKind
from tumorlens.server.uploads import Upload


class StoppedError(Exception):
    """Ends the work on a job that was cancelled, took too long or has to make way for the server's end."""


class Job:
    """An analysis that isn't final yet.

    Args:
        analysis: As clients see it.
        upload: What arrived.
        folder: For its files.

    Attributes:
        lock: Held while its state is written, so that states are written in order.
        known: Whether a client knows its id; what nobody knows isn't kept when it fails.
        is_volume: Whether it is to be worked on alone.
        began: `time.monotonic` of when the work began; None before.
        answered: Set once a client that waits can be answered: it is final or known to be a volume.
        ended: Set once it is final.
    """

    def __init__(self, analysis: Analysis, upload: Upload, folder: Path) -> None:
        self._analysis = analysis
        self._claimed = False
        self._loop = asyncio.get_running_loop()
        self._write: Callable[[], None] | None = upload.write
        self.ask = upload.ask
        self.folder = folder
        self.label = upload.label
        self.size = upload.size
        self.lock = threading.Lock()
        self.known = False
        self.is_volume = upload.is_volume
        self.created = time.monotonic()
        self.began: float | None = None
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()

    @property
    def id(self) -> str:
        """Of the analysis."""
        return self._analysis.id

    @property
    def analysis(self) -> Analysis:
        """As it is now."""
        return self._analysis

    @property
    def is_claimed(self) -> bool:
        """Whether its end is decided."""
        return self._claimed

    def prepare(self) -> None:
        """Make sure that its files are in its folder. Only with the lock held.

        Raises:
            OSError: They can't be written.
        """
        write, self._write = self._write, None
        if write is not None:
            write()

    def claim(self) -> bool:
        """Decide its end; false where somebody else did already. Only with the lock held."""
        claimed, self._claimed = self._claimed, True
        return not claimed

    def check(self) -> None:
        """Go on working only while its end isn't decided.

        Raises:
            StoppedError: It is.
        """
        if self._claimed:
            raise StoppedError

    def show(self, analysis: Analysis) -> None:
        """Let clients see a change."""
        self._analysis = analysis
        if analysis.is_final:
            self._tell(self.ended)
        if analysis.is_final or analysis.kind is ScanKind.VOLUME:
            self._tell(self.answered)

    def update(self, **changes: object) -> None:
        """Change what clients see of it while it is worked on."""
        with self.lock:
            if not self._claimed:
                self.show(self._analysis.model_copy(update=changes))

    def kept(self) -> Kept:
        """As it is kept on the disk while it isn't final."""
        return Kept(analysis=self._analysis, ask=self.ask, label=self.label)

    def _tell(self, event: asyncio.Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(event.set)
