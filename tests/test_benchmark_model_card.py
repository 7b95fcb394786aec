"""The model card's tables and the choice of the worst slices, on made-up results."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from tumorlens.errors import TumorlensError

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "model_card.py"
if not SCRIPT.is_file():
    pytest.skip("the benchmarks come with the repository only", allow_module_level=True)


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_card", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


model_card = load_script()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    known = pd.DataFrame(
        {
            "file": ["1.mat", "2.mat", "10.mat", "odd.mat"],
            "patient": ["7", "7", "8", "9"],
            "label": ["meningioma", "meningioma", "glioma", "glioma"],
            "fold": [3, 3, 4, np.nan],
        }
    )
    tables = {
        "segmentation": known.assign(true_area_mm2=[150.0, 200.0, 900.0, 5000.0], dice=[0.5, 0.7, 0.0, 0.0]),
        "classification": known.assign(correct=[True, True, False, True]),
        "trust": known.assign(pointing=[1.0, 0.0, np.nan, 1.0], flagged=[0.0, 1.0, 0.0, 0.0]),
    }
    for task, table in tables.items():
        (tmp_path / task).mkdir()
        table.to_csv(tmp_path / task / "slices.csv", index=False)
    return tmp_path


@pytest.fixture
def views(tmp_path: Path) -> Path:
    path = tmp_path / "views.csv"
    path.write_text("slice,view\n1,axial\n2,coronal\n10,axial\n")
    return path


def row_of(card: str, section: str, name: str) -> list[str]:
    part = card.partition(f"## {section}\n")[2].partition("\n## ")[0]
    [line] = [line for line in part.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_every_group_counts_its_own_slices_and_patients(results: Path, views: Path) -> None:
    card = model_card.card(model_card.read_results(results, views))
    assert row_of(card, "All slices", "all")[:2] == ["4", "3"]
    assert row_of(card, "By tumor type", "meningioma")[:3] == ["2", "1", "0.600"]
    assert row_of(card, "By tumor size, the true area on the slice", "200–500 mm²")[:3] == ["1", "1", "0.700"]
    assert row_of(card, "By view", "not recorded")[:2] == ["1", "1"]
    assert row_of(card, "By the author's fold", "fold 3")[:2] == ["2", "1"]
    assert row_of(card, "By tumor type and view", "glioma, axial")[2:] == ["0.000", "0.000", "n/a", "0.000"]


def test_a_slice_without_a_heatmap_stays_out_of_the_pointing_game(results: Path, views: Path) -> None:
    card = model_card.card(model_card.read_results(results, views))
    assert row_of(card, "All slices", "all")[4].startswith("0.667 (")


def test_of_equally_bad_slices_the_larger_tumor_is_worse(results: Path, views: Path) -> None:
    worst = model_card.worst_slices(model_card.read_results(results, views), 3)
    assert worst["file"].tolist() == ["odd.mat", "10.mat", "1.mat"]


def test_results_of_different_slices_are_refused(results: Path, views: Path) -> None:
    path = results / "trust" / "slices.csv"
    pd.read_csv(path).iloc[1:].to_csv(path, index=False)
    with pytest.raises(TumorlensError, match="same slices in trust"):
        model_card.read_results(results, views)


def test_slices_that_no_run_tested_are_named(results: Path) -> None:
    with pytest.raises(TumorlensError, match=r"that tested 1\.mat"):
        model_card.analyzers(results, 1, None, ["1.mat"])


def test_the_labelled_views_name_each_slice_once() -> None:
    labelled = pd.read_csv(SCRIPT.with_name("views.csv"))
    assert labelled["slice"].is_unique
    assert labelled["slice"].is_monotonic_increasing
    assert set(labelled["view"]) == set(model_card.VIEWS)
