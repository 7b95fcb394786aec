"""The two halves stay apart, and analysis starts light."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.bundle.small import write_small

HEAVY = [
    "lightning", "matplotlib", "monai", "onnx", "onnxscript", "pandas", "safetensors", "scipy", "seaborn",
    "sklearn",
    "timm", "torch", "torchmetrics", "torchvision",
]  # fmt: skip
LIGHT = [
    "tumorlens",
    "tumorlens.cli",
    "tumorlens.scan",
    "tumorlens.scan.choice",
    "tumorlens.scan.sources",
    "tumorlens.scan.stack",
    "tumorlens.finding",
    "tumorlens.finding.write",
    "tumorlens.cli.serve",
    "tumorlens.dataset",
    "tumorlens.dataset.download",
    "tumorlens.dataset.verify",
    "tumorlens.dataset.statistics",
    "tumorlens.analyze",
    "tumorlens.assemble",
    "tumorlens.bundle",
    "tumorlens.bundle.describe",
    "tumorlens.bundle.write",
    "tumorlens.ensemble",
    "tumorlens.familiarity",
    "tumorlens.judgement",
    "tumorlens.outline",
    "tumorlens.pacs.server",
    "tumorlens.pacs.watch",
    "tumorlens.cli.pacs",
    "tumorlens.predict",
    "tumorlens.preprocess",
]


def loaded_after(code: str, libraries: Sequence[str] = HEAVY) -> list[str]:
    """Which libraries a fresh interpreter has loaded after running some code."""
    tell = f"import json, sys; print(json.dumps([n for n in {list(libraries)} if n in sys.modules]))"
    command = [sys.executable, "-c", f"{code}\n{tell}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    loaded: list[str] = json.loads(printed.splitlines()[-1])
    return loaded


def test_analysis_imports_no_library_of_the_training_half() -> None:
    assert loaded_after("import " + ", ".join(LIGHT)) == []


def test_a_bundle_is_used_without_them(tmp_path: Path) -> None:
    """Written here, loaded and asked there."""
    write_small(tmp_path / "b")
    Image.linear_gradient("L").resize((50, 40)).save(tmp_path / "a.png")
    words = [
        "predict",
        str(tmp_path / "a.png"),
        "--bundle",
        str(tmp_path / "b"),
        "--out",
        str(tmp_path / "out"),
    ]
    run = f"import sys; sys.argv = {['tumorlens', *words]}\nfrom tumorlens.cli import main\n"
    assert loaded_after(run + "try: main()\nexcept SystemExit as end: assert not end.code") == []
    assert (tmp_path / "out" / "a.json").is_file()


def test_a_picture_is_read_and_written_without_the_libraries_of_other_formats(tmp_path: Path) -> None:
    write_small(tmp_path / "b")
    Image.linear_gradient("L").resize((50, 40)).save(tmp_path / "a.png")
    run = (
        "from tumorlens import Analyzer, read_scan\n"
        f"finding = Analyzer({str(tmp_path / 'b')!r}).analyze(read_scan({str(tmp_path / 'a.png')!r}))\n"
        f"finding.write({str(tmp_path / 'out')!r}, ['overlay', 'json', 'html', 'mask'])"
    )
    assert loaded_after(run, ["pydicom", "highdicom", "nibabel"]) == []
    assert (tmp_path / "out" / "a.json").is_file()


def test_the_package_alone_starts_without_the_runtime() -> None:
    assert loaded_after("import tumorlens; tumorlens.read_scan", ["onnxruntime", "pydantic"]) == []
    assert loaded_after("import tumorlens; tumorlens.Analyzer", ["onnxruntime"]) == ["onnxruntime"]


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["bundle", "--help"], ["--version"]])
def test_help_is_printed_without_them(words: list[str]) -> None:
    run = f"import sys; sys.argv = {['tumorlens', *words]}\nfrom tumorlens.cli import main\n"
    assert loaded_after(run + "try: main()\nexcept SystemExit as end: assert not end.code") == []


def test_a_heavy_library_would_be_noticed() -> None:
    heavy = loaded_after("import tumorlens.train.recipe, tumorlens.model")
    assert {"timm", "torch", "torchvision"} <= set(heavy)


def test_the_import_contracts_hold() -> None:
    pytest.importorskip("importlinter")
    project = Path(__file__).parent.parent
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stdout
    assert "2 kept, 0 broken" in ended.stdout


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    import tumorlens

    assert Path(tumorlens.__file__).with_name("py.typed").is_file()
