"""The two halves stay apart, and analysis starts light."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["lightning", "matplotlib", "monai", "pandas", "seaborn", "sklearn", "timm", "torch", "torchvision"]
LIGHT = [
    "tumorlens",
    "tumorlens.cli",
    "tumorlens.scan",
    "tumorlens.finding",
    "tumorlens.dataset",
    "tumorlens.dataset.download",
    "tumorlens.dataset.verify",
    "tumorlens.dataset.statistics",
    "tumorlens.analyze",
    "tumorlens.predict",
    "tumorlens.preprocess",
]


def loaded_after(code: str) -> list[str]:
    """Which heavy libraries a fresh interpreter has loaded after running some code."""
    tell = f"import json, sys; print(json.dumps([n for n in {HEAVY} if n in sys.modules]))"
    command = [sys.executable, "-c", f"{code}\n{tell}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    loaded: list[str] = json.loads(printed.splitlines()[-1])
    return loaded


def test_analysis_imports_no_library_of_the_training_half() -> None:
    assert loaded_after("import " + ", ".join(LIGHT)) == []


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["dataset", "--help"], ["--version"]])
def test_help_is_printed_without_them(words: list[str]) -> None:
    run = f"import sys; sys.argv = {['tumorlens', *words]}\nfrom tumorlens.cli import main\n"
    assert loaded_after(run + "try: main()\nexcept SystemExit as end: assert not end.code") == []


def test_a_heavy_library_would_be_noticed() -> None:
    assert loaded_after("import tumorlens.train.recipe, tumorlens.model") == ["timm", "torch", "torchvision"]


def test_the_import_contracts_hold() -> None:
    pytest.importorskip("importlinter")
    project = Path(__file__).parent.parent
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stdout
    assert "2 kept, 0 broken" in ended.stdout
