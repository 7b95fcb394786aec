"""What a model outlines lands on the slice where it is."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import slice_file
from tumorlens.analyze import Analyzer, Outputs, mask_from_logits, probabilities_from_logits
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding, write_json, write_mask, write_overlay
from tumorlens.predict import predict_files
from tumorlens.scan import Scan, read_scan
from tumorlens.tumor_type import TumorType


@dataclass
class Outliner:
    """Outlines whatever is brighter than the middle; remembers what it was fed."""

    size: int = 96
    fed: list[NDArray[np.float32]] = field(default_factory=list)

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        self.fed.append(batch)
        return Outputs(mask_logits=(40 * (batch[:, 0] - 0.5)).astype(np.float32))


@dataclass
class Namer:
    """Gives every slice the same logits."""

    logits: tuple[float, float, float] = (1.0, 3.0, 2.0)
    size: int = 64

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        return Outputs(class_logits=np.tile(np.float32(self.logits), (len(batch), 1)))


def block(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """An L off every axis of symmetry: mirrored, turned or transposed, it would lie elsewhere."""
    mask = np.zeros(shape, np.bool_)
    rows, columns = shape
    mask[rows // 8 : rows // 2, columns // 2 : columns * 5 // 8] = True
    mask[rows * 3 // 8 : rows // 2, columns // 2 : columns * 7 // 8] = True
    return mask


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def silent(_: str) -> None:
    """Report nothing."""


@pytest.mark.parametrize(
    "shape", [(96, 96), (128, 128), (512, 512), (60, 60), (120, 80), (80, 120), (97, 64)]
)
def test_the_mask_lies_where_the_model_saw_the_tumor(shape: tuple[int, int]) -> None:
    scan = Scan(block(shape)[None] * np.int16(900), source=Path("a.mat"))
    mask = Analyzer([Outliner()]).analyze(scan).mask
    assert mask is not None
    assert mask.shape == (1, *shape)
    assert overlap(mask[0], block(shape)) > (0.999 if shape == (96, 96) else 0.93)


def test_each_slice_of_a_stack_gets_its_own_mask() -> None:
    pixels = np.stack([np.roll(block((64, 64)), n, axis=0) * 100 for n in range(20)])
    model = Outliner(64)
    mask = Analyzer([model]).analyze(Scan(pixels, Path("stack"))).mask
    assert mask is not None
    assert (mask == (pixels > 0)).all()
    assert sum(len(batch) for batch in model.fed) == 20


def test_models_are_fed_slices_in_the_unit_range() -> None:
    model = Outliner()
    generator = np.random.default_rng(0)
    Analyzer([model]).analyze(Scan(generator.integers(-50, 4000, (3, 70, 90)).astype(np.int16), Path("a")))
    [batch] = model.fed
    assert batch.shape == (3, 1, 96, 96)
    assert batch.dtype == np.float32
    assert batch.min() >= 0
    assert batch.max() <= 1


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_a_pixel_is_tumor_from_the_threshold_on(threshold: float) -> None:
    logits = np.linspace(-6, 6, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    mask = mask_from_logits(logits, (64, 64), threshold)
    np.testing.assert_array_equal(mask, 1 / (1 + np.exp(-logits)) >= threshold)


def test_extreme_logits_overflow_nothing() -> None:
    logits = np.array([[[-1e30, 1e30], [-200, 200]]], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert mask_from_logits(logits, (2, 2)).tolist() == [[[False, True], [False, True]]]
        assert probabilities_from_logits(np.array([[1e30, -1e30, 0]], np.float32)).tolist() == [[1, 0, 0]]


def test_one_model_outlines_and_another_names() -> None:
    scan = Scan(block((64, 64))[None] * 100, Path("a"), spacing=(0.5, 2.0))
    finding = Analyzer([Outliner(), Namer()]).analyze(scan)
    assert finding.tumor_type is TumorType.GLIOMA
    assert finding.probabilities is not None
    assert sum(finding.probabilities.values()) == pytest.approx(1)
    expected = np.exp([1, 3, 2]) / np.exp([1, 3, 2]).sum()
    assert list(finding.probabilities.values()) == pytest.approx(expected.tolist())
    assert finding.mask is not None
    assert finding.area_mm2 == finding.mask.sum()


@pytest.mark.parametrize("models", [[Outliner(), Outliner()], [Namer(), Namer()]])
def test_two_models_for_one_job_are_refused(models: list[Outliner | Namer]) -> None:
    with pytest.raises(TumorlensError, match="expected one model to"):
        Analyzer(models).analyze(Scan(np.ones((1, 8, 8)), Path("a")))


def test_no_model_is_refused() -> None:
    with pytest.raises(TumorlensError, match="at least one model"):
        Analyzer([])


def _png(path: Path) -> Path:
    Image.fromarray((block((80, 120)) * 200).astype(np.uint8)).save(path)
    return path


def _rgb(path: Path) -> Path:
    Image.fromarray(np.repeat((block((80, 120)) * 200).astype(np.uint8)[..., None], 3, 2)).save(path)
    return path


def _jpeg(path: Path) -> Path:
    Image.fromarray((block((80, 120)) * 200).astype(np.uint8)).save(path, quality=95)
    return path


def _deep(path: Path) -> Path:
    Image.fromarray((block((80, 120)) * 60000).astype(np.uint16)).save(path)
    return path


def _mat(path: Path) -> Path:
    return slice_file(path, block((80, 120)) * np.int16(700), block((80, 120)))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_png, "a.png"),
        (_rgb, "a.png"),
        (_deep, "a.png"),
        (_jpeg, "a.jpg"),
        (_mat, "a.mat"),
        (_mat, "odd.name"),
    ],
)
def test_every_format_gets_a_mask_of_its_own_size_in_its_own_pixels(
    make: "object", name: str, tmp_path: Path
) -> None:
    path = make(tmp_path / name)  # type: ignore[operator]
    assert predict_files(Analyzer([Outliner(), Namer()]), [path], tmp_path / "out", silent) == []
    stem = path.stem
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {
        f"{stem}-mask.png",
        f"{stem}-overlay.png",
        f"{stem}.json",
    }
    mask = np.asarray(Image.open(tmp_path / "out" / f"{stem}-mask.png"))
    assert mask.dtype == np.uint8
    assert mask.shape == (80, 120)
    assert set(np.unique(mask)) == {0, 255}
    assert overlap(mask > 0, block((80, 120))) > 0.93
    overlay = Image.open(tmp_path / "out" / f"{stem}-overlay.png")
    assert (overlay.mode, overlay.size) == ("RGB", (120, 80))
    document = json.loads((tmp_path / "out" / f"{stem}.json").read_text())
    assert document["shape"] == [1, 80, 120]
    assert document["tumor_pixels"] == (mask > 0).sum()
    assert document["tumor_type"] == "glioma"
    assert document["probabilities"].keys() == {"meningioma", "glioma", "pituitary tumor"}
    assert document["source"] == name
    assert (document["area_mm2"] is None) == (make is not _mat)
    assert "not a diagnosis" in document["notice"]


def test_a_slice_without_a_tumor_says_so(tmp_path: Path) -> None:
    Image.new("L", (40, 30)).save(tmp_path / "dark.png")
    said: list[str] = []
    predict_files(Analyzer([Outliner()]), [tmp_path / "dark.png"], tmp_path, said.append)
    assert said == ["dark.png: no tumor outlined"]
    document = json.loads((tmp_path / "dark.json").read_text())
    assert document["warnings"] == ["no tumor outlined"]
    assert document["tumor_pixels"] == 0
    assert document["tumor_type"] is None


def test_a_namer_alone_writes_no_mask(tmp_path: Path) -> None:
    predict_files(Analyzer([Namer()]), [_png(tmp_path / "a.png")], tmp_path / "out", silent)
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {"a-overlay.png", "a.json"}


def test_a_bad_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("not a picture")
    good = [_png(tmp_path / "a.png"), _mat(tmp_path / "b.mat")]
    files = [good[0], tmp_path / "note.png", tmp_path / "absent.mat", good[1]]
    failures = predict_files(Analyzer([Outliner()]), files, tmp_path / "out", silent)
    assert [failure.split(": ")[0] for failure in failures] == [str(files[1]), str(files[2])]
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"a.json", "b.json"}


def test_two_files_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    files = [_png(tmp_path / "a.png"), _mat(tmp_path / "a.mat")]
    with pytest.raises(TumorlensError, match="got a twice"):
        predict_files(Analyzer([Outliner()]), files, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


def test_a_result_never_replaces_a_file_that_was_given(tmp_path: Path) -> None:
    given = [_mat(tmp_path / "a.mat"), _png(tmp_path / "a-mask.png")]
    before = given[1].read_bytes()
    with pytest.raises(TumorlensError, match=r"a-mask\.png: a result would replace this slice"):
        predict_files(Analyzer([Outliner()]), given, tmp_path / ".." / tmp_path.name, silent)
    assert given[1].read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_the_outline_is_drawn_on_the_mask_s_edge(tmp_path: Path) -> None:
    mask = block((80, 120))
    finding = Finding(Scan(np.full((1, 80, 120), 7), Path("a")), mask[None], None)
    write_overlay(finding, tmp_path / "o.png")
    colored = np.asarray(Image.open(tmp_path / "o.png")).std(axis=2) > 0
    assert colored.any()
    assert not (colored & ~mask).any()
    inside = mask.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            inside &= np.roll(mask, step, axis)
    assert not (colored & inside).all()
    edge = mask & ~(np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1))
    assert colored[edge].all()


def test_a_finding_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 4, 6\), got \(1, 6, 4\)"):
        Finding(Scan(np.ones((1, 4, 6)), Path("a")), np.zeros((1, 6, 4), np.bool_), None)


def test_a_mask_that_there_is_not_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a finding with a mask"):
        write_mask(Finding(Scan(np.ones((1, 4, 6)), Path("a")), None, None), tmp_path / "m.png")
    assert not list(tmp_path.iterdir())


def test_a_model_that_says_nan_gives_no_finding(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png")
    failures = predict_files(Analyzer([Namer((np.nan, 0, 0))]), [path], tmp_path / "out", silent)
    assert len(failures) == 1
    assert "number" in failures[0]
    assert not (tmp_path / "out").exists()


def test_the_json_is_valid_and_ends_with_a_newline(tmp_path: Path) -> None:
    scan = read_scan(_mat(tmp_path / "a.mat"))
    write_json(Analyzer([Namer()]).analyze(scan), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text)["spacing_mm"] == list(scan.spacing or ())
