"""What a machine's cores do in threads of one process, and in a process each.

    python benchmarks/many_cores.py --data DIR [--files 1280] [--rounds 3]

- Side by side: `tumorlens batch` on real slices (PNG) under other names, with ``--engine threads`` and
  ``--engine processes``, in turns; medians. Two numbers of files tell the rate apart from the start.
- One process on more cores than there are: each look of the networks takes as long as it takes here on a
  core, but asleep, as if it had a core of its own. What is left, with Python's lock, is as always.
"""

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from looks import with_shares
from one_machine import analysed, prepared
from real_slices import as_pngs, some_slices

from tumorlens import Analyzer, parallel
from tumorlens.batch.work import TOGETHER
from tumorlens.bundle import open_bundle
from tumorlens.ensemble import Batch, Model, Outputs
from tumorlens.parallel import processors

_DIFFERENT = 96  # slices
_THREADS = (1, 2, 4, 8, 16)


class Asleep:
    """A model that says what it said before; it takes as long as on a core, without the core."""

    def __init__(self, model: Model, seconds: float) -> None:
        self.size = model.size
        self._model, self._seconds = model, seconds
        self._told: dict[bytes, Outputs] = {}

    def __call__(self, batch: Batch) -> Outputs:
        """What the model said, after the time of its looks."""
        key = batch.tobytes()
        if key not in self._told:
            self._told[key] = self._model(batch)
        time.sleep(self._seconds * len(batch))
        told = vars(self._told[key]).values()
        return Outputs(*(None if values is None else values.copy() for values in told))


def look_seconds(model: Model, images: Sequence[Batch]) -> float:
    """What a look takes on one core, the median."""
    times = []
    with parallel.beside_others():
        model(images[0])
        for image in images:
            began = time.perf_counter()
            model(image)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def ceiling(files: Sequence[Path], rounds: int) -> None:
    """Print what a process's threads do where the networks have cores of their own."""
    bundle = open_bundle()
    images = prepared(files, bundle.manifest.size)
    ensemble = with_shares(bundle, images)
    seconds = look_seconds(ensemble.models[0], images)
    analyzer = Analyzer(
        dataclasses.replace(ensemble, models=[Asleep(model, seconds) for model in ensemble.models])
    )
    analysed(analyzer, files, TOGETHER)
    print(
        f"\nOne process where each look of the networks ({1000 * seconds:.1f} ms) has a core of its own; "
        f"all else on {processors()} cores, PNG, medians of {rounds} rounds\n"
    )
    print("| threads | slices a second | cores used by all else |\n| --- | --- | --- |")
    for threads in _THREADS:
        parallel.processors = lambda threads=threads: threads
        rates, used = [], []
        for _ in range(rounds):
            began, cpu = time.perf_counter(), time.process_time()
            analysed(analyzer, files, TOGETHER)
            taken = time.perf_counter() - began
            rates.append(len(files) / taken)
            used.append((time.process_time() - cpu) / taken)
        print(f"| {threads} | {statistics.median(rates):.0f} | {statistics.median(used):.1f} |")


def batch_seconds(archive: Path, engine: str) -> float:
    """Of a whole command."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["batch", str(archive), "--out", folder, "--engine", engine]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tumorlens", *words], check=True, capture_output=True)  # noqa: S603
        return time.perf_counter() - began


def side_by_side(pngs: Sequence[Path], folder: Path, files: int, rounds: int) -> None:
    """Print rates and starts of the two engines."""
    few = files // 5
    for count in (few, files):
        archive = folder / str(count)
        archive.mkdir()
        for number in range(count):
            os.link(pngs[number % len(pngs)], archive / f"{number:05d}.png")
    taken: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for engine in ("threads", "processes"):
            for count in (few, files):
                taken.setdefault((engine, count), []).append(batch_seconds(folder / str(count), engine))
    print(f"`tumorlens batch` on {processors()} cores, PNG, medians of {rounds} rounds\n")
    print(f"| engine | {few:,} files | {files:,} files | slices a second between | start |\n|{' --- |' * 5}")
    for engine in ("threads", "processes"):
        short, long = (statistics.median(taken[engine, count]) for count in (few, files))
        rate = (files - few) / (long - short)
        print(f"| {engine} | {short:.1f} s | {long:.1f} s | {rate:.1f} | {short - few / rate:.1f} s |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--files", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (pngs_in := Path(folder) / "pngs").mkdir()
        pngs = as_pngs(some_slices(arguments.data, _DIFFERENT), pngs_in)
        side_by_side(pngs, Path(folder), arguments.files, arguments.rounds)
        ceiling(pngs, arguments.rounds)


if __name__ == "__main__":
    main()
