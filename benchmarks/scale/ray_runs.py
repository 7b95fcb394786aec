"""Ray's own overhead and real runs on it, on this machine: for `scale.measure`."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scale.archives import part_of
from scale.runs import peak_bytes
from tumorlens.batch import BatchOptions, Engine, ray_engine, run_batch
from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport

CHUNK = 8
FEW, MANY, ROWS = 20, 220, 2_000  # tasks and items of the runs that do nothing
ROUNDS = 2


class Clock:
    """A watcher that notes when chunks were told, and how large Ray's workers are."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.worker_bytes = 0
        self._began = time.monotonic()

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        """See `Watcher`."""
        del progress
        if report is not None:
            self.told.append(time.monotonic() - self._began)
            self.worker_bytes = max([self.worker_bytes, *_workers_bytes()])

    def ended(self, progress: Progress, words: str) -> None:
        """See `Watcher`."""


def measure(folder: Path, count: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Rates of Ray, and runs that the simulation has to foretell."""
    with ray_engine._cluster(None) as ray:
        _nothing(ray, FEW, FEW)  # the first one starts Ray's own workers
        few, many, more = [], [], []
        for _ in range(ROUNDS + 1):
            few.append(_nothing(ray, ROWS, FEW))
            many.append(_nothing(ray, ROWS, MANY))
            more.append(_nothing(ray, 2 * ROWS, FEW))
        clocks = [_real(folder, 2 * CHUNK, 1).clock for _ in range(ROUNDS)]
        runs = {workers: [_real(folder, count, workers) for _ in range(ROUNDS)] for workers in (1, 2)}
    quickest = min(few)  # other programs only ever make such a run longer
    rates = {
        "task_seconds": round(max(0.0, min(many) - quickest) / (MANY - FEW), 5),
        "batch_seconds": round(max(0.0, min(more) - quickest) / ROWS, 6),
        "first_part_seconds": [round(clock.told[0], 2) for clock in clocks],
        "first_part_scans": CHUNK,
        "worker_mb": round(max(run.clock.worker_bytes for each in runs.values() for run in each) / 1e6),
    }
    return rates, [_told(workers, count, each) for workers, each in runs.items()]


def _nothing(ray: Any, items: int, tasks: int) -> float:
    """Seconds of a run of so many items in so many tasks that does nothing."""

    class Nothing:  # here, so that Ray's workers needn't find this module
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return batch

    began = time.perf_counter()
    rows = [{"file": "plan", "line": number} for number in range(items)]
    data = ray.data.from_items(rows, override_num_blocks=tasks)
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=1)
    done = data.map_batches(Nothing, batch_size=1, compute=pool, num_cpus=1)
    assert sum(1 for _ in done.iter_rows()) == items
    return time.perf_counter() - began


@dataclass(frozen=True)
class _Run:
    seconds: float
    clock: Clock


def _real(folder: Path, count: int, workers: int) -> _Run:
    """A real run on the cluster that is there."""
    with tempfile.TemporaryDirectory() as out:
        archive, clock = part_of(folder / "png", Path(out, "in"), count), Clock()
        options = BatchOptions(chunk=CHUNK, engine=Engine.RAY, workers=workers)
        began = time.perf_counter()
        run_batch(str(archive), f"{out}/out", options, [clock])
        return _Run(time.perf_counter() - began, clock)


def _told(workers: int, count: int, runs: list[_Run]) -> dict[str, Any]:
    return {
        "name": f"Ray, {workers} worker{'s' * (workers > 1)}",
        "engine": "ray",
        "scans": count,
        "chunk": CHUNK,
        "workers": workers,
        "cores": workers,
        "away_seconds": 0.0,
        "seconds": [round(each.seconds, 2) for each in runs],
    }


def _workers_bytes() -> Iterator[int]:
    """Largest resident sets of Ray's processes that hold a model."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "ChunkActor" in (process / "cmdline").read_text():
                yield peak_bytes(int(process.name))
        except OSError:
            continue  # ended meanwhile
