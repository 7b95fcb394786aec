"""Folds and sweeps: the same runs and one table, one after the other or as tasks of Ray."""

import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from tests.command_line import Tumorlens
from tests.train.tiny import FAST, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.train import fan_out
from tumorlens.train.cross_validation import cross_validate
from tumorlens.train.fan_out import Engine, Job, Means, train_all
from tumorlens.train.ranks import Ranks
from tumorlens.train.run import Run
from tumorlens.train.sweep import combinations_of, sweep
from tumorlens.train.trainer import train

ONE = "training.phases=[{epochs: 1, learning_rate: 0.001}]"
RATES = "training.phases.0.learning_rate=1e-3,5e-3"
SIZES = "training.batch_size=3,6"


ORIGINAL = fan_out._train_one


def silent(_: str) -> None:
    """Say nothing."""


def test_every_combination_of_the_values_is_made() -> None:
    keys = ("training.phases.0.learning_rate", "augmentation.horizontal_flip", "model.decoder_channels")
    assert combinations_of([RATES, f"{keys[1]}=true,false", f"{keys[2]}=[8, 8],[4]"]) == [
        dict(zip(keys, (rate, flip, channels), strict=True))
        for rate in ("1e-3", "5e-3")
        for flip in (True, False)
        for channels in ([8, 8], [4])
    ]


@pytest.mark.parametrize("varied", [["training.batch_size"], ["=1,2"], ["a=["], ["a="], ["a=1", "a=2"]])
def test_a_setting_that_cannot_be_read_is_told(varied: list[str]) -> None:
    with pytest.raises(TumorlensError, match="expected key=value,value"):
        combinations_of(varied)


def test_a_sweep_leaves_a_table_sorted_by_score_and_keeps_what_is_trained(
    tiny: TumorDataset, tmp_path: Path, tumorlens: Tumorlens
) -> None:
    sets = [word for override in (*FAST, ONE) for word in ("--set", override)]
    words = ["sweep", "smoke", "--data", tiny.root, "--out", tmp_path / "sweep", *sets, "--vary", RATES]
    code, out, err = tumorlens(*words, "--vary", SIZES)
    assert (code, err) == (0, "")
    rows = json.loads((tmp_path / "sweep" / "results.json").read_text())["runs"]
    scores = [row["validation_score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert len({(row["training.phases.0.learning_rate"], row["training.batch_size"]) for row in rows}) == 4
    for row in rows:
        run = Run(tmp_path / "sweep" / row["run"])
        assert run.record.best_score == row["validation_score"]
        assert run.recipe.training.batch_size == row["training.batch_size"]
        assert run.recipe.training.phases[0].learning_rate == float(row["training.phases.0.learning_rate"])
    assert list(pd.read_csv(tmp_path / "sweep" / "results.csv")["run"]) == [row["run"] for row in rows]
    assert out.endswith((tmp_path / "sweep" / "results.md").read_text())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").rglob("best.safetensors")}
    code, out, _ = tumorlens(*words, "--vary", "training.batch_size=3,6,4")
    assert code == 0
    assert out.count("already trained to its end") == 4
    assert len(json.loads((tmp_path / "sweep" / "results.json").read_text())["runs"]) == 6
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_values_that_are_the_same_are_refused(tiny: TumorDataset, tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match="got the same one twice"):
        sweep("smoke", FAST, ["training.batch_size=3,3"], tiny, tmp_path / "sweep", Means(), silent)
    assert not (tmp_path / "sweep").exists()


def test_a_run_of_ray_has_one_device() -> None:
    with pytest.raises(TumorlensError, match="expected one device a run"):
        Means(Engine.RAY, Ranks(0, 2))


@pytest.fixture(scope="module")
def ray_here() -> object:
    """A cluster of this machine, once: it takes seconds to start."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local", include_dashboard=False, num_cpus=2, log_to_driver=False, logging_level="ERROR",
        _node_ip_address="127.0.0.1", object_store_memory=100 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}},
    )  # fmt: skip
    yield ray
    ray.shutdown()


def test_folds_by_ray_are_those_trained_one_after_the_other(
    ray_here: object, tiny: TumorDataset, tmp_path: Path
) -> None:
    recipe = tiny_recipe(ONE)
    local = cross_validate(recipe, tiny, tmp_path / "local", folds=3, report=silent)
    said: list[str] = []
    means = Means(Engine.RAY)
    by_ray = cross_validate(recipe, tiny, tmp_path / "ray", folds=3, report=said.append, means=means)
    assert [run.folder.name for run in by_ray] == ["fold-1", "fold-2", "fold-3"]
    for one, other in zip(local, by_ray, strict=True):
        assert one.split == other.split
        assert one.best_weights.read_bytes() == other.best_weights.read_bytes()
    assert sum("best epoch 1" in line for line in said) == 3


def test_a_task_whose_process_dies_is_tried_again_and_goes_on(
    ray_here: object, tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe("training.phases=[{epochs: 3, learning_rate: 0.001}]", "training.patience=9")
    whole = train(recipe, tiny, tmp_path / "whole", report=silent)
    monkeypatch.setattr("tumorlens.train.fan_out._train_one", dying_once)
    [run] = train_all([Job("a run", recipe, tmp_path / "run")], tiny, Means(Engine.RAY), silent)
    assert (tmp_path / "run" / "checkpoints" / "died").is_file()
    assert run.best_weights.read_bytes() == whole.best_weights.read_bytes()


def dying_once(job: Job, root: Path, cache: Path, means: Means) -> str:
    """A task whose process is killed after its first epoch, the first time."""
    died = job.folder / "checkpoints" / "died"
    if died.exists():
        assert (job.folder / "checkpoints" / "last.ckpt").is_file()
        return ORIGINAL(job, root, cache, means)
    honest = fan_out.train

    def killed_later(*arguments: object, **options: object) -> object:
        def report(line: str) -> None:
            if line.startswith("epoch 2"):
                died.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)

        return honest(*arguments, **{**options, "report": report})  # type: ignore[arg-type]

    fan_out.train = killed_later  # type: ignore[assignment]
    return ORIGINAL(job, root, cache, means)


def test_a_mistake_in_a_task_is_told_with_the_run_s_title(
    ray_here: object, tiny: TumorDataset, tmp_path: Path
) -> None:
    jobs = [Job("the run of size 100", tiny_recipe("size=100"), tmp_path / "run")]
    with pytest.raises(TumorlensError, match=r"the run of size 100: .*multiples of 32"):
        train_all(jobs, tiny, Means(Engine.RAY), silent)


def test_a_task_that_no_machine_has_room_for_is_refused(
    ray_here: object, tiny: TumorDataset, tmp_path: Path
) -> None:
    with pytest.raises(TumorlensError, match="expected at most 2 CPUs a run, got 99"):
        train_all([Job("a", tiny_recipe(), tmp_path / "a")], tiny, Means(Engine.RAY, cpus=99), silent)
