"""Peak memory of training and evaluation, all their processes together.

    python benchmarks/memory.py --data DIR [--recipe lite-segmentation]

Runs `tumorlens train` for one epoch and `tumorlens evaluate`, both on every slice of the recipe's split, and
samples the proportional set size (PSS: shared pages divided among the processes that share them) of the
process and its children from /proc twice a second. Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def tree_pss(root: int) -> int:
    """Bytes of proportional set size of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        waiting += children.get(process, [])
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # ended meanwhile
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def peak_of(words: list[str]) -> float:
    """Peak GB of a command and its children."""
    command = [sys.executable, "-m", "tumorlens", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_pss(process.pid))
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"{' '.join(words)}: exit code {process.returncode}")
    return peak / 1e9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--recipe", default="lite-segmentation")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        phase = "training.phases=[{epochs: 1, learning_rate: 1.0e-4}]"
        overrides = [word for override in [phase, *arguments.overrides] for word in ("--set", override)]
        data = ["--data", arguments.data, "--cache", f"{folder}/cache"]
        peak = peak_of(["train", arguments.recipe, *data, "--out", run, *overrides])
        print(f"{arguments.recipe}, train (decoding included): peak {peak:.2f} GB", flush=True)
        peak = peak_of(["evaluate", run, *data])
        print(f"{arguments.recipe}, evaluate: peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
