"""What one machine's cores are spent on, from files to findings.

    python benchmarks/one_machine.py --data DIR [--slices 128] [--rounds 5]

On real slices, in turns, round after round; medians. As many slices are looked at again as of slices that
the networks have never seen (see `looks.py`).

- the bare graphs: ONNX Runtime on tensors that lie ready, the same looks at the same slices, on all cores.
- files to findings: `read_scan` and `Analyzer`, from MATLAB, DICOM (uncompressed) and PNG files, one by one
  and, as `tumorlens batch` takes them, four together, in threads and in as many processes as cores, of one
  thread each; also as a share of the bare graphs' rate.
- from one core to two: the same in processes that may use one core and two.
"""

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from looks import AGAIN, MIRRORED, with_limits, with_shares
from real_slices import as_dicoms, as_pngs, some_slices

from tumorlens import Analyzer, read_scan
from tumorlens.batch.unit import blocks
from tumorlens.batch.work import TOGETHER
from tumorlens.bundle import open_bundle
from tumorlens.ensemble import Batch, Ensemble, Outputs
from tumorlens.judgement import LookAgain
from tumorlens.parallel import beside_others, in_order, processors
from tumorlens.preprocess import prepare_image

_BATCH = 4  # as the Analyzer's where it has many slices


def ready_tensors(ensemble: Ensemble, images: Sequence[Batch]) -> list[tuple[int, Batch]]:
    """What each of the graphs is given in all, in batches: the graph's place and the tensor."""
    given: list[list[Batch]] = [[] for _ in ensemble.models]

    class Noting:
        def __init__(self, place: int) -> None:
            self._place, self._model = place, ensemble.models[place]
            self.size = self._model.size

        def __call__(self, batch: Batch) -> Outputs:
            given[self._place].append(batch)
            return self._model(batch)

    noting = dataclasses.replace(ensemble, models=[Noting(place) for place in range(len(given))])
    for image in images:
        noting({noting.models[0].size: image})
    return [
        (place, np.concatenate(batches[at : at + _BATCH]))
        for place, batches in enumerate(given)
        for at in range(0, len(batches), _BATCH)
    ]


def files_of(files: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """The same slices in several formats."""
    return {"MATLAB": list(files), "DICOM": as_dicoms(files, folder), "PNG": as_pngs(files, folder)}


def in_turns(work: dict[str, Callable[[], object]], count: int, rounds: int) -> dict[str, float]:
    """Slices a second of each, medians over rounds; each has run once before."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, run in work.items():
            began = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return {name: count / statistics.median(times) for name, times in seconds.items()}


def analysed(analyzer: Analyzer, files: Sequence[Path], together: int) -> int:
    """How many findings there are, each from a file, so many files at a time."""
    groups = list(blocks(files, together))
    found = in_order(lambda group: analyzer.analyze_batch([read_scan(path) for path in group]), groups)
    return sum(map(len, found))


_workers: list[Analyzer] = []  # of a process that is one


def _load(*limits: LookAgain | None) -> None:
    """Make this process a worker."""
    _workers.append(Analyzer(with_limits(open_bundle().load(), *limits)))


def _found(files: Sequence[Path]) -> int:
    with beside_others():
        return len(_workers[0].analyze_batch([read_scan(path) for path in files]))


def prepared(files: Sequence[Path], size: int) -> list[Batch]:
    """(1, 1, size, size) each."""
    return [prepare_image(read_scan(path).pixels[0], size)[None, None] for path in files]


def measure(files: Sequence[Path], rounds: int) -> None:
    """Print the rates and shares of them."""
    bundle = open_bundle()
    images = prepared(files, bundle.manifest.size)
    ensemble = with_shares(bundle, images)
    analyzer, tensors = Analyzer(ensemble), ready_tensors(ensemble, images)
    looks = sum(len(tensor) for _, tensor in tensors) / len(files)
    limits = (ensemble.judgement.second_look, ensemble.judgement.third_look)
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(processors(), get_context("spawn"), _load, limits) as pool,
    ):
        kinds = files_of(files, Path(folder))
        work: dict[str, Callable[[], object]] = {
            "graphs": lambda: list(in_order(lambda told: ensemble.models[told[0]](told[1]), tensors))
        }
        for kind, paths in kinds.items():
            for together, words in ((1, "one by one"), (TOGETHER, f"{TOGETHER} together")):
                work[f"{kind}, {words}"] = lambda paths=paths, together=together: analysed(  # type: ignore[misc]
                    analyzer, paths, together
                )
            work[f"{kind}, {TOGETHER} together, in processes"] = lambda paths=paths: sum(  # type: ignore[misc]
                pool.map(_found, list(blocks(paths, TOGETHER)))
            )
        rates = in_turns(work, len(files), rounds)
    print(
        f"{len(files)} real slices, {looks:.2f} looks at each ({AGAIN:.1%} by both networks, {MIRRORED:.1%} "
        f"also mirrored), {processors()} cores, medians of {rounds} rounds\n"
    )
    print("| | slices a second | of the bare graphs |\n| --- | --- | --- |")
    print(f"| the bare graphs on ready tensors | {rates['graphs']:.1f} | |")
    for kind, rate in list(rates.items())[1:]:
        print(f"| files to findings, {kind} | {rate:.1f} | {rate / rates['graphs']:.2f} |")


def scaling(data: Path, slices: int, rounds: int) -> None:
    """Print what a second core gives; both kinds of process have their turns."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for cores, told in rates.items():
            words = [sys.executable, __file__, "--data", str(data), "--slices", str(slices)]
            done = subprocess.run(  # noqa: S603
                [*words, "--cores", str(cores)], capture_output=True, text=True, check=True
            )
            told.append(float(done.stdout))
    one, two = (statistics.median(told) for told in rates.values())
    gains = sorted(b / a for a, b in zip(rates[1], rates[2], strict=True))
    print(
        f"\nfiles to findings (MATLAB) on one core {one:.1f} slices a second, on two {two:.1f}: "
        f"{statistics.median(gains):.2f} times (rounds {gains[0]:.2f} to {gains[-1]:.2f})"
    )


def on_cores(files: Sequence[Path], cores: int) -> None:
    """Print slices a second of a process that may use so many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    bundle = open_bundle()
    analyzer = Analyzer(with_shares(bundle, prepared(files, bundle.manifest.size)))
    print(in_turns({"": lambda: analysed(analyzer, files, 1)}, len(files), 2)[""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with .mat slices")
    parser.add_argument("--slices", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    files = some_slices(arguments.data, arguments.slices)
    if arguments.cores:
        on_cores(files, arguments.cores)
        return
    measure(files, arguments.rounds)
    scaling(arguments.data, arguments.slices, arguments.rounds)


if __name__ == "__main__":
    main()
