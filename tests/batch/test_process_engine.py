"""Processes give the rows that threads give, and neither a kill nor Ctrl-C leaves one of them behind."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.batch.archives import leftovers, many, png, rows_of, told
from tests.batch.processes import descendants, title
from tumorlens.batch import BatchOptions, Engine, run_batch
from tumorlens.batch import run as run_module
from tumorlens.batch.archive import open_archive
from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.unit import chunks_of
from tumorlens.bundle.device import Device
from tumorlens.errors import TumorlensError
from tumorlens.finding.write import Format


def workers_of(process: int) -> list[int]:
    return [each for each in descendants(process) if "process_worker" in title(each)]


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
        if report is not None and not self.workers:
            self.workers = workers_of(os.getpid())
            for number in self._signals:
                os.kill(self.workers[0], number)

    def ended(self, progress: Progress, words: str) -> None:
        self.words = words


def test_rows_and_files_are_those_of_threads(archive: Path, tmp_path: Path) -> None:
    """Also where a worker is asked to end, as by who ends a whole service: that is the command's business."""
    out, watcher = tmp_path / "processes", Watcher(signal.SIGTERM)
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
    with pytest.raises(TumorlensError, match=r"a process ended \(signal 9\).*fewer --workers"):
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
def command(*words: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A batch in processes, in a group of its own, as from a terminal."""
    asked = ["--engine", "processes", "--workers", "2", "--chunk", "4"]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "tumorlens", "batch", *asked, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **more,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def both_workers(process: subprocess.Popen[str], out: Path) -> list[int]:
    """Once there are rows."""
    wait_for(lambda: list(out.glob("rows/*.parquet")))
    workers = workers_of(process.pid)
    assert len(workers) == 2
    return workers


@pytest.mark.parametrize(("request_", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_request_to_end_ends_all_processes(request_: signal.Signals, code: int, tmp_path: Path) -> None:
    archive, out = many(tmp_path / "archive", 400, [png(tmp_path / "one.png")]), tmp_path / "out"
    with command(str(archive), "--out", str(out), "--write", "overlay") as process:
        workers = both_workers(process, out)
        os.killpg(process.pid, request_)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert "give the same command again to go on" in err
    assert "Traceback" not in err
    assert gone(workers)
    assert not (out / ".staging").exists()
    assert 0 < len(rows_of(out)) < 400


def test_ctrl_c_while_processes_begin_waits_for_none_and_prints_no_trace(tmp_path: Path) -> None:
    archive, out = many(tmp_path / "archive", 1000, [png(tmp_path / "one.png")]), tmp_path / "out"
    with command(str(archive), "--out", str(out), "--log-json", "--chunk", "500") as process:
        wait_for(lambda: len(workers_of(process.pid)) == 2)
        time.sleep(0.5)  # all is listed, and the command waits
        os.killpg(process.pid, signal.SIGINT)
        asked = time.monotonic()
        _, err = process.communicate(timeout=60)
    assert time.monotonic() - asked < 4, "a chunk takes longer"
    assert process.returncode == 130
    assert err
    assert all(event.startswith("{") for event in err.splitlines()), err


def test_copies_of_files_from_elsewhere_go_with_the_processes(tmp_path: Path) -> None:
    archive = many(tmp_path / "archive", 400, [png(tmp_path / "one.png")])
    (copies := tmp_path / "copies").mkdir()
    (tmp_path / "out" / "rows").mkdir(parents=True)
    source, out = archive.as_uri(), f"local://{tmp_path / 'out'}"
    with command(source, "--out", out, env={**os.environ, "TMPDIR": str(copies)}) as process:
        both_workers(process, tmp_path / "out")
        assert list(copies.rglob("*"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert not list(copies.iterdir())


def test_workers_end_with_a_command_that_is_killed(tmp_path: Path) -> None:
    archive, out = many(tmp_path / "archive", 80, [png(tmp_path / "one.png")]), tmp_path / "out"
    with command(str(archive), "--out", str(out), "--write", "overlay") as process:
        workers = both_workers(process, out)
        process.kill()
        process.wait()
        assert gone(workers, 5)
    run_batch(str(archive), str(out), BatchOptions(formats=(Format.OVERLAY,), chunk=4))
    units = [row["unit"] for row in rows_of(out)]
    assert len(units) == len(set(units)) == 80


def test_a_worker_ends_with_its_input() -> None:
    words = [sys.executable, "-m", "tumorlens.batch.process_worker"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as worker:
        try:
            assert worker.stdin is not None
            worker.stdin.write(b"{}\n")
            worker.stdin.close()
            assert worker.wait(20) == 0
        finally:
            worker.kill()


def test_no_code_of_the_folder_that_it_is_called_in_is_run(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for name in ("json", "numpy", "pydantic", "queue"):
        (tmp_path / "here" / f"{name}.py").write_text("raise SystemExit('code of a stranger')")
    with command(str(archive), "--out", str(tmp_path / "out"), cwd=tmp_path / "here") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err  # one input is damaged
    assert "stranger" not in err


def test_what_a_process_cannot_open_is_said_as_it_is(tmp_path: Path) -> None:
    """A store in memory has nothing in another process."""
    files = fsspec.filesystem("memory")
    files.pipe("/archive/one.png", png(tmp_path / "one.png").read_bytes())
    options = BatchOptions(engine=Engine.PROCESSES, workers=2)
    with pytest.raises(TumorlensError, match="memory://archive: expected"):
        run_batch("memory://archive", str(tmp_path / "out"), options)
    assert not workers_of(os.getpid())


def test_a_process_that_cannot_be_begun_leaves_none_behind(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun = subprocess.Popen, []

    def begun_once(*words: Any, **more: Any) -> Any:
        if begun:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        begun.append(begin(*words, **more))
        return begun[0]

    monkeypatch.setattr("tumorlens.batch.process_engine.subprocess.Popen", begun_once)
    options = BatchOptions(engine=Engine.PROCESSES, workers=2, chunk=2)
    with pytest.raises(OSError, match="temporarily unavailable"):
        run_batch(str(archive), str(tmp_path / "out"), options)
    assert gone([begun[0].pid])


@pytest.mark.parametrize(
    ("workers", "files", "device", "expected"),
    [
        (2, 99, "cpu", Engine.THREADS),
        (3, 10, "cpu", Engine.THREADS),
        (3, 11, "cpu", Engine.PROCESSES),
        (3, 99, "cpu", Engine.PROCESSES),
        (3, 99, "cuda", Engine.THREADS),
    ],
)
def test_processes_are_begun_where_more_than_two_get_two_chunks_each(
    workers: int, files: int, device: str, expected: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run_module, "wanted_device", lambda: Device(device))
    archive = many(tmp_path / "archive", files, [png(tmp_path / "one.png")])
    given = list(chunks_of(open_archive(str(archive)).units(None), 2))
    engine, chunks = run_module._engine_for(BatchOptions(workers=workers), iter(given))
    assert engine is expected
    assert list(chunks) == given
