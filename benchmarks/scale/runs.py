"""Runs of `tumorlens batch` on chosen cores, with the clock on: for `scale.measure`."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """What was seen of a run.

    Attributes:
        seconds: From the command to its end.
        core_seconds: Of a core's time, what it used.
        others: Share of the machine that other programs used meanwhile.
        peak_bytes: Largest resident set.
        stages: Seconds by stage, summed over threads.
    """

    seconds: float
    core_seconds: float
    others: float
    peak_bytes: int
    stages: dict[str, float]


@contextlib.contextmanager
def on_cores(cores: Iterable[int]) -> Iterator[None]:
    """What is started meanwhile runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def batch(archive: Path, out: Path, workers: int, chunk: int) -> list[str]:
    """The command for an archive."""
    words = ["batch", str(archive), "--out", str(out), "--workers", str(workers), "--chunk", str(chunk)]
    return [sys.executable, "-m", "tumorlens", *words, "--log-json"]


def distant_batch(archive: Path, out: Path, workers: int, chunk: int, seconds: float) -> list[str]:
    """The command for an archive whose files take a while to come."""
    words = ["--out", str(out), "--workers", str(workers), "--chunk", str(chunk), "--seconds", str(seconds)]
    return [sys.executable, "-P", str(HERE / "distant.py"), str(archive), *words]


def run(command: list[str], cores: Iterable[int]) -> Run:
    """Run a command that logs as ``tumorlens batch --log-json`` does."""
    began, busy, lines, peak = time.perf_counter(), machine_busy(), [], 0
    with on_cores(cores):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        peak = max(peak, peak_bytes(process.pid))  # what wait4 tells of a child counts its parent's as well
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n" + "".join(lines[-5:]))
    used = usage.ru_utime + usage.ru_stime
    others = (machine_busy() - busy - used) / (seconds * (os.cpu_count() or 1))
    return Run(seconds, used, max(0.0, others), peak, json.loads(lines[-1])["stage_seconds"])


def machine_busy() -> float:
    """Seconds of all cores that anything has used since the machine started, or its host has withheld."""
    user, nice, system, _, _, irq, softirq, steal = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / os.sysconf("SC_CLK_TCK")


def peak_bytes(process: int) -> int:
    """The largest resident set of a process up to now; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return max((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), default=0)


def run_everywhere(archive: Path, cores: Sequence[int], chunk: int) -> list[Run]:
    """A run of one worker on each core, all at once, as the workers of a cluster are."""
    with ThreadPoolExecutor(len(cores)) as pool, tempfile.TemporaryDirectory() as folder:

        def one(core: int) -> Run:
            return run(batch(archive, Path(folder, str(core)), 1, chunk), [core])

        return list(pool.map(one, cores))
