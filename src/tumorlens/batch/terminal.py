"""Shows a batch to a person: a bar on a terminal, a line now and then elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport

_EVERY = 30  # seconds between two lines where there is no terminal


class Terminal:
    """See `Watcher`; failures are told one a line, all else on the bar."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._is_terminal = self._console.is_terminal
        columns = (BarColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, console=self._console, disable=not self._is_terminal, transient=True)
        self._task = self._bar.add_task("listing", total=None)
        self._told = time.monotonic()

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        """See `Watcher`."""
        for failure in report.failures if report is not None else ():
            print(f"tumorlens: {failure}", file=sys.stderr, flush=True)
        self._bar.start()  # not before: a run that can't begin leaves the terminal as it is
        done = progress.before + progress.units
        self._bar.update(self._task, total=progress.total, completed=done, description=str(progress))
        if not self._is_terminal and time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            print(f"tumorlens: {progress}", file=sys.stderr, flush=True)

    def ended(self, progress: Progress, words: str) -> None:
        """See `Watcher`."""
        self._bar.stop()
