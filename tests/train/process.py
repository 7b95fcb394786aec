"""The command line in a process of its own that can be killed, starved of disk or interrupted."""

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.forkserver import fork_context


@dataclass(frozen=True)
class Started:
    """A command under way; what it prints goes to files."""

    process: ForkServerProcess
    out: Path
    err: Path

    def wait_until(self, happened: Callable[[], bool], seconds: float = 180) -> None:
        """Look every two milliseconds whether something happened."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert self.process.is_alive() or happened(), self.err.read_text()
            assert time.monotonic() < deadline, self.out.read_text()
            time.sleep(0.002)

    def finish(self) -> int:
        """The exit code; a signal's number below 0."""
        self.process.join(120)
        assert self.process.exitcode is not None
        return self.process.exitcode


def start(folder: Path, *words: object, largest_file: int | None = None) -> Started:
    """Start ``tumorlens`` with these words in ``folder``, perhaps on a disk that takes only small files."""
    out, err = folder / f"{time.monotonic_ns()}.out", folder / f"{time.monotonic_ns()}.err"
    process = fork_context().Process(
        target=_main, args=(folder, [str(w) for w in words], out, err, largest_file)
    )
    process.start()
    started = Started(process, out, err)
    started.wait_until(err.exists)
    return started


def _main(folder: Path, words: list[str], out: Path, err: Path, largest_file: int | None) -> None:
    import resource

    import torch

    from tumorlens import cli

    # A shell that starts the tests in the background has them ignore Ctrl-C, and they hand that down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT), 2)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb"), line_buffering=True) for n in (1, 2))
    torch.set_num_threads(1)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.argv = ["tumorlens", *words]
    cli.main()
