"""What a model outlines lands on the slice where it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import slice_file
from tests.stand_ins import Namer, Outliner, Pointer, block, overlap
from tumorlens.analyze import Analyzer
from tumorlens.ensemble import Ensemble, Model
from tumorlens.errors import TumorlensError
from tumorlens.judgement import ConfidenceBand, Judgement
from tumorlens.predict import predict_files


def analyzer(*models: Model, **more: object) -> Analyzer:
    return Analyzer(Ensemble(models, **more))  # type: ignore[arg-type]


def silent(_: str) -> None:
    """Report nothing."""


def _png(path: Path) -> Path:
    Image.fromarray((block((80, 120)) * 200).astype(np.uint8)).save(path)
    return path


def _picture(path: Path) -> Path:
    """A PNG whatever its name."""
    return _png(path.with_name("picture.png")).rename(path)


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
    assert predict_files(analyzer(Outliner(), Pointer()), [path], tmp_path / "out", silent) == []
    stem = path.stem
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {
        f"{stem}-mask.png",
        f"{stem}-overlay.png",
        f"{stem}-heatmap.png",
        f"{stem}.json",
    }
    mask = np.asarray(Image.open(tmp_path / "out" / f"{stem}-mask.png"))
    assert mask.dtype == np.uint8
    assert mask.shape == (80, 120)
    assert set(np.unique(mask)) == {0, 255}
    assert overlap(mask > 0, block((80, 120))) > 0.93
    overlay = Image.open(tmp_path / "out" / f"{stem}-overlay.png")
    assert (overlay.mode, overlay.size) == ("RGB", (120, 80))
    heatmap = Image.open(tmp_path / "out" / f"{stem}-heatmap.png")
    assert (heatmap.mode, heatmap.size) == ("RGB", (120, 80))
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
    predict_files(analyzer(Outliner()), [tmp_path / "dark.png"], tmp_path, said.append)
    assert said == ["dark.png: warning: no tumor outlined"]
    document = json.loads((tmp_path / "dark.json").read_text())
    [warning] = document["warnings"]
    assert (warning["kind"], warning["message"], warning["limit"]) == ("no-tumor", "no tumor outlined", 0.5)
    assert 0 <= warning["score"] < 0.5
    assert document["tumor_pixels"] == 0
    assert document["tumor_type"] is None


def test_each_slice_is_told_in_a_line(tmp_path: Path) -> None:
    bands = (ConfidenceBand(word="low", from_probability=0, accuracy=0.5, slices=70),)
    judgement = Judgement(bands=bands, unsure_margin=1)
    said: list[str] = []
    both = analyzer(Outliner(), Namer(), judgement=judgement, name="mine")
    predict_files(both, [_mat(tmp_path / "a.mat")], tmp_path / "out", said.append)
    document = json.loads((tmp_path / "out" / "a.json").read_text())
    pixels, area = document["tumor_pixels"], document["area_mm2"]
    assert said == [
        (
            "a.mat: glioma (67%); low confidence (right in 50.0% of 70 slices); "
            f"{pixels} pixels outlined, {area:.0f} mm²; warning: unsure between glioma and pituitary tumor"
        )
    ]
    assert document["model"] == "mine"
    assert document["confidence"] == {"word": "low", "accuracy": 0.5, "slices": 70}


def test_overlays_show_the_uncertain_band_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.tile(np.linspace(0, 255, 96).astype(np.uint8), (96, 1))).save(path)
    for uncertainty in (False, True):
        predict_files(
            analyzer(Outliner()), [path], tmp_path / f"{uncertainty}", silent, uncertainty=uncertainty
        )
    plain, tinted = (
        np.asarray(Image.open(tmp_path / f"{asked}" / "a-overlay.png")) for asked in (False, True)
    )
    changed = (plain != tinted).any(axis=(0, 2))
    assert 1 <= changed.sum() <= 12
    assert np.flatnonzero(changed).mean() == pytest.approx(47.5, abs=4)


def test_a_namer_alone_writes_no_mask(tmp_path: Path) -> None:
    predict_files(analyzer(Namer()), [_png(tmp_path / "a.png")], tmp_path / "out", silent)
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {"a-overlay.png", "a.json"}


def test_a_bad_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("not a picture")
    good = [_png(tmp_path / "a.png"), _mat(tmp_path / "b.mat")]
    files = [good[0], tmp_path / "note.png", tmp_path / "absent.mat", good[1]]
    failures = predict_files(analyzer(Outliner()), files, tmp_path / "out", silent)
    assert [failure.split(": ")[0] for failure in failures] == [str(files[1]), str(files[2])]
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"a.json", "b.json"}


def test_two_files_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    files = [_png(tmp_path / "a.png"), _mat(tmp_path / "a.mat")]
    with pytest.raises(TumorlensError, match="got a twice"):
        predict_files(analyzer(Outliner()), files, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a-mask.png", "a-overlay.png", "a-heatmap.png"])
def test_a_result_never_replaces_a_file_that_was_given(name: str, tmp_path: Path) -> None:
    given = [_mat(tmp_path / "a.mat"), _picture(tmp_path / name)]
    before = given[1].read_bytes()
    with pytest.raises(TumorlensError, match=rf"{name}: a result would replace this slice"):
        predict_files(analyzer(Outliner()), given, tmp_path / ".." / tmp_path.name, silent)
    assert given[1].read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_model_that_says_nan_gives_no_finding(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png")
    failures = predict_files(analyzer(Namer((np.nan, 0, 0))), [path], tmp_path / "out", silent)
    assert len(failures) == 1
    assert "number" in failures[0]
    assert not (tmp_path / "out").exists()
