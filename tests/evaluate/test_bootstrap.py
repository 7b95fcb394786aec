import math
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorlens.evaluate.bootstrap import Estimate, PatientBootstrap, clustered_interval, ratio

Values = NDArray[np.float64]


def clustered(rng: np.random.Generator, patients: int = 40, each: int = 10) -> tuple[Values, list[str]]:
    """Slices of a patient share most of their value; the population's mean is 0."""
    values = rng.normal(size=patients).repeat(each) + 0.3 * rng.normal(size=patients * each)
    return values, [f"p{number}" for number in np.arange(patients).repeat(each)]


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


def test_an_estimate_prints_its_interval() -> None:
    estimate = Estimate(0.7714, 0.7421, 0.7979)
    assert str(estimate) == "0.771 (0.742–0.798)"
    assert f"{estimate:.1f}" == "0.8 (0.7–0.8)"
    assert str(Estimate(0.5, math.nan, math.nan)) == "0.500"
    assert str(Estimate.undefined()) == "n/a"


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    values, patients = clustered(np.random.default_rng(0))

    def interval(seed: int) -> Estimate:
        return clustered_interval(lambda index: values[index].mean(), patients, resamples=200, seed=seed)

    assert interval(1) == interval(1)
    assert interval(1) != interval(2)


def test_the_value_is_the_statistic_on_all_slices() -> None:
    values, patients = clustered(np.random.default_rng(0))
    estimate = clustered_interval(lambda index: float(np.median(values[index])), patients, resamples=50)
    assert estimate.value == np.median(values)
    assert estimate.low <= estimate.value <= estimate.high


def test_slices_of_one_patient_make_a_wider_interval_than_independent_slices() -> None:
    values, patients = clustered(np.random.default_rng(0))
    alone = [str(number) for number in range(len(values))]
    by_patient, by_slice = PatientBootstrap(patients).mean(values), PatientBootstrap(alone).mean(values)
    assert width(by_patient) > 2 * width(by_slice)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    by_patient, by_slice = 0, 0
    runs = 200
    for _ in range(runs):
        values, patients = clustered(rng)
        interval = PatientBootstrap(patients, resamples=300).mean(values)
        naive = PatientBootstrap([str(number) for number in range(len(values))], resamples=300).mean(values)
        by_patient += interval.low <= 0 <= interval.high
        by_slice += naive.low <= 0 <= naive.high
    assert 0.89 <= by_patient / runs <= 0.99
    assert by_slice / runs < 0.7


def test_all_slices_of_a_drawn_patient_come_along() -> None:
    patients = ["a", "b", "b", "b", "c", "c"]
    seen = []
    clustered_interval(lambda index: float(seen.append(index.copy()) or 0), patients, resamples=50)  # type: ignore[func-returns-value]
    for index in seen:
        times = np.bincount(index, minlength=6)
        assert times[1] == times[2] == times[3]
        assert times[4] == times[5]
        assert times[0] + times[1] + times[4] == 3


def test_sums_give_the_interval_that_indices_give() -> None:
    values, patients = clustered(np.random.default_rng(5), patients=12, each=3)
    bootstrap = PatientBootstrap(patients, resamples=100, seed=4)
    by_index = bootstrap.interval(lambda index: values[index].mean())
    by_sums = bootstrap.interval_of_sums(np.stack([values, np.ones_like(values)], axis=1), ratio)
    for name in ("value", "low", "high"):
        assert getattr(by_sums, name) == pytest.approx(getattr(by_index, name))


def test_the_level_sets_the_width() -> None:
    values, patients = clustered(np.random.default_rng(0))
    assert width(PatientBootstrap(patients, level=0.8).mean(values)) < width(
        PatientBootstrap(patients).mean(values)
    )


def test_resamples_on_which_the_statistic_is_undefined_do_not_count() -> None:
    values = np.array([1.0, 2.0, math.nan, 4.0])
    patients = ["a", "b", "c", "d"]
    fast = PatientBootstrap(patients).mean(values)

    def mean(index: NDArray[np.int64]) -> float:
        defined = values[index][np.isfinite(values[index])]
        return float(defined.mean()) if defined.size else math.nan

    assert clustered_interval(mean, patients).value == pytest.approx(7 / 3)
    assert fast.value == pytest.approx(7 / 3)
    assert 1 <= fast.low < fast.high <= 4


def test_a_statistic_that_is_never_defined_has_no_interval() -> None:
    assert str(PatientBootstrap(["a", "b"]).mean(np.array([math.nan, math.nan]))) == "n/a"


def test_one_patient_gives_a_value_without_an_interval() -> None:
    for estimate in (
        clustered_interval(lambda index: float(len(index)), ["a", "a", "a"]),
        PatientBootstrap(["a", "a", "a"]).mean(np.array([3.0, 3.0, 3.0])),
    ):
        assert estimate.value == 3
        assert math.isnan(estimate.low)
        assert math.isnan(estimate.high)


def test_patients_without_slices_or_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one slice, got none"):
        clustered_interval(lambda _: 0.0, [])
    with pytest.raises(ValueError, match=r"got 0 and 0\.95"):
        PatientBootstrap(["a"], resamples=0)
    with pytest.raises(ValueError, match="got 1000 and 95"):
        PatientBootstrap(["a"], level=95)
    with pytest.raises(ValueError, match=r"expected contributions of shape \(2, k\), got \(3, 1\)"):
        PatientBootstrap(["a", "b"]).interval_of_sums(np.ones((3, 1)), ratio)


def test_a_dozen_means_of_six_hundred_slices_take_less_than_five_seconds() -> None:
    values, patients = clustered(np.random.default_rng(0), patients=60)
    start = time.perf_counter()
    bootstrap = PatientBootstrap(patients)
    for _ in range(12):
        bootstrap.mean(values)
    assert time.perf_counter() - start < 5
