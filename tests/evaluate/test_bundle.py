"""A bundle is measured on slices that it wasn't trained on, unless one asks for others."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.bundle.small import small_files, small_manifest, write_small
from tests.conftest import folds_file, slice_file
from tests.stand_ins import block
from tumorlens.bundle import Bundle
from tumorlens.bundle.manifest import Output, Training
from tumorlens.bundle.write import write_bundle
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.bundle import evaluate_bundle


def write_slices(folder: Path, folds: bool = True) -> TumorDataset:
    folder.mkdir()
    for number in range(1, 13):
        mask = np.roll(block((32, 32)), number % 3, axis=0)
        slice_file(
            folder / f"{number}.mat", (mask * 900).astype(np.int16), mask, 1 + number % 3, f"p{number}"
        )
    if folds:
        folds_file(folder / "cvind.mat", {number: 1 + (number - 1) // 4 for number in range(1, 13)})
    return open_dataset(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> TumorDataset:
    """Twelve slices, four of each of three folds."""
    return write_slices(tmp_path_factory.mktemp("data") / "slices")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Trained on folds 1 and 2."""
    return write_small(tmp_path_factory.mktemp("bundle") / "b")


def protocol(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "results.json").read_text())["protocol"]
    return found


@pytest.mark.parametrize(
    ("folds", "slices", "seen"), [(None, 4, 0), ([3], 4, 0), ([1, 3], 8, 4), ([1], 4, 4)]
)
def test_slices_of_folds_not_trained_on_are_the_default_and_others_are_owned_up_to(
    folds: list[int] | None, slices: int, seen: int, bundle: Bundle, dataset: TumorDataset, tmp_path: Path
) -> None:
    folders = evaluate_bundle(bundle, dataset, tmp_path / "out", folds)
    assert sorted(folder.name for folder in folders) == ["classification", "segmentation", "trust"]
    for folder in folders:
        assert json.loads((folder / "results.json").read_text())["slices"] == slices
        told = protocol(folder)
        assert told["of which trained on"] == seen
        assert told["folds trained on"] == [1, 2]
        assert told["bundle"] == "small of 2026-01-02"
    assert (tmp_path / "out" / "segmentation" / "figure-1-cases.png").is_file()
    assert (tmp_path / "out" / "classification" / "figure-6-roc.png").is_file()
    results = json.loads((tmp_path / "out" / "segmentation" / "results.json").read_text())
    assert results["scores"]["dice"]["value"] == 1


@pytest.mark.parametrize(("trained", "folds"), [((1, 2, 3), None), ((1,), [5]), ((1,), [3, 5])])
def test_no_such_slices_are_told_before_anything_is_written(
    trained: tuple[int, ...], folds: list[int] | None, dataset: TumorDataset, tmp_path: Path
) -> None:
    training = Training(dataset="d", licence="l", citation="c", slices=9, folds=trained, weights="w")
    bundle = write_small(tmp_path / "b", training=training)
    with pytest.raises(
        TumorlensError, match=r"found none; (choose with --fold|choose others$|leave them out)"
    ):
        evaluate_bundle(bundle, dataset, tmp_path / "out", folds)
    assert not (tmp_path / "out").exists()


def test_without_folds_every_slice_counts_and_nobody_claims_that_it_is_new(
    bundle: Bundle, dataset: TumorDataset, tmp_path: Path
) -> None:
    unfolded = write_slices(tmp_path / "slices", folds=False)
    training = Training(dataset="d", licence="l", citation="c", slices=9, weights="w")
    unknown = write_small(tmp_path / "b", training=training)
    for number, (each, slices) in enumerate([(unknown, dataset), (unknown, unfolded), (bundle, unfolded)]):
        [folder, *_] = evaluate_bundle(each, slices, tmp_path / str(number))
        assert json.loads((folder / "results.json").read_text())["slices"] == 12
        assert protocol(folder)["of which trained on"] == "not known"


def test_a_bundle_that_only_outlines_is_only_measured_for_that(dataset: TumorDataset, tmp_path: Path) -> None:
    files = small_files()
    whole = small_manifest(files)
    graph = whole.graphs[0].model_copy(update={"outputs": (Output.MASK_LOGITS,)})
    bundle = write_bundle(tmp_path / "b", small_manifest(files, graphs=(graph,)), files)
    assert [folder.name for folder in evaluate_bundle(bundle, dataset, tmp_path / "out")] == ["segmentation"]
