"""Several ranks of one run, each a forked process that is told its place as torchrun tells it."""

import io
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.forkserver import fork_context


@dataclass(frozen=True)
class Together:
    """Ranks under way; what each prints goes to files."""

    processes: list[ForkServerProcess]
    folder: Path

    def said(self, rank: int) -> str:
        return (self.folder / f"{rank}.err").read_text()

    def wait_until(self, happened: Callable[[], bool], seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert all(process.is_alive() for process in self.processes) or happened(), self._all()
            assert time.monotonic() < deadline, self._all()
            time.sleep(0.002)

    def finish(self, seconds: float = 60) -> list[int | None]:
        """Their exit codes; a signal's number below 0."""
        for process in self.processes:
            process.join(seconds)
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
        return codes

    def done(self) -> None:
        codes = self.finish()
        assert codes == [0] * len(codes), (codes, self._all())

    def kill(self, rank: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.processes[rank].pid or 0, signal.SIGKILL)

    def _all(self) -> str:
        return "\n".join(self.said(rank) for rank in range(len(self.processes)))


def start_ranks(
    folder: Path, world: int, *words: object, function: Callable[..., None] | None = None
) -> Together:
    """Start ``tumorlens`` with these words as so many ranks, or call a function with them on each."""
    own = folder / f"ranks-{time.monotonic_ns()}"
    own.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(world):
        process = fork_context().Process(
            target=_main, args=(own, rank, world, port, [str(word) for word in words], function)
        )
        process.start()
        processes.append(process)
    together = Together(processes, own)
    together.wait_until(lambda: all((own / f"{rank}.err").exists() for rank in range(world)))
    return together


def _main(
    folder: Path, rank: int, world: int, port: int, words: list[str], function: Callable[..., None] | None
) -> None:
    import torch

    from tumorlens import cli

    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "GROUP_WORLD_SIZE": "1",
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    os.chdir(folder)
    os.dup2(os.open(folder / f"{rank}.out", os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(os.open(folder / f"{rank}.err", os.O_WRONLY | os.O_CREAT), 2)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb"), line_buffering=True) for n in (1, 2))
    torch.set_num_threads(1)
    if function is not None:
        function(*words)
        return
    sys.argv = ["tumorlens", *words]
    cli.main()
