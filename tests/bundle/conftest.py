"""A small bundle, written once and copied for each test that damages it."""

import shutil
from pathlib import Path

import pytest

from tests.bundle.small import write_small
from tumorlens.bundle import Bundle


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_small(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture
def copied(small: Bundle, tmp_path: Path) -> Path:
    """A copy of the small bundle that may be damaged."""
    return Path(shutil.copytree(small.folder, tmp_path / "copied"))
