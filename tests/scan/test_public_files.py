"""Other people's DICOM files: every one is read or refused in a sentence, and nothing is printed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from tumorlens.scan import read_scan

PYDICOM = Path(pydicom.__file__).parent / "data"
# In a process of its own, since pytest keeps warnings and output back.
PROGRAM = """
import json, sys
from tumorlens.errors import TumorlensError
from tumorlens.scan import read_scan

outcomes = {}
for path in sys.stdin.read().splitlines():
    try:
        outcomes[path] = list(read_scan(path).pixels.shape)
    except TumorlensError as error:
        outcomes[path] = str(error)
print(json.dumps(outcomes))
"""


def folders() -> list[Path]:
    found = [PYDICOM / "test_files", PYDICOM / "charset_files"]
    more = importlib.util.find_spec("data_store")
    if more is not None and more.origin is not None:  # of pydicom-data, where installed
        found.append(Path(more.origin).parent / "data")
    return found


def test_every_file_of_pydicom_is_read_or_refused_in_a_sentence_and_nothing_is_printed() -> None:
    paths = [str(path) for folder in folders() for path in folder.rglob("*") if path.is_file()]
    assert len(paths) > 150
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input="\n".join(paths), capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    outcomes = json.loads(done.stdout)
    assert outcomes.keys() == set(paths)
    for path, outcome in outcomes.items():
        if isinstance(outcome, str):
            assert "expected" in outcome, path
            assert "\n" not in outcome, path
    read = {Path(path).name for path, outcome in outcomes.items() if not isinstance(outcome, str)}
    assert {"MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_padded.dcm"} <= read


@pytest.mark.parametrize(
    "name", [path.name for path in sorted((PYDICOM / "test_files").glob("MR_small_*.dcm"))]
)
def test_one_slice_is_the_same_in_every_transfer_syntax(name: str) -> None:
    original, other = (read_scan(PYDICOM / "test_files" / each) for each in ("MR_small.dcm", name))
    assert (original.pixels == other.pixels).all()
    assert (original.spacing, original.slice_spacing) == (other.spacing, other.slice_spacing)
