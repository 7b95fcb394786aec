"""Slices of known truth take the path that a user's scan takes, and are scored in their own pixels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import slice_file
from tests.stand_ins import Namer, Outliner, Pointer, block
from tumorlens.analyze import Analyzer
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.ensemble import Ensemble
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.measure import findings, measure
from tumorlens.judgement import Judgement
from tumorlens.tumor_type import TumorType

SHAPES = [(96, 96), (192, 192), (96, 96), (192, 192), (96, 96)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> TumorDataset:
    """Twenty slices of two sizes; what is bright is tumor, but for every fifth, whose outline is mirrored."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(20):
        shape = SHAPES[number % 5]
        mask = np.roll(block(shape), number % 3, axis=0)
        image = (mask * 900 + np.arange(shape[1]) % 7).astype(np.int16)
        true = mask[:, ::-1] if number % 5 == 4 else mask
        slice_file(folder / f"{number + 1}.mat", image, true, 1 + number % 3, f"patient {number // 2}")
    return open_dataset(folder)


def analyzer(*models: object, **more: object) -> Analyzer:
    return Analyzer(Ensemble(models, **more))  # type: ignore[arg-type]


def test_masks_are_scored_in_the_slices_own_pixels(dataset: TumorDataset) -> None:
    positions = list(range(20))
    evaluation = measure(analyzer(Outliner(96)), dataset, positions)["segmentation"]
    table = evaluation.slices.set_index("file")
    assert set(table.index) == {f"{number}.mat" for number in range(1, 21)}
    for position, entry in enumerate(dataset.entries):
        [finding] = findings(analyzer(Outliner(96)), dataset, [position])
        assert finding.mask is not None
        assert finding.mask.shape == (1, *entry.shape)
        true, mask = dataset.mask(position), finding.mask[0]
        assert table.loc[entry.file, "dice"] == pytest.approx(
            2 * (true & mask).sum() / (true.sum() + mask.sum())
        )
    mirrored = [f"{number}.mat" for number in (5, 10, 15, 20)]
    assert (table.loc[mirrored, "dice"] < 0.5).all()
    assert (table.drop(mirrored)["dice"] > 0.9).all()
    assert table.loc["1.mat", "dice"] == 1


def test_what_no_model_does_is_not_evaluated(dataset: TumorDataset) -> None:
    assert list(measure(analyzer(Outliner(96)), dataset, [0, 1])) == ["segmentation"]
    assert list(measure(analyzer(Namer()), dataset, [0, 1])) == ["classification", "trust"]
    assert sorted(measure(analyzer(Outliner(96), Pointer()), dataset, [0, 1])) == [
        "classification", "segmentation", "trust"
    ]  # fmt: skip


def test_names_and_heatmaps_are_judged_by_the_truth(dataset: TumorDataset) -> None:
    judgement = Judgement(unsure_margin=0.9, temperature=3)
    positions = list(range(3, 20))
    both = analyzer(Outliner(96), Pointer(), judgement=judgement)
    evaluations = measure(both, dataset, positions)
    names, trust = evaluations["classification"].slices, evaluations["trust"].slices
    files = [dataset.entries[position].file for position in positions]
    assert names["file"].tolist() == trust["file"].tolist() == files
    assert names["label"].tolist() == [dataset.entries[position].label.name.lower() for position in positions]
    for position, probability, pointing, energy in zip(
        positions, names["probability_glioma"], trust["pointing"], trust["energy"], strict=True
    ):
        [finding] = findings(both, dataset, [position])
        assert finding.probabilities is not None
        assert finding.heatmap is not None
        assert probability == pytest.approx(finding.probabilities[TumorType.GLIOMA])
        true = dataset.mask(position)
        assert bool(pointing) == bool(true[np.unravel_index(finding.heatmap[0].argmax(), true.shape)])
        assert energy == pytest.approx(finding.heatmap[0][true].sum() / finding.heatmap[0].sum(), abs=1e-4)
    mirrored = np.array([file in ("5.mat", "10.mat", "15.mat", "20.mat") for file in files])
    assert trust["energy"][mirrored].max() < trust["energy"][~mirrored].min()
    assert (trust["warnings"] == "unsure").all()
    assert (trust["inside_probability"] > 0.9).all()


def test_slices_come_in_batches_that_a_progress_bar_may_count(dataset: TumorDataset) -> None:
    seen: list[list[int]] = []

    def progress(batches: object) -> Iterator[list[int]]:
        for batch in list(batches):  # type: ignore[call-overload]
            seen.append(batch)
            yield batch

    measure(analyzer(Outliner(96), Namer()), dataset, list(range(20))[::-1], progress)  # type: ignore[arg-type]
    assert [len(batch) for batch in seen] == [16, 4]
    assert [position for batch in seen for position in batch] == list(range(20))[::-1]


def test_findings_know_the_slices_spacing_and_name(dataset: TumorDataset) -> None:
    [finding] = findings(analyzer(Outliner(96)), dataset, [1])
    assert finding.scan.source == Path(dataset.entries[1].file)
    assert finding.scan.spacing == (dataset.entries[1].spacing,) * 2
    assert finding.area_mm2 is not None


def test_no_slices_are_refused(dataset: TumorDataset) -> None:
    with pytest.raises(TumorlensError, match="expected slices to measure on, found none"):
        measure(analyzer(Outliner(96)), dataset, [])
