"""A Ray cluster gives the rows that one machine gives."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batch.archives import many, rows_of, told
from tests.batch.processes import descendants, title
from tumorlens.batch import BatchOptions, Engine, run_batch
from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport
from tumorlens.finding.write import Format

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # this machine alone; Ray looks when it is imported
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two processors' worth of workers on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    yield
    ray.shutdown()


def test_rows_are_those_of_one_machine(cluster: None, archive: Path, tmp_path: Path) -> None:
    options = {"formats": (Format.JSON,), "chunk": 3, "workers": 2}
    summary = run_batch(str(archive), str(tmp_path / "ray"), BatchOptions(engine=Engine.RAY, **options))  # type: ignore[arg-type]
    assert (summary.units, summary.scans, summary.failed) == (9, 9, 1)
    run_batch(str(archive), str(tmp_path / "local"), BatchOptions(**options))  # type: ignore[arg-type]
    assert told(rows_of(tmp_path / "ray")) == told(rows_of(tmp_path / "local"))
    again = run_batch(str(archive), str(tmp_path / "ray"), BatchOptions(engine=Engine.RAY, **options))  # type: ignore[arg-type]
    assert (again.before, again.scans) == (9, 0)


class Killer:
    """Kills a worker process when the first part is there."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self.rows = 0

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        self.rows = progress.scans
        if not self.killed:
            worker = next(each for each in descendants(os.getpid()) if "ray::MapWorker" in title(each))
            os.kill(worker, signal.SIGKILL)
            self.killed.append(worker)

    def ended(self, progress: Progress, words: str) -> None:
        self.words = words


def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(
    cluster: None, tmp_path: Path, slice_paths: list[Path]
) -> None:
    archive = many(tmp_path / "archive", 60, slice_paths)
    killer = Killer()
    options = BatchOptions(engine=Engine.RAY, chunk=4, workers=2)
    summary = run_batch(str(archive), str(tmp_path / "out"), options, [killer])
    assert killer.killed
    assert killer.words == "done"
    units = [row["unit"] for row in rows_of(tmp_path / "out")]
    assert len(units) == len(set(units)) == summary.scans == 60
