"""What tests of findings share."""

import pytest

from tumorlens.finding import report


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports with tiny pictures, since drawing them is what takes the time."""
    monkeypatch.setattr(report, "_KEY_SIDE", 60)
    monkeypatch.setattr(report, "_FURTHER_SIDE", 30)
