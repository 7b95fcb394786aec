"""Processes give the rows that threads give, and neither a kill nor Ctrl-C leaves one of them behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.batch.archives import leftovers, many, png, rows_of, told
from tests.batch.processes import descendants, title
from tumorlens.batch import BatchOptions, Engine, run_batch
from tumorlens.batch import run as run_module
from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport
from tumorlens.errors import TumorlensError
from tumorlens.finding.write import Format


def workers_of(process: int) -> list[int]:
    return [each for each in descendants(process) if "loky" in title(each) and "LokyProcess" in title(each)]


def gone(processes: Iterable[int], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(title, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(title, processes))


class Watcher:
    """Keeps what the run's workers were, and sends them signals when the first part is there."""

    def __init__(self, *signals: signal.Signals) -> None:
        self.workers: list[int] = []
        self.rows = 0
        self._signals = signals

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        self.rows = progress.scans
        if not self.workers:
            self.workers = workers_of(os.getpid())
            for number in self._signals:
                os.kill(self.workers[0], number)

    def ended(self, progress: Progress, words: str) -> None:
        self.words = words


def test_rows_and_files_are_those_of_threads(archive: Path, tmp_path: Path) -> None:
    """Also where the workers are asked to end, as they are along with the command: that is its business."""
    out, watcher = tmp_path / "processes", Watcher(signal.SIGINT, signal.SIGTERM)
    options = {"formats": (Format.JSON,), "chunk": 3, "workers": 2}
    summary = run_batch(str(archive), str(out), BatchOptions(engine=Engine.PROCESSES, **options), [watcher])  # type: ignore[arg-type]
    assert (summary.units, summary.scans, summary.failed) == (9, 9, 1)
    assert len(watcher.workers) == 2
    assert gone(watcher.workers)
    run_batch(str(archive), str(tmp_path / "threads"), BatchOptions(engine=Engine.THREADS, **options))  # type: ignore[arg-type]
    assert told(rows_of(out)) == told(rows_of(tmp_path / "threads"))
    for row in rows_of(out):
        for file in row["files"] or ():
            assert (out / file).read_bytes() == (tmp_path / "threads" / file).read_bytes()
    assert not leftovers(out)


def test_a_killed_worker_ends_the_run_which_then_goes_on(tmp_path: Path, slice_paths: list[Path]) -> None:
    archive, out = many(tmp_path / "archive", 60, slice_paths), tmp_path / "out"
    options, watcher = BatchOptions(engine=Engine.PROCESSES, chunk=4, workers=2), Watcher(signal.SIGKILL)
    with pytest.raises(TumorlensError, match=r"one of 2 processes was killed.*fewer --workers"):
        run_batch(str(archive), str(out), options, [watcher])
    assert watcher.words == "failed"
    assert watcher.rows < 60
    assert gone(watcher.workers)
    assert not leftovers(out)
    run_batch(str(archive), str(out), BatchOptions(engine=Engine.THREADS))
    units = [row["unit"] for row in rows_of(out)]
    assert len(units) == len(set(units)) == 60


def test_a_result_that_cannot_be_written_ends_the_run_as_in_threads(archive: Path, tmp_path: Path) -> None:
    said = []
    for engine in (Engine.THREADS, Engine.PROCESSES):
        out = tmp_path / engine
        out.mkdir()
        (out / "files").touch()  # where the files' folder should be
        with pytest.raises(OSError, match="files") as error:
            run_batch(str(archive), str(out), BatchOptions(engine=engine, formats=(Format.JSON,), workers=2))
        said.append((type(error.value), error.value.errno))
    assert said[0] == said[1]


@contextlib.contextmanager
def a_long_batch(archive: Path, out: Path) -> Iterable[tuple[subprocess.Popen[str], list[int]]]:  # type: ignore[misc]
    """Its command, in a group of its own as from a terminal, and its workers, once there are rows."""
    words = ["--out", str(out), "--engine", "processes", "--workers", "2", "--chunk", "4"]
    command = [sys.executable, "-m", "tumorlens", "batch", str(archive), *words, "--write", "overlay"]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not list(out.glob("rows/*.parquet")) and time.monotonic() < deadline:
                time.sleep(0.05)
            workers = workers_of(process.pid)
            assert len(workers) == 2
            yield process, workers
        finally:
            process.kill()


@pytest.mark.parametrize(("request_", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_request_to_end_that_all_processes_hear_ends_them_all(
    request_: signal.Signals, code: int, tmp_path: Path
) -> None:
    archive, out = many(tmp_path / "archive", 400, [png(tmp_path / "one.png")]), tmp_path / "out"
    with a_long_batch(archive, out) as (process, workers):
        os.killpg(process.pid, request_)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert "give the same command again to go on" in err
    assert "Traceback" not in err
    assert "Warning" not in err
    assert gone(workers)
    assert not (out / ".staging").exists()
    assert 0 < len(rows_of(out)) < 400


def test_workers_end_with_a_command_that_is_killed(tmp_path: Path) -> None:
    archive, out = many(tmp_path / "archive", 80, [png(tmp_path / "one.png")]), tmp_path / "out"
    with a_long_batch(archive, out) as (process, workers):
        process.kill()
        process.wait()
        assert gone(workers, 5)
    run_batch(str(archive), str(out), BatchOptions(formats=(Format.OVERLAY,), chunk=4))
    units = [row["unit"] for row in rows_of(out)]
    assert len(units) == len(set(units)) == 80


@pytest.mark.parametrize(
    ("workers", "files", "expected"),
    [(2, 99, Engine.THREADS), (3, 5, Engine.THREADS), (3, 6, Engine.PROCESSES), (3, 99, Engine.PROCESSES)],
)
def test_processes_are_begun_for_many_files_and_cores(
    workers: int, files: int, expected: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run_module, "_MANY_FILES", 6)
    archive = many(tmp_path / "archive", files, [png(tmp_path / "one.png")])
    units = run_module.open_archive(str(archive)).units(None)
    given = list(run_module.chunks_of(units, 2))
    engine, chunks = run_module._engine_for(BatchOptions(workers=workers), iter(given))
    assert engine is expected
    assert list(chunks) == given
