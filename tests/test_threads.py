"""Threads that need a library at the same moment, for the first time; and those that nobody needs."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tumorlens
from tumorlens.parallel import processors

SOURCE = Path(tumorlens.__file__).parent
LATE = ("highdicom", "nibabel", "pydicom")
"""Libraries that are loaded at first use and whose own beginning loads their parts."""
MODULES = [
    path for half in ("scan", "finding", "pacs", "server", "batch") for path in (SOURCE / half).glob("*.py")
]

RACE = """
import importlib, sys, threading, time
import tumorlens.analyze, tumorlens.finding.write

library, module = sys.argv[1:]
begun, problems = threading.Event(), []

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(library + ".") and not begun.is_set():
            begun.set()
            time.sleep(0.5)

def load(name):
    try:
        importlib.import_module(name)
    except BaseException as error:
        problems.append(f"{name}: {error!r}")

sys.meta_path.insert(0, Slow())
first = threading.Thread(target=load, args=[library])
first.start()
assert begun.wait(20)
second = threading.Thread(target=load, args=[module])
second.start()
first.join(), second.join()
assert not problems, problems
"""


def first_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Each late library that a module imports, and how it first does so."""
    seen = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            library = name.partition(".")[0]
            if library in LATE and library not in seen:
                seen |= {library, "pydicom"} if library == "highdicom" else {library}  # which needs pydicom
                yield library, name


def test_a_late_library_is_imported_before_its_parts() -> None:
    # Python locks a part before it loads the whole, and a thread that loads the whole needs that part.
    found = [(path.name, *names) for path in MODULES for names in first_imports(path)]
    assert {library for _, library, _ in found} == set(LATE)
    assert [each for each in found if each[1] != each[2]] == []


@pytest.mark.parametrize(
    ("library", "module"),
    [
        ("nibabel", "tumorlens.scan.nifti"),
        ("nibabel", "tumorlens.finding.nifti"),
        ("pydicom", "tumorlens.scan.dicom"),
        ("highdicom", "tumorlens.finding.dicom_seg"),
        ("highdicom", "tumorlens.finding.dicom_capture"),
    ],
)
def test_a_thread_may_read_while_another_loads_the_library(library: str, module: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", RACE, library, module], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr


_WOKEN = """
import os, pathlib, sys, time
import numpy
own = [each for each in pathlib.Path("/proc/self/task").iterdir() if each.name != str(os.getpid())]
def spent():
    return sum(int((each / "stat").read_text().rpartition(")")[2].split()[11]) for each in own)
from tumorlens import Analyzer, read_scan
from tumorlens.parallel import in_order
analyzer = Analyzer()
scans = [read_scan(path) for path in sys.argv[1:]]
time.sleep(0.5)  # after their own beginning
before = spent()
for group in (scans, scans[:1], [scan for scan in scans for _ in range(4)]):
    list(in_order(analyzer.analyze, group))
    analyzer.analyze_batch(group)
used = spent() - before
large = numpy.ones((1000, 1000), numpy.float32)
before = spent()
for _ in range(20):
    large @ large
print(used, spent() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
@pytest.mark.skipif(processors() == 1, reason="needs two cores")
def test_numpy_begins_no_threads_beside_ours(slice_paths: list[Path]) -> None:
    """Those of OpenBLAS wait for more work by spinning, which takes the cores from the networks."""
    alone = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", _WOKEN, *map(str, slice_paths[:6])],
        env=alone,
        capture_output=True,
        text=True,
        check=True,
    )
    used, by_a_large_product = map(int, done.stdout.split())  # hundredths of a second
    if not by_a_large_product:
        pytest.skip("this numpy has no threads of its own, or none that can be told")
    assert used <= 1
