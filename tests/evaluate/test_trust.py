"""Heatmaps are judged as the paper of the pointing game says, warnings by their kinds."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tumorlens.evaluate.bootstrap import PatientBootstrap
from tumorlens.evaluate.report import results_markdown, write_report
from tumorlens.evaluate.trust import TrustCase, evaluate_trust, heatmap_scores
from tumorlens.finding import Finding, FindingWarning, WarningKind
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

TRUE = np.array([[0, 1, 1, 0], [0, 1, 0, 0]], np.bool_)


def case(number: int = 0, **changes: object) -> TrustCase:
    values: dict[str, object] = {
        "file": f"{number}.mat",
        "patient": f"p{number}",
        "label": TumorType.GLIOMA,
        "fold": 1,
        "pointing": 1.0,
        "energy": 0.5,
        "inside_probability": 0.9,
        "strangeness": 0.1,
        "warnings": (),
    }
    return TrustCase(**{**values, **changes})  # type: ignore[arg-type]


def finding(**more: object) -> Finding:
    return Finding(Scan(np.ones((1, 2, 4)), Path("a")), **{"mask": None, "probabilities": None, **more})  # type: ignore[arg-type]


def judged(**more: object) -> TrustCase:
    return TrustCase.of(finding(**more), TRUE, file="a", patient="p", label=TumorType.GLIOMA, fold=None)


# --- A heatmap --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heatmap", "pointing", "energy"),
    [
        ([[0, 0.2, 1, 0], [0, 0.2, 0, 0.6]], 1, 1.4 / 2),
        ([[1, 0.2, 0.9, 0], [0, 0.2, 0, 0.2]], 0, 1.3 / 2.5),
        ([[0, 0, 0, 1], [0, 0, 0, 0]], 0, 0),
        ([[0, 1, 0, 0], [0, 0, 0, 0]], 1, 1),
        ([[1, 1, 1, 0], [0, 1, 0, 0]], 3 / 4, 3 / 4),  # four places are equally strong
        ([[0.5] * 4] * 2, 3 / 8, 3 / 8),
        ([[0] * 4] * 2, 0, 0),
    ],
)
def test_a_small_heatmap_scores_what_a_hand_gets(
    heatmap: list[list[float]], pointing: float, energy: float
) -> None:
    for precision in (np.float16, np.float32, np.float64):
        scores = heatmap_scores(np.array(heatmap, precision), TRUE)
        assert scores == pytest.approx((pointing, energy), abs=1e-3)


def test_no_heatmap_has_no_scores() -> None:
    assert all(map(math.isnan, heatmap_scores(None, TRUE)))


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32)), hnp.arrays(np.bool_, (4, 5)))
def test_inside_and_outside_share_the_energy(heatmap: np.ndarray, true: np.ndarray) -> None:
    (inside_points, inside), (outside_points, outside) = (
        heatmap_scores(heatmap, true),
        heatmap_scores(heatmap, ~true),
    )
    whole = 1 if heatmap.sum(dtype=np.float64) > 0 else 0
    assert inside + outside == pytest.approx(whole)
    assert inside_points + outside_points == pytest.approx(whole)


def test_a_mirrored_or_transposed_heatmap_scores_worse() -> None:
    true = np.zeros((9, 9), np.bool_)
    true[1:3, 5:8] = True
    heat = true.astype(np.float32)
    assert heatmap_scores(heat, true) == (1, 1)
    for spoiled in (heat[::-1], heat[:, ::-1], heat.T):
        assert heatmap_scores(spoiled, true) == (0, 0)


# --- A finding --------------------------------------------------------------------------------------------


def test_a_finding_is_judged_by_all_that_it_says() -> None:
    heat = np.zeros((1, 2, 4), np.float32)
    heat[0, 0, 1], heat[0, 1, 3] = 1, 0.25
    mask = np.zeros((1, 2, 4), np.bool_)
    mask[0, 0, :2] = True
    probability = np.full((1, 2, 4), 0.125, np.float32)
    probability[0, 0, :2] = 0.5, 1
    warning = FindingWarning(WarningKind.EDGE, "edge", 2, 1)
    result = judged(
        heatmap=heat, mask=mask, tumor_probability=probability, strangeness=0.25, warnings=(warning,)
    )
    assert (result.pointing, result.energy) == (1, 0.8)
    assert result.inside_probability == 0.75
    assert result.strangeness == 0.25
    assert result.warnings == (WarningKind.EDGE,)


def test_what_a_finding_does_not_say_is_nan() -> None:
    result = judged()
    for value in (result.pointing, result.energy, result.inside_probability, result.strangeness):
        assert math.isnan(value)


def test_an_empty_outline_has_no_probability_inside() -> None:
    empty = np.zeros((1, 2, 4), np.bool_)
    assert judged(mask=empty, tumor_probability=empty + np.float32(0.4)).inside_probability == 0


# --- Many -------------------------------------------------------------------------------------------------


def test_scores_are_means_with_intervals_over_patients() -> None:
    generator = np.random.default_rng(0)
    pointing, energy = generator.integers(0, 2, 60).astype(float), generator.random(60)
    patients = [f"p{number // 4}" for number in range(60)]
    labels = [list(TumorType)[number // 4 % 3] for number in range(60)]
    cases = [
        case(n, pointing=pointing[n], energy=energy[n], patient=patients[n], label=labels[n],
             warnings=(WarningKind.EDGE,) if n % 3 == 0 else ())
        for n in range(60)
    ]  # fmt: skip
    evaluation = evaluate_trust(iter(cases), resamples=50, seed=2)
    bootstrap = PatientBootstrap(patients, resamples=50, seed=2)
    assert evaluation.scores["pointing_game"] == bootstrap.mean(pointing)
    assert evaluation.scores["energy_inside"] == bootstrap.mean(energy)
    assert evaluation.scores["flagged"].value == pytest.approx(1 / 3)
    glioma = np.array([label is TumorType.GLIOMA for label in labels])
    assert evaluation.per_class[TumorType.GLIOMA]["energy_inside"].value == pytest.approx(
        energy[glioma].mean()
    )
    assert (evaluation.patients, len(evaluation.slices), evaluation.resamples, evaluation.seed) == (
        15,
        60,
        50,
        2,
    )


def test_warnings_are_counted_by_kind_and_slices_by_having_any() -> None:
    cases = [
        case(0, warnings=(WarningKind.EDGE, WarningKind.UNSURE)),
        case(1, warnings=(WarningKind.EDGE,)),
        case(2),
        case(3),
    ]
    evaluation = evaluate_trust(cases, resamples=10)
    assert evaluation.warnings == {
        **dict.fromkeys(WarningKind, 0), WarningKind.UNSURE: 0.25, WarningKind.EDGE: 0.5
    }  # fmt: skip
    assert evaluation.scores["flagged"].value == 0.5
    assert evaluation.slices["warnings"].tolist() == ["edge unsure", "edge", "", ""]


def test_slices_without_a_heatmap_do_not_count() -> None:
    cases = [case(0, pointing=1, energy=0.5), case(1, pointing=math.nan, energy=math.nan)]
    evaluation = evaluate_trust(cases, resamples=10)
    assert evaluation.scores["pointing_game"].value == 1
    assert evaluation.scores["energy_inside"].value == 0.5
    none = evaluate_trust([case(0, pointing=math.nan, energy=math.nan)], resamples=10)
    assert math.isnan(none.scores["energy_inside"].value)


def test_a_type_without_slices_has_undefined_scores() -> None:
    evaluation = evaluate_trust([case(0), case(1)], resamples=10)
    assert str(evaluation.per_class[TumorType.PITUITARY]["energy_inside"]) == "n/a"


def test_no_slices_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one slice"):
        evaluate_trust([])


def test_a_report_of_trust_is_whole_and_valid(tmp_path: Path) -> None:
    cases = [
        case(
            n,
            fold=None if n else 3,
            energy=math.nan if n == 1 else 0.25,
            warnings=(WarningKind.EDGE,) * (n == 2),
        )
        for n in range(4)
    ]
    evaluation = evaluate_trust(cases, resamples=20)
    write_report(evaluation, tmp_path, {"bundle": "mine"})
    text = (tmp_path / "results.json").read_text()
    results = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert results["task"] == "trust"
    assert results["scores"]["energy_inside"]["value"] == 0.25
    assert results["warnings"] == dict.fromkeys(WarningKind, 0) | {"edge": 0.25}
    assert results["per_class"]["meningioma"]["pointing_game"]["value"] is None
    table = pd.read_csv(tmp_path / "slices.csv", keep_default_na=False)
    assert table["warnings"].tolist() == ["", "", "edge", ""]
    assert table["energy"].tolist() == ["0.25", "", "0.25", "0.25"]
    assert table["fold"].tolist() == ["3", "", "", ""]
    markdown = results_markdown(evaluation, {})
    for part in (
        "# Heatmaps and warnings",
        "4 slices of 4 patients",
        "Pointing game",
        "| edge | 25.0% |",
        "n/a",
    ):
        assert part in markdown
    for part in markdown.split("\n\n"):
        rows = [line for line in part.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1
