"""Temperature, words and limits come from slices that no model was trained on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tumorlens.errors import TumorlensError
from tumorlens.evaluate import calibrate as module
from tumorlens.evaluate.calibrate import (
    FAINT_SHARE,
    STRANGE_SHARE,
    UNSURE_SHARE,
    calibrate,
    cross_validation_results,
    fit_temperature,
    read_judgement,
    write_judgement,
)
from tumorlens.evaluate.calibration import calibration_error
from tumorlens.judgement import Judgement
from tumorlens.tumor_type import TumorType

COLUMNS = [f"probability_{tumor.name.lower()}" for tumor in TumorType]
TRUE_TEMPERATURE = 2.5


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def tables(count: int = 3000, folds: int = 4, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Slices named by models two and a half times as sure as they may be."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 8, (count, 3))
    chances = softmax(logits / TRUE_TEMPERATURE)
    labels = (chances.cumsum(axis=1) > generator.random((count, 1))).argmax(axis=1)
    files = [f"{number}.mat" for number in range(count)]
    types = pd.DataFrame(
        {
            "file": files,
            "patient": files,
            "label": [TumorType.from_class_index(int(label)).name.lower() for label in labels],
            "fold": generator.integers(1, folds + 1, count),
            **dict(zip(COLUMNS, softmax(logits).T, strict=True)),
        }
    )
    inside = generator.beta(8, 1, count)
    inside[:10] = 0
    trust = pd.DataFrame(
        {
            "file": files,
            "inside_probability": inside,
            "strangeness": generator.gamma(2, 0.1, count),
            "warnings": np.where(
                np.arange(count) < 10, "no-tumor", np.where(np.arange(count) % 50 == 0, "edge", "")
            ),
        }
    )
    return types, trust


def write(folder: Path, types: pd.DataFrame, trust: pd.DataFrame) -> Path:
    for name, table in (("classification", types), ("trust", trust)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / name / "slices.csv", index=False, float_format="%.6g")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    types, trust = tables()
    return write(tmp_path_factory.mktemp("cv"), types, trust.sample(frac=1, random_state=0))


def refusal(folder: Path) -> str:
    with pytest.raises(TumorlensError) as caught:
        calibrate(folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(folder))
    return str(caught.value)


# --- Temperature ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true: float) -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 3, (6000, 3))
    labels = (softmax(logits / true).cumsum(axis=1) > generator.random((6000, 1))).argmax(axis=1)
    assert fit_temperature(logits, labels) == pytest.approx(true, rel=0.1)


def test_a_temperature_stays_within_its_bounds_whatever_the_labels() -> None:
    logits = np.float64([[9, 0, 0]] * 50)
    assert fit_temperature(logits, np.zeros(50, int)) >= 0.05
    assert fit_temperature(logits, np.ones(50, int)) <= 20


def test_models_that_are_too_sure_are_cooled_and_their_calibration_error_falls(folder: Path) -> None:
    calibration = calibrate(folder)
    assert calibration.judgement.temperature == pytest.approx(TRUE_TEMPERATURE, rel=0.15)
    assert calibration.error_after < 0.4 * calibration.error_before
    assert calibration.slices == 3000
    types, _ = tables()
    labels = np.array([TumorType[name.upper()].class_index for name in types["label"]])
    assert calibration.error_before == pytest.approx(
        calibration_error(types[COLUMNS].to_numpy(), labels), abs=1e-3
    )


def test_each_fold_is_scaled_by_the_temperature_of_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[float]] = []
    honest = fit_temperature

    def spy(logits: np.ndarray, labels: np.ndarray) -> float:
        seen.append({round(float(value), 4) for value in logits[:, 0]})
        assert len(logits) == len(labels)
        return honest(logits, labels)

    monkeypatch.setattr(module, "fit_temperature", spy)
    calibrate(folder)
    types = pd.read_csv(folder / "classification" / "slices.csv")
    first = np.log(types[COLUMNS[0]].clip(1e-12)).round(4)
    assert len(seen) == 5
    for fold, used in zip((1, 2, 3, 4), seen, strict=False):
        assert not {value for value in first[types["fold"] == fold] if value > -20} & used - set(
            first[types["fold"] != fold]
        )
        assert set(first[types["fold"] != fold]) <= used
    assert set(first) <= seen[-1]


def test_wrong_labels_in_a_fold_do_not_help_that_fold(tmp_path: Path) -> None:
    """Were a fold scaled by itself, its temperature would hide that its names are wrong."""
    types, trust = tables(1200, folds=2)
    mine = types["fold"] == 1
    types.loc[mine, "label"] = np.roll(types.loc[mine, "label"], 1)
    crossed = calibrate(write(tmp_path, types, trust))
    assert crossed.error_after > 0.2


# --- Words ------------------------------------------------------------------------------------------------


def crossed_probabilities(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    types = pd.read_csv(folder / "classification" / "slices.csv")
    labels = np.array([TumorType[name.upper()].class_index for name in types["label"]])
    logits = np.log(types[COLUMNS].to_numpy().clip(1e-12))
    probabilities = np.empty_like(logits)
    for fold in types["fold"].unique():
        mine = (types["fold"] == fold).to_numpy()
        probabilities[mine] = softmax(logits[mine] / fit_temperature(logits[~mine], labels[~mine]))
    return probabilities, labels


def test_each_word_tells_how_often_it_was_right(folder: Path) -> None:
    bands = calibrate(folder).judgement.bands
    probabilities, labels = crossed_probabilities(folder)
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    assert [band.word for band in bands] == ["high", "moderate", "low"]
    ceiling = np.inf
    for band in bands:
        mine = (top >= band.from_probability) & (top < ceiling)
        assert band.slices == mine.sum() > 0
        assert band.accuracy == pytest.approx(right[mine].mean(), abs=1e-5)
        ceiling = band.from_probability
    assert sum(band.slices for band in bands) == 3000
    assert [band.from_probability for band in bands] == [0.9, 0.7, 0.0]


@pytest.mark.parametrize("right", [True, False])
def test_models_that_are_always_right_or_always_wrong_still_get_words(right: bool, tmp_path: Path) -> None:
    types, trust = tables(400)
    named = types[COLUMNS].to_numpy().argmax(axis=1) + (0 if right else 1)
    types["label"] = [TumorType.from_class_index(int(index) % 3).name.lower() for index in named]
    bands = calibrate(write(tmp_path, types, trust)).judgement.bands
    assert sum(band.slices for band in bands) == 400
    assert {band.accuracy for band in bands} <= {None, float(right)}


# --- Limits -----------------------------------------------------------------------------------------------


def test_limits_flag_the_shares_asked_for(folder: Path) -> None:
    calibration = calibrate(folder)
    judgement = calibration.judgement
    _, trust = tables()
    probabilities, _ = crossed_probabilities(folder)
    ordered = np.sort(probabilities, axis=1)
    unsure = ordered[:, 2] - ordered[:, 1] < judgement.unsure_margin
    faint = trust["inside_probability"].to_numpy() < judgement.faint_below
    assert judgement.strange_above is not None
    strange = trust["strangeness"].to_numpy() > judgement.strange_above
    for flags, share in ((unsure, UNSURE_SHARE), (faint, FAINT_SHARE), (strange, STRANGE_SHARE)):
        assert flags.mean() == pytest.approx(share, abs=0.001)
    edge = trust["warnings"].str.contains("edge").to_numpy()
    assert calibration.flagged == pytest.approx((unsure | faint | strange | edge).mean(), abs=0.001)


def test_slices_with_nothing_outlined_are_flagged_however_many(tmp_path: Path) -> None:
    types, trust = tables(400)
    trust["strangeness"] = 0.0
    trust["warnings"] = ""
    trust.loc[:199, "inside_probability"] = 0.0
    trust.loc[:199, "warnings"] = "no-tumor"
    calibration = calibrate(write(tmp_path, types, trust))
    assert calibration.judgement.faint_below == 0
    assert calibration.judgement.strange_above == 0
    assert calibration.flagged == pytest.approx(0.5, abs=0.02)


def test_the_order_of_the_rows_does_not_matter(folder: Path, tmp_path: Path) -> None:
    types, trust = tables()
    other = write(tmp_path, types.sample(frac=1, random_state=3), trust.sample(frac=1, random_state=4))
    one, two = calibrate(folder), calibrate(other)
    assert one.judgement.temperature == pytest.approx(two.judgement.temperature, abs=2e-4)
    assert one.judgement.bands == two.judgement.bands


# --- Mistakes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["classification", "trust"])
@pytest.mark.parametrize("content", [None, "", "\x00\xff", "a,b\n1,2\n", "file\n1.mat\n"])
def test_results_that_are_missing_or_others_are_refused(
    name: str, content: str | None, tmp_path: Path
) -> None:
    path = write(tmp_path, *tables(60)) / name / "slices.csv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert "expected the results of 'tumorlens cross-validate' with a joint recipe" in refusal(tmp_path)


def test_an_absent_folder_is_refused(tmp_path: Path) -> None:
    assert "expected the results" in refusal(tmp_path / "absent")


def test_a_slice_that_was_measured_twice_is_refused(tmp_path: Path) -> None:
    types, trust = tables(100)
    assert "expected the results" in refusal(write(tmp_path, types, pd.concat([trust, trust[:1]])))


def test_slices_of_one_fold_or_of_none_are_refused(tmp_path: Path) -> None:
    types, trust = tables(100)
    message = refusal(write(tmp_path / "one", types.assign(fold=4), trust))
    assert "expected at least 50 slices of at least 2 folds, got 100 of 1" in message
    refusal(write(tmp_path / "none", types.assign(fold=np.nan), trust))
    refusal(write(tmp_path / "some", types.assign(fold=types["fold"].where(types.index > 0)), trust))
    assert "got 49 of" in refusal(write(tmp_path / "few", types[:49], trust))


@pytest.mark.parametrize("column", ["inside_probability", "strangeness"])
@pytest.mark.parametrize("value", [np.nan, "much", np.inf])
def test_numbers_that_are_missing_are_refused(column: str, value: object, tmp_path: Path) -> None:
    types, trust = tables(100)
    trust[column] = trust[column].astype(object)
    trust.loc[7, column] = value
    assert "expected outlines and strangeness of every slice" in refusal(write(tmp_path, types, trust))


def test_an_unknown_type_is_refused(tmp_path: Path) -> None:
    types, trust = tables(100)
    types.loc[3, "label"] = "cyst"
    assert "expected the three tumor types" in refusal(write(tmp_path, types, trust))


# --- Files ------------------------------------------------------------------------------------------------


def test_a_judgement_survives_its_file(folder: Path, tmp_path: Path) -> None:
    calibration = calibrate(folder)
    write_judgement(calibration, tmp_path / "judgement.json")
    assert read_judgement(tmp_path / "judgement.json") == calibration.judgement


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"temperature": 0}', '{"temperature": NaN}', '{"x": 1}', "\x00", None]
)
def test_what_is_no_judgement_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "j.json").write_text(content)
    with pytest.raises(
        TumorlensError, match=r"j\.json: expected the judgement of 'tumorlens calibrate'"
    ) as caught:
        read_judgement(tmp_path / "j.json")
    assert "\n" not in str(caught.value)


def test_an_empty_judgement_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "j.json").write_text("{}")
    assert read_judgement(tmp_path / "j.json") == Judgement()


def gathered(folder: Path, **changes: object) -> Path:
    """What a cross-validation of a joint recipe leaves."""
    for number, (task, name) in enumerate(
        [("segmentation", "dice"), ("classification", "accuracy"), ("trust", "pointing_game")]
    ):
        (folder / task).mkdir(parents=True, exist_ok=True)
        summary = {name: {"mean": 0.5 + number / 10, "sd": 0.1}, "undefined": {"mean": None, "sd": None}}
        text = json.dumps({"folds": [], "over folds": changes.get(task, summary)})
        (folder / task / "results.json").write_text(text)
        (folder / task / "slices.csv").write_text("file\n1.mat\n2.mat\n")
    return folder


def test_headline_numbers_go_into_a_manifest(tmp_path: Path) -> None:
    results = cross_validation_results(gathered(tmp_path))
    assert [(result.measure, result.value, result.slices) for result in results] == [
        ("segmentation: dice", 0.5, 2),
        ("classification: accuracy", 0.6, 2),
        ("trust: pointing_game", 0.7, 2),
    ]


@pytest.mark.parametrize("spoil", ["absent", "empty", "list", "no summary", "no table", "no mean"])
def test_results_of_something_else_are_refused(spoil: str, tmp_path: Path) -> None:
    gathered(tmp_path, **({"trust": {"pointing_game": 1}} if spoil == "no mean" else {}))
    results = tmp_path / "trust" / "results.json"
    if spoil == "absent":
        results.unlink()
    elif spoil == "no table":
        (tmp_path / "trust" / "slices.csv").unlink()
    elif spoil != "no mean":
        results.write_text({"empty": "", "list": "[]", "no summary": "{}"}[spoil])
    with pytest.raises(TumorlensError, match="expected the results of 'tumorlens cross-validate'"):
        cross_validation_results(tmp_path)


def test_the_error_once_scaled_by_temperature_is_among_the_results(tmp_path: Path) -> None:
    folder = write(gathered(tmp_path), *tables())  # its tables take the places of the short ones
    last = cross_validation_results(folder)[-1]
    assert last.measure == "classification: calibration_error once scaled by temperature"
    assert last.value == calibrate(folder).error_after
