"""What a model outlines lands on the slice where it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import slice_file
from tests.dicom_files import write_series
from tests.stand_ins import Namer, Outliner, Pointer, Saying, block, overlap
from tumorlens.analyze import Analyzer
from tumorlens.ensemble import Ensemble, Model, Outputs
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding
from tumorlens.finding.write import Format, WriteOptions
from tumorlens.judgement import ConfidenceBand, Judgement
from tumorlens.predict import Outcome, PredictOptions, predict
from tumorlens.scan.folder import DONE_FILE


def analyzer(*models: Model, **more: object) -> Analyzer:
    return Analyzer(Ensemble(models, **more))  # type: ignore[arg-type]


PICTURES = PredictOptions(formats=(Format.MASK, Format.OVERLAY, Format.HEATMAP, Format.JSON))


def names_in(folder: Path) -> set[str]:
    return {entry.relative_to(folder).as_posix() for entry in folder.rglob("[!.]*") if entry.is_file()}


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
    [outcome] = predict(analyzer(Outliner(), Pointer()), [path], tmp_path / "out", PICTURES)
    assert not outcome.failed
    stem = path.stem
    assert names_in(tmp_path / "out") == {
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
    blind = Saying(lambda batch: Outputs(mask_logits=np.full((len(batch), 32, 32), -3, np.float32)))
    Image.linear_gradient("L").resize((40, 30)).save(tmp_path / "dark.png")
    [outcome] = predict(analyzer(blind), [tmp_path / "dark.png"], tmp_path / "out")
    assert (outcome.name, outcome.words) == ("dark.png", "warning: no tumor outlined")
    document = json.loads((tmp_path / "out" / "dark.json").read_text())
    [warning] = document["warnings"]
    assert (warning["kind"], warning["message"], warning["limit"]) == ("no-tumor", "no tumor outlined", 0.5)
    assert 0 <= warning["score"] < 0.5
    assert document["tumor_pixels"] == 0
    assert document["tumor_type"] is None


def test_each_scan_is_told_in_a_line(tmp_path: Path) -> None:
    bands = (ConfidenceBand(word="low", from_probability=0, accuracy=0.5, slices=70),)
    judgement = Judgement(bands=bands, unsure_margin=1)
    said: list[Outcome] = []
    both = analyzer(Outliner(), Namer(), judgement=judgement, name="mine")
    outcomes = predict(both, [_mat(tmp_path / "a.mat")], tmp_path / "out", report=said.append)
    assert said == outcomes
    document = json.loads((tmp_path / "out" / "a.json").read_text())
    pixels, area = document["tumor_pixels"], document["area_mm2"]
    assert [(outcome.name, outcome.words) for outcome in said] == [
        (
            "a.mat",
            (
                "glioma (67%); low confidence (right in 50.0% of 70 slices); "
                f"{pixels} pixels outlined, {area:.0f} mm²; "
                "warning: unsure between glioma and pituitary tumor"
            ),
        )
    ]
    assert document["model"] == "mine"
    assert document["confidence"] == {"word": "low", "accuracy": 0.5, "slices": 70}


def test_overlays_show_the_uncertain_band_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.tile(np.linspace(0, 255, 96).astype(np.uint8), (96, 1))).save(path)
    for uncertainty in (False, True):
        options = PredictOptions(write=WriteOptions(uncertainty=uncertainty))
        predict(analyzer(Outliner()), [path], tmp_path / f"{uncertainty}", options)
    plain, tinted = (
        np.asarray(Image.open(tmp_path / f"{asked}" / "a-overlay.png")) for asked in (False, True)
    )
    changed = (plain != tinted).any(axis=(0, 2))
    assert 1 <= changed.sum() <= 12
    assert np.flatnonzero(changed).mean() == pytest.approx(47.5, abs=4)


def test_an_overlay_a_json_and_a_report_are_written_where_nothing_is_asked(tmp_path: Path) -> None:
    predict(analyzer(Outliner(), Pointer()), [_png(tmp_path / "a.png")], tmp_path / "out")
    assert names_in(tmp_path / "out") == {"a-overlay.png", "a.json", "a.html"}


def test_a_namer_alone_writes_no_mask(tmp_path: Path) -> None:
    predict(analyzer(Namer()), [_png(tmp_path / "a.png")], tmp_path / "out", PICTURES)
    assert names_in(tmp_path / "out") == {"a-overlay.png", "a.json"}


def test_a_bad_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("not a picture")
    good = [_png(tmp_path / "a.png"), _mat(tmp_path / "b.mat")]
    files = [good[0], tmp_path / "note.png", tmp_path / "absent.mat", good[1]]
    outcomes = predict(analyzer(Outliner()), files, tmp_path / "out")
    assert [outcome.failed for outcome in outcomes] == [False, True, True, False]
    assert [str(file) in outcome.words for file, outcome in zip(files, outcomes, strict=True)][1:3] == [
        True
    ] * 2
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"a.json", "b.json"}


def test_a_tree_of_scans_becomes_a_tree_of_results(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    _png(tmp_path / "in" / "deep" / "a.png")
    write_series(tmp_path / "in" / "case", head(3))
    (tmp_path / "in" / "note.txt").write_text("x")
    outcomes = predict(analyzer(Outliner(), Pointer()), [tmp_path / "in"], tmp_path / "in" / "out")
    assert [outcome.failed for outcome in outcomes] == [False, False]
    assert {name for name in names_in(tmp_path / "in" / "out") if name.endswith(".json")} == {
        "case.json",
        "deep/a.json",
    }


def head(slices: int, size: int = 48) -> np.ndarray:
    """A stack with a bright block on each slice."""
    return (np.stack([block((size, size))] * slices) * 900).astype(np.int16)


def test_a_stack_becomes_one_finding_and_its_masks_one_a_slice(tmp_path: Path) -> None:
    write_series(tmp_path / "case", head(3))
    options = PredictOptions(formats=(*PICTURES.formats, Format.NIFTI))
    [outcome] = predict(analyzer(Outliner(), Pointer()), [tmp_path / "case"], tmp_path / "out", options)
    assert "cm³ outlined on 3 of 3 slices" in outcome.words
    assert names_in(tmp_path / "out") == {
        "case-mask/1.png",
        "case-mask/2.png",
        "case-mask/3.png",
        "case-overlay.png",
        "case-heatmap.png",
        "case-mask.nii.gz",
        "case.json",
    }
    assert sorted(outcome.files) == sorted(tmp_path / "out" / name for name in names_in(tmp_path / "out"))


def test_nothing_that_names_the_patient_is_in_any_result_s_name_or_text(tmp_path: Path) -> None:
    write_series(tmp_path / "Muster_Erika" / "19640812", head(3))
    predict(analyzer(Outliner(), Pointer()), [tmp_path / "Muster_Erika"], tmp_path / "out")
    for path in [*(tmp_path / "out").rglob("*")]:
        assert not any(
            word in str(path.relative_to(tmp_path)).lower() for word in ("muster", "erika", "1964")
        )
        if path.is_file():
            content = path.read_bytes().lower()
            assert not any(
                word in content for word in (b"muster", b"erika", b"pid-4711", b"19640812", b"acc-99")
            )


def test_the_identity_is_kept_when_asked(tmp_path: Path) -> None:
    write_series(tmp_path / "Muster_Erika", head(3))
    options = PredictOptions(write=WriteOptions(keep_identity=True))
    predict(analyzer(Outliner(), Pointer()), [tmp_path / "Muster_Erika"], tmp_path / "out", options)
    assert "PID-4711" in (tmp_path / "out" / "Muster_Erika.json").read_text()
    assert "PID-4711" in (tmp_path / "out" / "Muster_Erika.html").read_text()


@pytest.mark.parametrize("format_", [Format.SEG, Format.SR, Format.CAPTURE])
def test_dicom_is_not_made_of_a_picture(format_: Format, tmp_path: Path) -> None:
    options = PredictOptions(formats=(Format.JSON, format_))
    [outcome] = predict(analyzer(Outliner()), [_png(tmp_path / "a.png")], tmp_path / "out", options)
    assert outcome.failed
    assert f"expected a DICOM scan to write {format_}" in outcome.words
    assert not (tmp_path / "out").exists()


# --- Resuming ---------------------------------------------------------------------------------------------


def test_what_is_done_is_skipped_and_the_rest_done(tmp_path: Path) -> None:
    one, other = _png(tmp_path / "a.png"), tmp_path / "b.png"
    resume = PredictOptions(resume=True)
    assert [each.failed for each in predict(analyzer(Outliner()), [one, other], tmp_path / "out")] == [
        False,
        True,
    ]
    (tmp_path / "out" / "a.json").unlink()
    _png(other)
    outcomes = predict(analyzer(Outliner()), [one, other], tmp_path / "out", resume)
    assert [(each.skipped, each.failed) for each in outcomes] == [(True, False), (False, False)]
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"b.json"}


@pytest.mark.parametrize("changed", ["file", "formats", "model", "not asked"])
def test_what_was_done_otherwise_is_done_again(changed: str, tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png")
    predict(analyzer(Outliner(), name="one"), [path], tmp_path / "out")
    if changed == "file":
        Image.fromarray((block((90, 120)) * 200).astype(np.uint8)).save(path)
    options = PredictOptions(
        resume=changed != "not asked", **({"formats": (Format.JSON,)} if changed == "formats" else {})
    )
    name = "other" if changed == "model" else "one"
    [outcome] = predict(analyzer(Outliner(), name=name), [path], tmp_path / "out", options)
    assert not outcome.skipped


@pytest.mark.parametrize("kept", [0, 1, 30, 63, 64])
def test_a_line_cut_short_is_not_done(kept: int, tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png")
    predict(analyzer(Outliner()), [path], tmp_path / "out")
    done = tmp_path / "out" / DONE_FILE
    done.write_text("\n" + done.read_text().strip()[:kept])
    other = _png(tmp_path / "b.png")
    resume = PredictOptions(resume=True)
    first = predict(analyzer(Outliner()), [path, other], tmp_path / "out", resume)
    assert [outcome.skipped for outcome in first] == [kept == 64, False]
    assert all(
        outcome.skipped for outcome in predict(analyzer(Outliner()), [path, other], tmp_path / "out", resume)
    )


def test_every_slice_and_scan_is_counted(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "case", head(7))
    _png(tmp_path / "in" / "a.png")
    counted: list[tuple[int, int]] = []
    advance = lambda scans, slices: counted.append((scans, slices))  # noqa: E731
    predict(analyzer(Outliner()), [tmp_path / "in"], tmp_path / "out", advance=advance)
    assert np.sum(counted, axis=0).tolist() == [2, 8]


# --- What is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a-mask.png", "a-overlay.png", "a-heatmap.png"])
def test_a_result_never_replaces_a_file_that_was_given(name: str, tmp_path: Path) -> None:
    given = [_mat(tmp_path / "a.mat"), _picture(tmp_path / name)]
    before = given[1].read_bytes()
    with pytest.raises(TumorlensError, match=rf"{name}: a result would replace this scan"):
        predict(analyzer(Outliner()), given, tmp_path / ".." / tmp_path.name, PICTURES)
    assert given[1].read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_model_that_says_nan_gives_no_finding(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png")
    [outcome] = predict(analyzer(Namer((np.nan, 0, 0))), [path], tmp_path / "out")
    assert outcome.failed
    assert "number" in outcome.words
    assert not (tmp_path / "out").exists()


def test_what_nobody_thought_of_fails_one_scan_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tumorlens import predict as module

    def write(finding: Finding, *words: object) -> list[Path]:
        if finding.scan.source.name == "a.png":
            raise AttributeError("odd")
        return written(finding, *words)  # type: ignore[arg-type]

    written = module.write_finding
    monkeypatch.setattr(module, "write_finding", write)
    paths = [_picture(tmp_path / name) for name in ("a.png", "b.png")]
    first, second = predict(analyzer(Outliner()), paths, tmp_path / "out")
    assert (first.failed, first.words) == (True, "unexpected AttributeError; please report it")
    assert not second.failed


def test_a_patient_s_scan_that_was_stored_twice_has_results_for_each(tmp_path: Path) -> None:
    volume = (np.stack([block((80, 120))] * 3) * 700).astype(np.int16)
    for number in (1, 2):
        tags = {"PatientName": "Muster^Erika", "StudyInstanceUID": f"1.2.{number}"}
        write_series(tmp_path / "in" / f"Erika_{number}", volume, **tags)
    one, two = predict(analyzer(Outliner()), [tmp_path / "in"], tmp_path / "out", PICTURES)
    assert one.files
    assert not {*one.files} & {*two.files}


def test_results_need_a_folder(tmp_path: Path) -> None:
    path = _picture(tmp_path / "a.png")
    with pytest.raises(TumorlensError, match=r"a\.png: expected a folder for the results, got a file"):
        predict(analyzer(Outliner()), [path], path)
