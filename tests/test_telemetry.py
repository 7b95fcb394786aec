"""Nothing is sent anywhere, and nothing is kept about who analyses."""

import os
import subprocess
import sys
from pathlib import Path

SLICE = Path(__file__).parent / "data" / "slices" / "104.mat"
ANALYSE = f"""
from tumorlens import Analyzer, read_scan
assert Analyzer().analyze(read_scan({str(SLICE)!r})).tumor_type
"""


def environment(home: Path) -> dict[str, str]:
    """Ours, but of a user who has nothing yet and whom no test run keeps from telemetry."""
    left_out = ("ORT_", "CI", "PYTEST", "XDG", "GITHUB")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


def test_analysing_leaves_nothing_in_the_users_home(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ANALYSE], check=True, env=environment(tmp_path), timeout=60)
    assert list(tmp_path.rglob("*")) == []
