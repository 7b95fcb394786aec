"""An archive of few scans with one of each kind of trouble."""

from pathlib import Path

import pytest

from tests.batch.archives import small_archive


@pytest.fixture
def archive(tmp_path: Path, slice_paths: list[Path]) -> Path:
    """Nine inputs; see `small_archive`."""
    return small_archive(tmp_path / "archive", slice_paths[:6])
