"""The first table counts rightly, and the picture of samples shows what it says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import WriteMat
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.dataset.statistics import sample_picture, statistics
from tumorlens.finding.picture import OUTLINE


@pytest.fixture
def small(tmp_path: Path, write_mat: WriteMat) -> TumorDataset:
    """Three meningiomas of two patients and a glioma of one of them; no pituitary tumor."""
    root = tmp_path / "data"
    root.mkdir()
    for number, (label, patient) in enumerate([(1, "A"), (1, "A"), (1, "B"), (2, "B")], start=1):
        write_mat(root / f"{number}.mat", label=label, patient=patient)
    return open_dataset(root)


@pytest.fixture(scope="session")
def real(slices_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TumorDataset:
    """The twelve real slices."""
    return open_dataset(slices_folder, tmp_path_factory.mktemp("cache") / "slices")


def outline(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray((np.asarray(Image.open(path)) == OUTLINE).all(axis=2))


def test_slices_and_patients_are_counted_by_class(small: TumorDataset) -> None:
    assert [(row.slices, row.percent, row.patients) for row in statistics(small).rows] == [
        (3, 75.0, 2),
        (1, 25.0, 1),
        (0, 0.0, 0),
    ]


def test_a_patient_of_two_classes_counts_once_in_the_total(small: TumorDataset) -> None:
    assert statistics(small).patients == 2


def test_the_table_in_markdown_ends_with_its_total(small: TumorDataset) -> None:
    assert statistics(small).to_markdown().splitlines() == [
        "| Class | Slices | Percent | Patients |",
        "| --- | ---: | ---: | ---: |",
        "| meningioma | 3 | 75.0 | 2 |",
        "| glioma | 1 | 25.0 | 1 |",
        "| pituitary tumor | 0 | 0.0 | 0 |",
        "| total | 4 | 100.0 | 2 |",
    ]


def test_the_picture_is_a_png_whatever_its_name(real: TumorDataset, tmp_path: Path) -> None:
    sample_picture(real, tmp_path / "samples", per_class=1)
    with Image.open(tmp_path / "samples") as picture:
        assert picture.format == "PNG"


def test_every_tile_of_the_picture_has_an_outline(real: TumorDataset, tmp_path: Path) -> None:
    sample_picture(real, tmp_path / "samples.png", per_class=4)
    found = outline(tmp_path / "samples.png")
    rows = np.array_split(found, 3, axis=0)
    tiles = [tile for row in rows for tile in np.array_split(row, 4, axis=1)]
    assert all(tile.sum() > 20 for tile in tiles)


def test_the_outline_is_two_pixels_wide_and_inside_the_tumor(tmp_path: Path, write_mat: WriteMat) -> None:
    mask = np.zeros((256, 256), np.uint8)
    mask[100:140, 60:160] = 1
    root = tmp_path / "data"
    root.mkdir()
    write_mat(root / "1.mat", np.arange(65536, dtype=np.int32).reshape(256, 256), mask)
    sample_picture(open_dataset(root), tmp_path / "samples.png", per_class=1)
    found = outline(tmp_path / "samples.png")
    rows, columns = np.nonzero(found)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (40, 100)
    middle = found[(rows.min() + rows.max()) // 2]
    assert np.diff(np.flatnonzero(np.diff(middle.astype(int)))).tolist() == [2, 96, 2]


def test_the_same_seed_gives_the_same_picture(real: TumorDataset, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        sample_picture(real, tmp_path / name, per_class=1, seed=seed)
    pictures = [(tmp_path / name).read_bytes() for name in "abc"]
    assert pictures[0] == pictures[1] != pictures[2]


def test_a_class_with_too_few_slices_shows_those_there_are(small: TumorDataset, tmp_path: Path) -> None:
    sample_picture(small, tmp_path / "samples.png", per_class=2)
    top, middle, bottom = (
        part.any() for part in np.array_split(outline(tmp_path / "samples.png"), 3, axis=0)
    )
    assert (top, middle, bottom) == (True, True, False)


def test_no_slices_per_class_is_refused(small: TumorDataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one slice"):
        sample_picture(small, tmp_path / "samples.png", per_class=0)
