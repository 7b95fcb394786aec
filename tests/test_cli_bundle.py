"""Bundles on the command line: used, shown, checked, written, measured, and every mistake in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from PIL import Image

from tests.bundle.small import FAMILIARITY, GRAPH, graph_model, put_together, small_files, write_small
from tests.command_line import Tumorlens, assert_refused
from tests.conftest import folds_file
from tests.stand_ins import block, overlap
from tests.train.tiny import open_tiny, tiny_recipe
from tumorlens.bundle import Bundle, bundle, default_bundle, open_bundle
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.evaluate.calibrate import read_judgement
from tumorlens.judgement import Judgement
from tumorlens.train import export
from tumorlens.train.run import Run
from tumorlens.train.trainer import train


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_small(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TumorDataset:
    return open_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def names(tiny: TumorDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = tiny_recipe("training.phases=[{epochs: 1, learning_rate: 0.001}]", task="classification")
    return train(recipe, tiny, tmp_path_factory.mktemp("runs") / "names", report=lambda _: None)


@pytest.fixture
def without_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without weights."""
    monkeypatch.setattr(bundle, "_DEFAULT", tmp_path / "nowhere")
    default_bundle.cache_clear()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray((block((64, 48)) * 200).astype(np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def tampered(small: Bundle, place: Path, what: str) -> Path:
    """A copy of the small bundle with something wrong."""
    shutil.copytree(small.folder, place)
    if what == "a byte":
        data = bytearray((place / GRAPH).read_bytes())
        data[len(data) // 2] ^= 1
        (place / GRAPH).write_bytes(data)
    elif what == "a missing member":
        (place / FAMILIARITY).unlink()
    elif what == "the manifest":
        (place / "bundle.json").write_text('{"schema_version": 1}')
    elif what == "a newer one":
        text = (place / "bundle.json").read_text()
        (place / "bundle.json").write_text(text.replace('"schema_version": 1', '"schema_version": 7'))
    elif what == "no graph":
        put_together(place, small_files(graph=b"junk"))
    return place


# --- predict ----------------------------------------------------------------------------------------------


def test_a_bundle_predicts_all_that_it_tells(tumorlens: Tumorlens, small: Bundle, picture: Path) -> None:
    words = ["predict", picture, "--bundle", small.folder, "--out", "out"]
    code, out, err = tumorlens(*words, "--write", "mask,overlay", "--write", "heatmap, json,html,nifti")
    assert (code, err) == (0, "")
    assert out.startswith("a.png: glioma (")
    assert {path.name for path in Path("out").glob("[!.]*")} == {
        "a-mask.png", "a-overlay.png", "a-heatmap.png", "a.json", "a.html", "a-mask.nii.gz"
    }  # fmt: skip
    mask = np.asarray(Image.open("out/a-mask.png")) > 0
    assert overlap(mask, block((64, 48))) > 0.8
    document = json.loads(Path("out/a.json").read_text())
    assert document["model"] == "small"
    assert document["confidence"] == {"word": document["confidence"]["word"], "accuracy": None, "slices": 0}


def test_uncertainty_is_shown_where_asked_for(tumorlens: Tumorlens, small: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "ramp.png"
    Image.fromarray(np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))).save(path)
    words = ["predict", path, "--bundle", small.folder, "--write", "overlay,mask,json", "--out"]
    assert tumorlens(*words, "plain")[0] == tumorlens(*words, "tinted", "--uncertainty")[0] == 0
    assert Path("plain/ramp-overlay.png").read_bytes() != Path("tinted/ramp-overlay.png").read_bytes()
    for name in ("ramp-mask.png", "ramp.json"):
        assert (Path("plain") / name).read_bytes() == (Path("tinted") / name).read_bytes()


@pytest.mark.usefixtures("without_default")
def test_without_weights_installed_every_command_says_so(
    tumorlens: Tumorlens, picture: Path, tiny: TumorDataset
) -> None:
    named = "found none in this installation"
    assert_refused(tumorlens("predict", picture, "--out", "out"), named, "--bundle")
    assert_refused(tumorlens("bundle", "info"), named)
    assert_refused(tumorlens("bundle", "verify"), named)
    assert_refused(tumorlens("evaluate", "default", "--data", tiny.root, "--out", "out"), named)


def test_the_default_bundle_predicts_where_none_is_named(
    tumorlens: Tumorlens, small: Bundle, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_DEFAULT", small.folder)
    default_bundle.cache_clear()
    assert tumorlens("predict", picture, "--out", "out")[0] == 0
    assert json.loads(Path("out/a.json").read_text())["model"] == "small"
    default_bundle.cache_clear()


def test_a_bundle_and_a_run_at_once_are_refused(
    tumorlens: Tumorlens, small: Bundle, names: Run, picture: Path
) -> None:
    words = ["predict", picture, "--bundle", small.folder, "--run", names.folder, "--out", "out"]
    assert_refused(tumorlens(*words), "expected --bundle or --run, got both")


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("a byte", "expected the SHA-256"),
        ("a missing member", "expected a member of the bundle"),
        ("the manifest", "expected the manifest of a bundle, but name: Field required"),
        ("a newer one", "pip install --upgrade tumorlens"),
        ("no graph", "expected a graph for ONNX Runtime"),
    ],
)
def test_a_bundle_that_was_tampered_with_is_refused(
    what: str, named: str, tumorlens: Tumorlens, small: Bundle, picture: Path, tmp_path: Path
) -> None:
    place = tampered(small, tmp_path / "b", what)
    assert_refused(tumorlens("predict", picture, "--bundle", place, "--out", "out"), named)
    assert_refused(tumorlens("bundle", "verify", place), named)


def test_a_bundle_that_is_not_there_is_refused(tumorlens: Tumorlens, names: Run, picture: Path) -> None:
    for place in ("absent", names.folder, picture):
        named = "expected a bundle of 'tumorlens export', found no bundle.json"
        assert_refused(tumorlens("predict", picture, "--bundle", place, "--out", "out"), named)
        assert_refused(tumorlens("bundle", "info", place), named)
        assert_refused(tumorlens("bundle", "verify", place), named)


# --- bundle info, bundle verify ---------------------------------------------------------------------------


def test_a_bundle_is_shown_in_words_and_as_json(tumorlens: Tumorlens, small: Bundle) -> None:
    code, out, err = tumorlens("bundle", "info", small.folder)
    assert (code, err) == (0, "")
    assert out.startswith("small: 0.")
    assert out.endswith("Research use only; not a diagnosis.\n")
    code, out, err = tumorlens("bundle", "info", small.folder, "--json")
    assert (code, err) == (0, "")
    assert out == (small.folder / "bundle.json").read_text()


def test_a_whole_bundle_is_verified(tumorlens: Tumorlens, small: Bundle) -> None:
    code, out, err = tumorlens("bundle", "verify", small.folder)
    assert (code, out, err) == (0, "small: 2 files are what its manifest says\n", "")


def test_info_needs_no_member(tumorlens: Tumorlens, small: Bundle, tmp_path: Path) -> None:
    place = tampered(small, tmp_path / "b", "a missing member")
    assert tumorlens("bundle", "info", place)[0] == 0


# --- evaluate ---------------------------------------------------------------------------------------------


def test_a_bundle_is_evaluated(tumorlens: Tumorlens, small: Bundle, tiny: TumorDataset) -> None:
    code, out, err = tumorlens("evaluate", small.folder, "--data", tiny.root, "--out", "out")
    assert (code, err) == (0, "")
    for task in ("segmentation", "classification", "trust"):
        assert json.loads((Path("out") / task / "results.json").read_text())["slices"] == 24
        assert f"{Path('out') / task}: results, slices and figures" in out


def test_a_bundle_s_results_need_a_place(tumorlens: Tumorlens, small: Bundle, tiny: TumorDataset) -> None:
    before = sorted(path.name for path in small.folder.iterdir())
    assert_refused(tumorlens("evaluate", small.folder, "--data", tiny.root), "--out")
    assert sorted(path.name for path in small.folder.iterdir()) == before


def test_folds_that_the_data_lack_are_told(tumorlens: Tumorlens, small: Bundle, tiny: TumorDataset) -> None:
    words = ["evaluate", small.folder, "--data", tiny.root, "--out", "out", "--fold", "9"]
    assert_refused(tumorlens(*words), "expected slices of folds [9] in the data, found none")


# --- export -----------------------------------------------------------------------------------------------


@pytest.fixture
def quick_exporter(monkeypatch: pytest.MonkeyPatch, tiny: TumorDataset) -> None:
    """A graph by hand and the network that it comes from; the real exporter is tested elsewhere."""

    def to_onnx(*_: object) -> onnx.ModelProto:
        model = graph_model(64)
        for value in [value for value in model.graph.output if value.name != "class_logits"]:
            model.graph.output.remove(value)
        return model

    class Same:
        size = 64

        def __init__(self, _: Run) -> None:
            self._model = onnx_model(to_onnx())

        def __call__(self, batch: np.ndarray) -> object:
            return self._model(batch)

    monkeypatch.setattr(export, "to_onnx", to_onnx)
    monkeypatch.setattr(export, "RunModel", Same)


def onnx_model(model: onnx.ModelProto) -> Callable[[np.ndarray], object]:
    from tumorlens.bundle.manifest import Graph, Output
    from tumorlens.bundle.session import OnnxModel
    from tumorlens.bundle.write import member

    data = model.SerializeToString()
    graph = Graph(**member(GRAPH, data).model_dump(), outputs=(Output.CLASS_LOGITS,), recipe={})
    return OnnxModel(data, graph, 64)


@pytest.mark.usefixtures("quick_exporter")
def test_a_run_is_exported_with_what_calibration_found(
    tumorlens: Tumorlens, names: Run, tiny: TumorDataset, tmp_path: Path
) -> None:
    judgement = Judgement(temperature=1.7, unsure_margin=0.2)
    (tmp_path / "j.json").write_text(judgement.model_dump_json())
    words = ["export", names.folder, "--data", tiny.root, "--judgement", tmp_path / "j.json"]
    code, out, err = tumorlens(*words, "--out", "mine")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"{names.folder}: exporting, fp32"
    manifest = open_bundle("mine").manifest
    assert manifest.name == "mine"
    assert manifest.judgement == judgement
    assert tumorlens("bundle", "verify", "mine")[0] == 0
    assert tumorlens(*words, "--out", "other", "--name", "Größe 1")[0] == 0
    assert open_bundle("other").manifest.name == "Größe 1"


@pytest.mark.usefixtures("quick_exporter")
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--precision", "fp8"], "--precision: expected fp32, fp16, int8, got fp8"),
        (["--judgement", "absent.json"], "absent.json: expected the judgement of 'tumorlens calibrate'"),
        (["--results", "absent"], "expected the results of 'tumorlens cross-validate'"),
        (["--name", ""], None),
        (["--name", "two\nlines"], "expected a name of 1 to 100 printable characters"),
        (["--out", "."], "got the current one"),
        (["--out", "FULL"], "expected a new or empty folder for the bundle"),
    ],
)
def test_a_mistake_in_an_export_is_named(
    words: list[str], named: str | None, tumorlens: Tumorlens, names: Run, tiny: TumorDataset
) -> None:
    rest = [str(names.folder) if word == "FULL" else word for word in words]
    if "--out" not in rest:
        rest += ["--out", "b"]
    result = tumorlens("export", names.folder, "--data", tiny.root, *rest)
    if named is None:
        assert result[0] == 0  # no name is the folder's
    else:
        assert_refused(result, named)


def test_what_is_no_run_is_not_exported(
    tumorlens: Tumorlens, small: Bundle, tiny: TumorDataset, names: Run, tmp_path: Path
) -> None:
    for run, data, named in (
        (small.folder, tiny.root, "expected a run folder"),
        ("absent", tiny.root, "absent: expected a run"),
        (names.folder, "absent", "absent: expected a folder"),
    ):
        assert_refused(tumorlens("export", run, "--data", data, "--out", "b"), named)
    other = open_tiny(tmp_path / "other")
    (other.root / "1.mat").unlink()
    result = tumorlens("export", names.folder, "--data", other.root, "--out", "b")
    assert_refused(result, "the dataset of the run")


def test_an_export_takes_a_model_card_along(
    tumorlens: Tumorlens, small: Bundle, tiny: TumorDataset, names: Run, tmp_path: Path
) -> None:
    (tmp_path / "card.md").write_text("# What it is for\n\nResearch.\n")
    export = ("export", names.folder, "--data", tiny.root, "--out", tmp_path / "with-card")
    assert_refused(tumorlens(*export, "--card", "absent.md"), "absent.md: expected a text file in UTF-8")
    assert tumorlens(*export, "--card", tmp_path / "card.md")[0] == 0
    shown = tumorlens("bundle", "info", tmp_path / "with-card", "--card")
    assert shown == (0, "# What it is for\n\nResearch.\n", "")
    assert tumorlens("bundle", "info", small.folder, "--card")[1].endswith("no model card\n")


# --- calibrate --------------------------------------------------------------------------------------------


def test_calibration_writes_a_judgement(tumorlens: Tumorlens, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([0.2] * 3, 120)
    types_ = ("meningioma", "glioma", "pituitary")
    named = np.where(generator.random(120) < 0.8, probabilities.argmax(axis=1), generator.integers(0, 3, 120))
    files = [f"{number}.mat" for number in range(120)]
    types = pd.DataFrame(
        {
            "file": files,
            "label": np.array(types_)[named],
            "fold": 1 + np.arange(120) % 4,
            **{f"probability_{name}": probabilities[:, i] for i, name in enumerate(types_)},
        }
    )
    trust = pd.DataFrame({"file": files, "inside_probability": 0.9, "strangeness": 0.1, "warnings": ""})
    for name, table in (("classification", types), ("trust", trust)):
        (tmp_path / "cv" / name).mkdir(parents=True)
        table.to_csv(tmp_path / "cv" / name / "slices.csv", index=False)
    code, out, err = tumorlens("calibrate", tmp_path / "cv", "--out", "j.json")
    assert (code, err) == (0, "")
    judgement = read_judgement(Path("j.json"))
    assert judgement.temperature > 1
    assert f"| temperature | {judgement.temperature:g} |" in out.splitlines()
    assert sum(line.startswith(("| high |", "| moderate |", "| low |")) for line in out.splitlines()) == 3


def test_a_mistake_in_a_calibration_is_named(tumorlens: Tumorlens, names: Run, tmp_path: Path) -> None:
    named = "expected the results of 'tumorlens cross-validate' with a joint recipe"
    for place in ("absent", names.folder, tmp_path):
        assert_refused(tumorlens("calibrate", place, "--out", "j.json"), str(place), named)


# --- A run without a test side ----------------------------------------------------------------------------


def test_a_run_on_everything_is_trained_and_says_what_it_cannot_be_measured_on(
    tumorlens: Tumorlens, tmp_path: Path
) -> None:
    root = open_tiny(tmp_path / "data").root
    folds_file(root / "cvind.mat", {number: 1 + (number - 1) // 8 for number in range(1, 25)})
    open_dataset(root)
    everything = "split={kind: folds, train: [1, 2, 3], validation: [], test: []}"
    sets = [word for each in ("model.encoder=test_resnet", everything) for word in ("--set", each)]
    run = tmp_path / "run"
    code, out, err = tumorlens("train", "smoke", "--data", root, "--out", run, *sets)
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == "24 slices to train, 0 slices to validation, 0 slices to test"
    assert "best epoch" not in out
    assert_refused(tumorlens("evaluate", run, "--data", root), "expected slices to test, found none")
    assert tumorlens("evaluate", run, "--data", root, "--split", "train")[0] == 0
