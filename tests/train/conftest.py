"""The tiny dataset, runs on it and their graphs, once for all tests of training."""

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
import torch

from tests.train.tiny import SIZE, joint_recipe, open_tiny, tiny_recipe
from tumorlens.dataset import TumorDataset
from tumorlens.train.onnx_graph import to_onnx
from tumorlens.train.run import Run
from tumorlens.train.trainer import train


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in the processes that tests start: sums over threads differ in their last bit with the number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TumorDataset:
    """Twenty-four slices of 64 × 64 pixels, of twelve patients."""
    return open_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def runs(tiny: TumorDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run for each task."""
    folder = tmp_path_factory.mktemp("runs")
    recipes = {
        "joint": joint_recipe(folder),
        "segmentation": tiny_recipe(),
        "classification": tiny_recipe(task="classification"),
    }
    return {
        task: train(recipe, tiny, folder / task, report=lambda _: None) for task, recipe in recipes.items()
    }


@pytest.fixture(scope="session")
def graphs(runs: dict[str, Run]) -> dict[str, onnx.ModelProto]:
    """The graph of each run; made once, since the exporter takes seconds."""
    return {task: to_onnx(run.load_network(), task, SIZE) for task, run in runs.items()}


@pytest.fixture(autouse=True)
def nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a run writes besides its folder lands where it is thrown away."""
    monkeypatch.chdir(tmp_path)
