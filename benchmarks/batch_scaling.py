"""Time per scan and peak memory of `tumorlens batch` for archives of growing size.

    python benchmarks/batch_scaling.py [--scans 100 1000 10000] [--rounds 1] [--write json]

The archives are real slices of tests/data under other names (hard links). Time is the run's own, without
the interpreter's start; what the first 12 scans take (libraries, the first call of each model) is measured by
a run of its own and left out of the time of each further scan. Memory is the process's largest resident set.
Printed with their ratios to the first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
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


def measured(archive: Path, out: Path, more: list[str]) -> tuple[float, float]:
    """Seconds, and peak MB."""
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
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    assert process.stderr is not None
    lines = process.stderr.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}: {lines[-1:]}")
    end = json.loads(lines[-1])
    return end["scans"] / end["scans_per_second"], usage.ru_maxrss / 1024


def best_of(folder: Path, count: int, rounds: int, more: list[str]) -> tuple[float, float]:
    """The shortest time and the largest memory of several runs."""
    archive = folder / f"archive-{count}"
    links(archive, count)
    runs = [measured(archive, folder / f"out-{count}-{number}", more) for number in range(rounds)]
    return min(time for time, _ in runs), max(memory for _, memory in runs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scans", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write", default="")
    arguments = parser.parse_args()
    more = ["--write", arguments.write] if arguments.write else []
    first: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory() as folder:
        start, _ = best_of(Path(folder), BEGINNING, 3, more)
        print(f"the first {BEGINNING} scans: {start:.2f} s")
        for count in arguments.scans:
            seconds, memory = best_of(Path(folder), count, arguments.rounds, more)
            each = 1000 * (seconds - start) / (count - BEGINNING)
            first = first or (each, memory)
            print(
                f"{count:6,} scans: {seconds:7.1f} s, {1000 * seconds / count:6.2f} ms a scan in all, "
                f"{each:6.2f} ms each further ({each / first[0]:.3f} of the first row), "
                f"peak {memory:.0f} MB ({memory / first[1]:.3f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
