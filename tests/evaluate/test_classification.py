import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support, roc_auc_score
from torchmetrics.functional.classification import multiclass_calibration_error

from tumorlens.evaluate.bootstrap import PatientBootstrap
from tumorlens.evaluate.calibration import calibration_error, confidence_bins
from tumorlens.evaluate.classification import area_under_roc, classification_metrics, evaluate_classification
from tumorlens.tumor_type import TumorType

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    file: str
    patient: str
    label: TumorType
    fold: int | None = None


def simulated(
    seed: int, patients: int = 30, each: int = 5
) -> tuple[Probabilities, NDArray[np.int64], list[str]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, patients).repeat(each)
    logits = rng.normal(size=(len(labels), 3))
    logits[np.arange(len(labels)), labels] += 1.5
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True), labels, [f"p{n}" for n in np.arange(patients).repeat(each)]


def sure(named: list[int], confidence: float = 0.8) -> Probabilities:
    rest = (1 - confidence) / 2
    return np.where(np.eye(3)[named] == 1, confidence, rest)


def test_a_small_example_scores_what_a_hand_gets() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    named = [0, 0, 0, 1, 1, 1, 2, 0]
    metrics = classification_metrics(sure(named), labels, list("abcdefgh"))
    assert metrics.confusion.tolist() == [[3, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert metrics.accuracy.value == pytest.approx(6 / 8)
    assert metrics.balanced_accuracy.value == pytest.approx((3 / 4 + 1 + 1 / 2) / 3)
    meningioma = metrics.per_class[TumorType.MENINGIOMA]
    assert meningioma.precision.value == pytest.approx(3 / 4)
    assert meningioma.recall.value == pytest.approx(3 / 4)
    assert metrics.per_class[TumorType.GLIOMA].f1.value == pytest.approx(2 * 2 / (2 * 2 + 1 + 0))
    assert (meningioma.slices, meningioma.patients) == (4, 4)


@pytest.mark.parametrize("seed", range(3))
def test_values_agree_with_scikit_learn(seed: int) -> None:
    probabilities, labels, patients = simulated(seed)
    named = probabilities.argmax(axis=1)
    metrics = classification_metrics(probabilities, labels, patients, resamples=10)
    precision, recall, f1, count = precision_recall_fscore_support(labels, named)
    auroc = roc_auc_score(np.eye(3)[labels], probabilities, average=None)
    assert metrics.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(labels, named))
    for label, mine in metrics.per_class.items():
        index = label.class_index
        found = (mine.precision.value, mine.recall.value, mine.f1.value, mine.auroc.value, mine.slices)
        assert found == pytest.approx(
            (precision[index], recall[index], f1[index], auroc[index], count[index])
        )


def test_intervals_are_what_the_metrics_give_on_each_resample() -> None:
    probabilities, labels, patients = simulated(1, patients=12)
    settings_ = {"resamples": 40, "seed": 3}
    metrics = classification_metrics(probabilities, labels, patients, **settings_)
    slow = PatientBootstrap(patients, **settings_)
    named = probabilities.argmax(axis=1)
    accuracy = slow.interval(lambda i: float((named[i] == labels[i]).mean()))
    balanced = slow.interval(
        lambda i: float(np.mean([(named[i] == c)[labels[i] == c].mean() for c in np.unique(labels[i])]))
    )
    error = slow.interval(
        lambda i: multiclass_calibration_error(
            torch.from_numpy(probabilities[i]), torch.from_numpy(labels[i]), 3
        ).item()
    )
    for mine, theirs in (
        (metrics.accuracy, accuracy),
        (metrics.balanced_accuracy, balanced),
        (metrics.calibration_error, error),
    ):
        assert (mine.value, mine.low, mine.high) == pytest.approx(
            (theirs.value, theirs.low, theirs.high), abs=1e-6
        )


def test_the_calibration_error_of_a_small_example_is_what_a_hand_gets() -> None:
    # One bin at 0.9 (3 slices, 2 right), one at 0.5 (1 slice, right).
    probabilities = np.array([[0.9, 0.05, 0.05]] * 3 + [[0.5, 0.3, 0.2]])
    labels = np.array([0, 0, 1, 0])
    expected = 3 / 4 * abs(2 / 3 - 0.9) + 1 / 4 * abs(1 - 0.5)
    assert calibration_error(probabilities, labels) == pytest.approx(expected)


def test_a_sure_and_right_classifier_has_no_calibration_error_and_a_sure_and_wrong_one_has_all() -> None:
    probabilities = np.eye(3)[[0, 1, 2]]
    assert calibration_error(probabilities, np.array([0, 1, 2])) == 0
    assert calibration_error(probabilities, np.array([1, 2, 0])) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([0, 1, 2, 8]))
def test_the_calibration_error_is_that_of_torchmetrics(seed: int, slices: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.3] * 3, slices).round(decimals)  # round values lie on the bins' edges
    labels = rng.integers(0, 3, slices)
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), 3, n_bins=15
    )
    assert calibration_error(probabilities, labels) == pytest.approx(theirs.item(), abs=1e-5)


def test_a_confidence_of_one_has_a_bin_of_its_own() -> None:
    assert confidence_bins(np.array([[1.0, 0, 0], [0.999, 0.001, 0], [0.34, 0.33, 0.33]])).tolist() == [
        15,
        14,
        5,
    ]


def test_equal_scores_have_an_area_of_a_half() -> None:
    assert area_under_roc(np.full(6, 0.3), np.array([1, 0, 1, 0, 0, 0], dtype=np.bool_)) == 0.5
    assert area_under_roc(np.array([0.1, 0.9]), np.array([False, True])) == 1
    assert area_under_roc(np.array([0.9, 0.1]), np.array([False, True])) == 0
    assert math.isnan(area_under_roc(np.array([0.9, 0.1]), np.array([True, True])))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_area_is_that_of_scikit_learn_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.append(rng.random(20) < 0.4, [True, False])
    scores = rng.random(22).round(1)
    assert area_under_roc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_what_is_not_defined_is_nan_and_no_zero() -> None:
    metrics = classification_metrics(sure([0, 0, 1, 0]), np.array([0, 0, 1, 1]), list("aabb"))
    absent = metrics.per_class[TumorType.PITUITARY]
    assert all(math.isnan(e.value) for e in (absent.precision, absent.recall, absent.f1, absent.auroc))
    assert metrics.balanced_accuracy.value == pytest.approx(0.75)
    never_named = classification_metrics(sure([0, 0]), np.array([0, 1]), list("ab"))
    assert math.isnan(never_named.per_class[TumorType.GLIOMA].precision.value)
    assert never_named.per_class[TumorType.GLIOMA].recall.value == 0


def test_swapped_classes_score_worse() -> None:
    probabilities, labels, patients = simulated(0)
    good = classification_metrics(probabilities, labels, patients, resamples=10)
    bad = classification_metrics(probabilities[:, [1, 0, 2]], labels, patients, resamples=10)
    assert bad.accuracy.value < good.accuracy.value
    assert bad.per_class[TumorType.GLIOMA].auroc.value < 0.5 < good.per_class[TumorType.GLIOMA].auroc.value


def test_rounding_beyond_one_is_taken_for_one() -> None:
    probabilities = np.array([[1.0 + 2e-7, 0, 0], [0.2, 0.5, 0.3]], dtype=np.float32)
    metrics = classification_metrics(probabilities, np.array([0, 1]), ["a", "b"], resamples=10)
    assert metrics.calibration_error.value == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("probabilities", "labels", "patients", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=int), [], "at least one slice to evaluate, got none"),
        (np.full((2, 2), 0.5), np.array([0, 1]), ["a", "b"], r"\(2, 3\).*got \(2, 2\)"),
        (sure([0, 1]), np.array([0, 1, 2]), ["a", "b"], r"labels \(2,\).*\(3,\)"),
        (sure([0, 1]), np.array([1, 3]), ["a", "b"], "class indices 0 to 2, got 1 to 3"),
        (np.array([[2.0, 1, -3]]), np.array([0]), ["a"], "apply the softmax"),
        (np.array([[np.nan, 0.5, 0.5]]), np.array([0]), ["a"], "apply the softmax"),
    ],
)
def test_what_cannot_be_judged_is_refused(probabilities, labels, patients, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        classification_metrics(probabilities, labels, patients)


def test_an_evaluation_keeps_every_slice() -> None:
    cases = [Labelled("1.mat", "a", TumorType.GLIOMA, 5), Labelled("2.mat", "b", TumorType.PITUITARY)]
    evaluation = evaluate_classification(iter(cases), sure([1, 0]))
    assert evaluation.slices["predicted"].tolist() == ["glioma", "meningioma"]
    assert evaluation.slices["correct"].tolist() == [True, False]
    assert evaluation.slices["confidence"].tolist() == pytest.approx([0.8, 0.8])
    assert evaluation.slices["fold"].isna().tolist() == [False, True]
    assert evaluation.labels.tolist() == [1, 2]
    assert np.array_equal(evaluation.probabilities, sure([1, 0]))
    assert evaluation.patients == 2
