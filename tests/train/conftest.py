"""The tiny dataset, once for all tests of training."""

from pathlib import Path

import pytest

from tests.train.tiny import open_tiny
from tumorlens.dataset import TumorDataset


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TumorDataset:
    """Twenty-four slices of 64 × 64 pixels, of twelve patients."""
    return open_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a run writes besides its folder lands where it is thrown away."""
    monkeypatch.chdir(tmp_path)
