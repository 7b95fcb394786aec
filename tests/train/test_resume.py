"""Whatever ends a run's process, the resumed run ends as if nothing had happened."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.train.process import Started, start
from tests.train.tiny import FAST, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.train.run import Run
from tumorlens.train.trainer import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

CLOCK = ["seconds", "train_slices_per_second"]
# Two phases, frozen batch norms, warm-up, augmentation, dropout: all that a resumed run could get wrong.
PHASES = (
    "training.phases=[{epochs: 2, learning_rate: 0.003, trainable: last-block}, "
    "{epochs: 6, learning_rate: 0.003, schedule: cosine, warmup_epochs: 1.5}]"
)
OVERRIDES = [
    PHASES,
    "augmentation.probability=1",
    "training.patience=9",
]
DROPOUT = "model.dropout=0.5"


def silent(_: str) -> None:
    """Report nothing."""


def words(tiny: TumorDataset, run: Path, *overrides: str, task: str = "segmentation") -> list[str]:
    sets = [word for override in [*FAST, *overrides] for word in ("--set", override)]
    recipe = "smoke" if task == "segmentation" else "smoke-classification"
    return ["train", recipe, "--data", str(tiny.root), "--out", str(run), "--resume", *sets]


def epochs(run: Path) -> int:
    metrics = run / "metrics.csv"
    return max(len(metrics.read_text().splitlines()) - 1, 0) if metrics.exists() else 0


def kill(started: Started) -> None:
    os.kill(started.process.pid or 0, signal.SIGKILL)
    assert started.finish() == -signal.SIGKILL


def assert_same_run(one: Run, other: Run) -> None:
    pd.testing.assert_frame_equal(
        one.history().drop(columns=CLOCK), other.history().drop(columns=CLOCK), check_exact=True
    )
    assert one.best_weights.read_bytes() == other.best_weights.read_bytes()
    assert (one.record.best_epoch, one.record.best_score) == (
        other.record.best_epoch,
        other.record.best_score,
    )


@pytest.mark.parametrize(
    ("task", "moments"), [("segmentation", (0, 0.3, 0.8)), ("classification", (0.1, 0.55, 1.2))]
)
def test_a_run_killed_at_any_moment_ends_as_an_uninterrupted_one(
    task: str, moments: tuple[float, ...], tiny: TumorDataset, tmp_path: Path
) -> None:
    """The moments are counted in epochs from the end of one."""
    overrides = [*OVERRIDES, DROPOUT] if task == "classification" else OVERRIDES
    whole = train(tiny_recipe(*overrides, task=task), tiny, tmp_path / "whole", report=silent)
    epoch = whole.history()["seconds"].median()
    folder = tmp_path / "killed"
    for moment in moments:
        done = epochs(folder)
        started = start(tmp_path, *words(tiny, folder, *overrides, task=task))
        started.wait_until(lambda done=done: epochs(folder) > done)  # type: ignore[misc]
        time.sleep(moment * epoch)
        kill(started)
        assert not Run(folder).is_finished
    killed = train(tiny_recipe(*overrides, task=task), tiny, folder, resume=True, report=silent)
    assert_same_run(killed, whole)
    assert not list(folder.rglob("*.partial"))


def _half_written(name: str) -> Callable[[Path], bool]:
    return lambda folder: epochs(folder) > 0 and any(folder.rglob(f".{name}.*.partial"))


@pytest.mark.parametrize("name", ["best.safetensors", "last.ckpt"])
def test_a_run_killed_while_it_writes_keeps_whole_files(
    name: str, tiny: TumorDataset, tmp_path: Path
) -> None:
    """A larger encoder, so that writing takes long enough to be hit."""
    overrides = ["training.phases=[{epochs: 4, learning_rate: 0.001}]", "model.encoder=resnet10t"]
    folder = tmp_path / "run"
    started = start(tmp_path, *words(tiny, folder, *overrides))
    started.wait_until(lambda: _half_written(name)(folder))
    kill(started)
    run = Run(folder)
    run.load_network()
    assert len(run.history()) >= 1
    finished = train(tiny_recipe(*overrides), tiny, folder, resume=True, report=silent)
    assert len(finished.history()) == 4
    assert not list(folder.rglob("*.partial"))


def test_ctrl_c_ends_a_run_in_one_line_and_leaves_it_resumable(tiny: TumorDataset, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    overrides = ["training.phases=[{epochs: 25, learning_rate: 0.003}]", "training.patience=25"]
    started = start(tmp_path, *words(tiny, folder, *overrides))
    started.wait_until(lambda: "epoch 1/" in started.out.read_text())
    os.kill(started.process.pid or 0, signal.SIGINT)
    assert started.finish() == 130
    assert started.err.read_text() == "tumorlens: interrupted; what was finished is whole\n"
    assert not Run(folder).is_finished
    whole = train(tiny_recipe(*overrides), tiny, tmp_path / "whole", report=silent)
    assert_same_run(train(tiny_recipe(*overrides), tiny, folder, resume=True, report=silent), whole)


def test_a_terminated_run_does_not_look_finished(tiny: TumorDataset, tmp_path: Path) -> None:
    overrides = ["training.phases=[{epochs: 25, learning_rate: 0.003}]", "training.patience=25"]
    started = start(tmp_path, *words(tiny, tmp_path / "run", *overrides))
    started.wait_until(lambda: "epoch 1/" in started.out.read_text())
    os.kill(started.process.pid or 0, signal.SIGTERM)
    assert started.finish() == 128 + signal.SIGTERM
    assert started.err.read_text() == "tumorlens: interrupted; what was finished is whole\n"
    assert not Run(tmp_path / "run").is_finished


@pytest.mark.parametrize("largest", [100, 20_000, 1_000_000, 4_000_000])
def test_a_full_disk_ends_a_run_in_one_line_and_leaves_no_half_files(
    largest: int, tiny: TumorDataset, tmp_path: Path
) -> None:
    """The limit is met by the recipe, by the preprocessed slices, by the weights, by the checkpoint."""
    folder = tmp_path / "run"
    started = start(tmp_path, *words(tiny, folder, "size=96"), largest_file=largest)
    assert started.finish() == 2
    [line] = started.err.read_text().splitlines()
    assert line.startswith("tumorlens: ")
    assert "disk is full" in line or "make room" in line
    assert not list(folder.rglob("*.partial"))
    assert not list(tiny.root.rglob("*.partial"))
    assert (folder / "best.safetensors").exists() == (largest == 4_000_000)
    finished = train(tiny_recipe("size=96"), tiny, folder, resume=True, report=silent)
    assert finished.is_finished


def test_a_full_disk_keeps_the_files_of_the_epochs_before(tiny: TumorDataset, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    started = start(tmp_path, *words(tiny, folder, *OVERRIDES))
    started.wait_until(lambda: (folder / "checkpoints" / "last.ckpt").exists())
    kill(started)
    before = {
        path: path.read_bytes() for path in (folder / "best.safetensors", folder / "checkpoints/last.ckpt")
    }
    started = start(tmp_path, *words(tiny, folder, *OVERRIDES), largest_file=1_000_000)
    assert started.finish() == 2
    assert {path: path.read_bytes() for path in before} == before
    whole = train(tiny_recipe(*OVERRIDES), tiny, tmp_path / "whole", report=silent)
    assert_same_run(train(tiny_recipe(*OVERRIDES), tiny, folder, resume=True, report=silent), whole)
