"""Time per scan and peak memory of `tumorlens batch` for archives of growing size.

    python benchmarks/batch_scaling.py [--scans 100 1000 10000] [--write json]

The archives are real slices of tests/data under other names (hard links). A machine's speed changes within
minutes, so the largest archive has one core to itself, and meanwhile the smaller ones are analysed on the
other, again and again in turns: both cores have the same good and bad minutes. Time is the run's own, without
the interpreter's start; what the first 12 scans take (libraries, the first call of each model) is measured by
runs of their own and left out of the time of each further scan. Memory is the process's largest resident set.
Medians, with their ratios to the largest archive's.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BEGINNING = 12
SLICES = Path(__file__).parents[1] / "tests" / "data" / "slices"


def links(folder: Path, count: int) -> None:
    """Make an archive of as many scans."""
    files = sorted(SLICES.glob("[0-9]*.mat"))
    copies = [folder.parent / f"source-{file.name}" for file in files]
    for file, copy in zip(files, copies, strict=True):
        if not copy.exists():
            copy.write_bytes(file.read_bytes())
    for number in range(count):
        target = folder / f"{number // 500:04d}" / f"scan-{number:06d}.mat"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(copies[number % len(copies)])


def measured(archive: Path, out: Path, more: list[str], core: int) -> tuple[float, float]:
    """Seconds, and peak MB, on one core."""
    command = [
        sys.executable,
        "-m",
        "tumorlens",
        "batch",
        str(archive),
        "--out",
        str(out),
        "--log-json",
        *more,
    ]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    assert process.stderr is not None
    lines = process.stderr.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}: {lines[-1:]}")
    end = json.loads(lines[-1])
    return end["scans"] / end["scans_per_second"], usage.ru_maxrss / 1024


def side_by_side(folder: Path, counts: list[int], more: list[str]) -> dict[int, list[tuple[float, float]]]:
    """Seconds and peak MB of each run, by the number of its scans."""
    *smaller, largest = sorted({BEGINNING, *counts})
    for count in (*smaller, largest):
        links(folder / f"archive-{count}", count)
    runs: dict[int, list[tuple[float, float]]] = {count: [] for count in (*smaller, largest)}
    one, other = sorted(os.sched_getaffinity(0))[:2]
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(measured, folder / f"archive-{largest}", folder / "out", more, one)
        for number, count in enumerate(itertools.cycle(smaller)):
            if large.done() and all(runs[each] for each in smaller):
                break
            out = folder / f"out-{number}"
            runs[count].append(measured(folder / f"archive-{count}", out, more, other))
            shutil.rmtree(out)
        runs[largest].append(large.result())
    return runs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scans", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--write", default="")
    arguments = parser.parse_args()
    more = ["--write", arguments.write] if arguments.write else []
    with tempfile.TemporaryDirectory() as folder:
        runs = side_by_side(Path(folder), arguments.scans, more)
    start = statistics.median(seconds for seconds, _ in runs.pop(BEGINNING))
    print(f"the first {BEGINNING} scans: {start:.2f} s; each archive on one core")
    each = {
        count: 1000 * (statistics.median(seconds for seconds, _ in told) - start) / (count - BEGINNING)
        for count, told in runs.items()
    }
    memory = {count: max(peak for _, peak in told) for count, told in runs.items()}
    largest = max(runs)
    for count, told in runs.items():
        print(
            f"{count:6,} scans, {len(told)} runs: {each[count]:6.2f} ms each further scan "
            f"({each[count] / each[largest]:.3f} of the largest archive's), peak {memory[count]:.0f} MB "
            f"({memory[count] / memory[largest]:.3f})"
        )


if __name__ == "__main__":
    main()
