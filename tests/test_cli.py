"""A mistake on the command line costs one line on stderr, exit code 2 and nothing else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.command_line import Tumorlens, assert_refused
from tests.conftest import slice_file
from tests.dicom_files import write_series
from tests.train.tiny import FAST, open_tiny, tiny_recipe
from tumorlens import cli
from tumorlens.dataset import TumorDataset
from tumorlens.train.run import Run
from tumorlens.train.trainer import train

SET = [word for override in FAST for word in ("--set", override)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TumorDataset:
    return open_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def outlines(tiny: TumorDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny_recipe(), tiny, tmp_path_factory.mktemp("runs") / "outlines", report=lambda _: None)


@pytest.fixture(scope="module")
def names(tiny: TumorDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = tiny_recipe(task="classification")
    return train(recipe, tiny, tmp_path_factory.mktemp("runs") / "names", report=lambda _: None)


def test_training_from_the_command_line_ends_with_the_best_epoch(
    tumorlens: Tumorlens, tiny: TumorDataset
) -> None:
    code, out, err = tumorlens("train", "smoke", "--data", tiny.root, "--out", "run", *SET)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "smoke: test_resnet from a random start"
    assert lines[1] == "12 slices to train, 6 slices to validation, 6 slices to test"
    assert [line[:9] for line in lines[2:4]] == ["epoch 1/2", "epoch 2/2"]
    assert lines[4].startswith("best epoch ")
    assert Run(Path("run")).is_finished


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str], Path]:
    """A data folder with one good slice and one bad, by what is wrong with it."""

    def make(what: str) -> Path:
        folder = tmp_path / "data"
        folder.mkdir()
        if what == "empty":
            return folder
        good, bad = slice_file(folder / "1.mat"), folder / "2.mat"
        if what == "truncated":
            bad.write_bytes(good.read_bytes()[:3000])
        elif what == "text":
            bad.write_text("label: 1\n")
        elif what == "label 4":
            slice_file(bad, label=4)
        return folder

    return make


@pytest.mark.parametrize("command", ["train", "cross-validate", "reproduce"])
@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("empty", ["expected .mat slices, found none"]),
        ("truncated", ["1 of 2 slices can't be used: 2.mat: is damaged or cut short"]),
        ("text", ["2.mat: expected a MATLAB v7.3 (HDF5) file"]),
        ("label 4", ["2.mat: expected label 1 (meningioma), 2 (glioma) or 3 (pituitary tumor), got 4"]),
    ],
)
def test_unusable_data_are_named(
    command: str, what: str, named: list[str], tumorlens: Tumorlens, broken: Callable[[str], Path]
) -> None:
    folder = broken(what)
    recipe = ["--recipes", "smoke"] if command == "reproduce" else ["smoke"]
    assert_refused(tumorlens(command, *recipe, "--data", folder, "--out", "run"), *named)
    assert not list(folder.glob(".*")), "no cache is left"


def test_a_missing_data_folder_is_named(tumorlens: Tumorlens) -> None:
    result = tumorlens("train", "smoke", "--data", "/nowhere/at/all", "--out", "run")
    assert_refused(result, "/nowhere/at/all: expected a folder with the dataset")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["smok"], "did you mean smoke?"),
        (["absent.yaml"], "recipe absent.yaml: expected a shipped recipe or a YAML file, found none"),
        (["smoke", "--set", "training.batchsize=3"], "did you mean training.batch_size?"),
        (["smoke", "--set", "training.batch_size=lots"], "training.batch_size: "),
        (["smoke", "--set", "name=["], "--set name=["),
        (["smoke", "--set", "model.encoder=resnet5O"], "resnet50"),
        (["smoke", "--set", "model.encoder=vit_tiny_patch16_224"], "feature maps"),
        (["smoke", "--set", "model.weights=absent.pt"], "absent.pt: can't be read"),
        (["smoke", "--set", "size=100"], "multiples of 32"),
        (["smoke", "--set", "split={kind: folds, train: [1], validation: [2], test: [3]}"], "cvind.mat"),
        (["smoke", "--set", "split.test=0.01"], "patients are too few"),
    ],
)
def test_a_mistake_in_the_recipe_is_named(
    words: list[str], named: str, tumorlens: Tumorlens, tiny: TumorDataset
) -> None:
    assert_refused(tumorlens("train", *words, "--data", tiny.root, "--out", "run"), named)


def test_a_run_is_not_overwritten(tumorlens: Tumorlens, tiny: TumorDataset, outlines: Run) -> None:
    words = ["train", "smoke", "--data", tiny.root, "--out", outlines.folder, *SET]
    assert_refused(tumorlens(*words), "found a run; go on with it by --resume")
    assert_refused(
        tumorlens(*words, "--resume", "--set", "size=96"), "expected the recipe that the run began with"
    )
    code, out, err = tumorlens(*words, "--resume")
    assert (code, out, err) == (0, f"{outlines.folder}: already trained to its end\n", "")


def _newer(run: Run, folder: Path) -> Path:
    """A copy of a run as a later version might write it."""
    folder.mkdir()
    for name in ("recipe.yaml", "split.json", "best.safetensors"):
        (folder / name).write_bytes((run.folder / name).read_bytes())
    record = json.loads((run.folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "format": 99, "tumorlens": "42.0"}))
    return folder


def test_a_run_of_another_version_is_refused(
    tumorlens: Tumorlens, tiny: TumorDataset, outlines: Run, tmp_path: Path
) -> None:
    run = _newer(outlines, tmp_path / "newer")
    named = "expected a run of format 1, got 99 (tumorlens 42.0)"
    assert_refused(tumorlens("evaluate", run, "--data", tiny.root), named)
    assert_refused(tumorlens("predict", tiny.root / "1.mat", "--run", run, "--out", "out"), named)
    assert_refused(tumorlens("train", "smoke", "--data", tiny.root, "--out", run, "--resume", *SET), named)


def test_a_folder_that_is_no_run_is_refused(tumorlens: Tumorlens, tiny: TumorDataset) -> None:
    assert_refused(tumorlens("evaluate", tiny.root, "--data", tiny.root), "expected a run folder")
    assert_refused(tumorlens("predict", tiny.root / "1.mat", "--run", "absent", "--out", "out"), "absent: ")


def test_an_unknown_side_is_refused(tumorlens: Tumorlens, tiny: TumorDataset, outlines: Run) -> None:
    result = tumorlens("evaluate", outlines.folder, "--data", tiny.root, "--split", "tset")
    assert_refused(result, "--split: expected train, validation, test, got tset")


def test_damaged_weights_are_refused(
    tumorlens: Tumorlens, tiny: TumorDataset, outlines: Run, tmp_path: Path
) -> None:
    run = _newer(outlines, tmp_path / "damaged")
    (run / "run.json").write_bytes((outlines.folder / "run.json").read_bytes())
    (run / "best.safetensors").write_bytes(outlines.best_weights.read_bytes()[:-100])
    result = tumorlens("predict", tiny.root / "1.mat", "--run", run, "--out", "out")
    assert_refused(result, "best.safetensors: expected the weights of its recipe")


def test_a_run_without_weights_yet_is_refused(
    tumorlens: Tumorlens, tiny: TumorDataset, outlines: Run, tmp_path: Path
) -> None:
    run = _newer(outlines, tmp_path / "young")
    (run / "run.json").write_bytes((outlines.folder / "run.json").read_bytes())
    (run / "best.safetensors").unlink()
    result = tumorlens("predict", tiny.root / "1.mat", "--run", run, "--out", "out")
    assert_refused(result, "expected a trained run")


def test_prediction_writes_for_both_models(
    tumorlens: Tumorlens, tiny: TumorDataset, outlines: Run, names: Run
) -> None:
    Image.linear_gradient("L").resize((50, 40)).save("b.png")
    slices = [tiny.root / "1.mat", "b.png"]
    runs = ["--run", outlines.folder, "--run", names.folder]
    code, out, err = tumorlens("predict", *slices, *runs, "--out", "out", "--write", "mask,overlay,json")
    assert (code, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()[:2]] == ["1.mat", "b.png"]
    assert "2 done, 0 skipped, 0 failed" in out
    for stem, size in (("1", (64, 64)), ("b", (50, 40))):
        assert Image.open(f"out/{stem}-mask.png").size == size
        assert Image.open(f"out/{stem}-overlay.png").size == size
        document = json.loads(Path(f"out/{stem}.json").read_text())
        assert document["tumor_type"] in {"meningioma", "glioma", "pituitary tumor"}


def test_one_bad_slice_of_several_gives_exit_code_1(
    tumorlens: Tumorlens, tiny: TumorDataset, names: Run, tmp_path: Path
) -> None:
    (tmp_path / "note.mat").write_text("not a slice")
    slices = [tiny.root / "1.mat", tmp_path / "note.mat", tiny.root / "2.mat"]
    code, out, err = tumorlens("predict", *slices, "--run", names.folder, "--out", "out")
    assert code == 1
    assert "2 done, 0 skipped, 1 failed" in out
    [line] = err.splitlines()
    assert line.startswith("tumorlens: ")
    assert "note.mat: expected a MATLAB v7.3 slice, " in line
    assert "got something else" in line
    assert {path.name for path in Path("out").glob("*.json")} == {"1.json", "2.json"}


@pytest.mark.parametrize(
    ("name", "named"), [("note.txt", "got something else"), ("absent.png", "can't be read")]
)
def test_only_bad_slices_give_exit_code_2(
    name: str, named: str, tumorlens: Tumorlens, names: Run, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("not a slice")
    result = tumorlens("predict", tmp_path / name, "--run", names.folder, "--out", "out")
    assert_refused(result, name, named)


def test_two_slices_of_one_name_are_told_apart(
    tumorlens: Tumorlens, tiny: TumorDataset, names: Run, tmp_path: Path
) -> None:
    Image.linear_gradient("L").resize((50, 40)).save(tmp_path / "1.png")
    slices = [tiny.root / "1.mat", tmp_path / "1.png"]
    assert tumorlens("predict", *slices, "--run", names.folder, "--out", "out")[0] == 0
    assert {path.name for path in Path("out").glob("*.json")} == {"1-mat.json", "1-png.json"}


def test_what_is_done_is_skipped_on_resuming(tumorlens: Tumorlens, tiny: TumorDataset, names: Run) -> None:
    words = ["predict", tiny.root / "1.mat", tiny.root / "2.mat", "--run", names.folder, "--out", "out"]
    assert "2 done, 0 skipped, 0 failed" in tumorlens(*words)[1]
    assert "0 done, 2 skipped, 0 failed" in tumorlens(*words, "--resume")[1]


def test_an_unknown_format_is_refused_before_anything_is_read(
    tumorlens: Tumorlens, tiny: TumorDataset, names: Run
) -> None:
    words = ["predict", tiny.root / "1.mat", "--run", names.folder, "--out", "out", "--write", "json,pdf"]
    assert_refused(tumorlens(*words), "expected a format among overlay, ", "got 'pdf'")


def test_series_are_listed_with_the_one_that_is_taken(tumorlens: Tumorlens, tmp_path: Path) -> None:
    volume = np.arange(6 * 64, dtype=np.int16).reshape(6, 8, 8)
    for number, description in enumerate(("t1_tra", "t1_tra +C", "t2_tra"), start=1):
        tags = {
            "SeriesInstanceUID": f"1.2.{number}",
            "SeriesNumber": number,
            "SeriesDescription": description,
        }
        write_series(tmp_path / "in" / f"{number}", volume, ContrastBolusAgent="", **tags)
    code, out, err = tumorlens("series", tmp_path / "in")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split(",")[1] for line in lines[:3]] == [" t1_tra", " t1_tra +C", " t2_tra"]
    assert lines[3].startswith("predict takes series 2 of 3")


def test_the_series_of_each_study_in_a_folder_are_listed_as_predict_takes_them(
    tumorlens: Tumorlens, tmp_path: Path
) -> None:
    volume = np.arange(6 * 64, dtype=np.int16).reshape(6, 8, 8)
    for study, series in ((1, 1), (1, 2), (2, 3)):
        tags = {"StudyInstanceUID": f"1.1.{study}", "SeriesInstanceUID": f"1.2.{series}"}
        write_series(tmp_path / "in" / f"{series}", volume, **tags)
    code, out, err = tumorlens("series", tmp_path / "in")
    assert (code, err) == (0, "")
    assert [line.split(" MR")[0].split(":")[0] for line in out.splitlines()] == [
        *("study 1 of 2", "1)", "2)", "predict takes series 2 of 2"),
        *("study 2 of 2", "1)", "predict takes the only one"),
    ]


@pytest.mark.parametrize(
    "words", [["predict", "", "--out", "o"], ["predict", "a.png", "--out", ""], ["series", " "]]
)
def test_an_empty_path_is_not_the_current_folder(tumorlens: Tumorlens, words: list[str]) -> None:
    code, out, err = tumorlens(*words)
    assert (code, out) == (2, "")
    assert "got an empty text" in " ".join(err.split())


def test_two_runs_that_name_are_averaged(
    tumorlens: Tumorlens, tiny: TumorDataset, names: Run, tmp_path: Path
) -> None:
    alone, twice = tmp_path / "alone", tmp_path / "twice"
    assert tumorlens("predict", tiny.root / "1.mat", "--run", names.folder, "--out", alone)[0] == 0
    runs = ["--run", names.folder, "--run", names.folder]
    assert tumorlens("predict", tiny.root / "1.mat", *runs, "--out", twice)[0] == 0
    one, two = (json.loads((folder / "1.json").read_text()) for folder in (alone, twice))
    assert two["probabilities"] == pytest.approx(one["probabilities"])


def test_a_place_that_cannot_be_written_is_named(
    tumorlens: Tumorlens, tiny: TumorDataset, names: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    words = ["predict", tiny.root / "1.mat", "--run", names.folder, "--out", tmp_path / "file" / "out"]
    assert_refused(tumorlens(*words), "file")


def test_a_preview_is_one_picture(tumorlens: Tumorlens, tiny: TumorDataset) -> None:
    code, out, err = tumorlens("dataset", "preview", "smoke", "--data", tiny.root, "--out", "p.png")
    assert (code, err) == (0, "")
    assert out.startswith("p.png: ")
    assert Image.open("p.png").mode == "RGB"
    assert [path.name for path in Path.cwd().iterdir()] == ["p.png"]


def test_cross_validation_tests_every_slice_once(tumorlens: Tumorlens, tiny: TumorDataset) -> None:
    words = [
        "cross-validate",
        "smoke-classification",
        "--data",
        tiny.root,
        "--out",
        "cv",
        "--folds",
        "3",
        *SET,
    ]
    code, out, err = tumorlens(*words, "--set", "training.phases=[{epochs: 1, learning_rate: 0.001}]")
    assert (code, err) == (0, "")
    assert "mean ± SD" in out
    files = [line.split(",")[0] for line in Path("cv/slices.csv").read_text().splitlines()[1:]]
    assert sorted(files) == sorted(entry.file for entry in tiny.entries)


def test_the_version_is_printed(tumorlens: Tumorlens) -> None:
    code, out, _ = tumorlens("--version")
    assert code == 0
    assert out.startswith("tumorlens ")


def test_a_name_that_a_terminal_cant_show_ends_nothing(tmp_path: Path) -> None:
    for name in ("扫描.png", "b.png"):
        Image.linear_gradient("L").resize((50, 40)).save(tmp_path / name)
    words = ["predict", str(tmp_path / "扫描.png"), str(tmp_path / "b.png"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "tumorlens", *words],
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "COLUMNS": "200"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u626b\u63cf.png" in done.stdout
    assert (tmp_path / "out" / "b.json").is_file()


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_is_left_to_the_shell_while_all_is_loaded_and_then_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tumorlens import __main__ as command

    def run() -> None:
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        raise SystemExit(7)

    monkeypatch.setattr(cli, "main", run)
    with pytest.raises(SystemExit, match="7"):
        command.main()


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupted_start_ends_without_a_traceback() -> None:
    run = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'tumorlens.cli.batch': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tumorlens.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("interrupted", [True, False])
def test_an_import_that_ctrl_c_broke_is_no_broken_installation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interrupted: bool
) -> None:
    def run() -> None:
        raise ImportError("numpy: a bad install") from (KeyboardInterrupt() if interrupted else None)

    monkeypatch.setattr(cli, "app", run)
    with pytest.raises(SystemExit if interrupted else ImportError):
        cli.main()
    assert ("interrupted" in capsys.readouterr().err) == interrupted
