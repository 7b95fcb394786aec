"""Confidence intervals that respect that slices of one patient resemble each other.

The slices of a patient show the same tumor, so resampling slices as if they were independent makes an
interval too narrow. Here patients are resampled with replacement and all slices of a drawn patient come
along (the cluster bootstrap: Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section
3.8; percentile intervals: Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEVEL = 0.95

IndexStatistic = Callable[[NDArray[np.int64]], float]
SumStatistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A number and its confidence interval, in the number's own unit.

    Attributes:
        value: The statistic on all slices; NaN where it isn't defined.
        low: Lower end of the interval; NaN where there is none.
        high: Upper end of the interval; NaN where there is none.
    """

    value: float
    low: float
    high: float

    @classmethod
    def undefined(cls) -> "Estimate":
        """What is said of no slices at all."""
        return cls(math.nan, math.nan, math.nan)

    def __str__(self) -> str:
        return format(self, ".3f")

    def __format__(self, spec: str) -> str:
        """Format all three numbers by ``spec``: value, then the ends in parentheses; undefined is ``n/a``."""
        if math.isnan(self.value):
            return "n/a"
        spec = spec or ".3f"
        if math.isnan(self.low) or math.isnan(self.high):
            return format(self.value, spec)
        return f"{self.value:{spec}} ({self.low:{spec}}–{self.high:{spec}})"


class PatientBootstrap:
    """One set of resamples of the patients, on which any number of statistics get their intervals.

    Drawing once and sharing the draws is what makes a dozen metrics on a thousand resamples take a second.
    """

    def __init__(
        self, patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
    ) -> None:
        """Draw the resamples.

        Args:
            patients: The patient of each slice, (n,).
            resamples: How many times to draw.
            seed: The same seed gives the same draws.
            level: Coverage of the intervals, between 0 and 1.

        Raises:
            ValueError: There are no slices, or ``resamples`` or ``level`` is out of range.
        """
        if len(patients) == 0:
            raise ValueError("expected the patient of at least one slice, got none; check what was selected")
        if resamples < 1 or not 0 < level < 1:
            raise ValueError(
                f"expected resamples >= 1 and 0 < level < 1, got {resamples} and {level}; use 1000 and 0.95"
            )
        names, self._patient_of = np.unique(np.asarray([str(name) for name in patients]), return_inverse=True)
        self.patients = len(names)
        self.slices = len(patients)
        self._level = level
        # How often each patient is drawn: drawing with replacement is one multinomial draw.
        even = np.full(self.patients, 1 / self.patients)
        self._drawn = np.random.default_rng(seed).multinomial(self.patients, even, size=resamples)

    def interval(self, statistic: IndexStatistic) -> Estimate:
        """The interval of any statistic, by calling it on every resample.

        Args:
            statistic: Takes the indices of the slices, (m,), repeated as drawn, and returns a number.
                Resamples on which it is NaN (a class is absent) don't count.

        Returns:
            The statistic on all slices and its interval; NaN ends where there is one patient only.
        """
        everything = np.arange(self.slices, dtype=np.int64)
        value = float(statistic(everything))
        if self.patients == 1:
            return self._estimate(value, np.empty(0))
        times = (drawn[self._patient_of] for drawn in self._drawn)
        resampled = [float(statistic(np.repeat(everything, count))) for count in times]
        return self._estimate(value, np.asarray(resampled))

    def interval_of_sums(self, contributions: NDArray[np.float64], statistic: SumStatistic) -> Estimate:
        """The interval of a statistic that depends on sums over slices only: a mean, an accuracy, an F1.

        The sums are taken once a patient, so that a resample costs one row of a matrix product. Gives what
        `interval` would give on the same draws, up to rounding.

        Args:
            contributions: What each slice adds to each sum, (n, k).
            statistic: Takes sums, (m, k), and returns a number for each row, (m,).

        Raises:
            ValueError: ``contributions`` doesn't have a row a slice.
        """
        if contributions.ndim != 2 or len(contributions) != self.slices:
            raise ValueError(
                f"expected contributions of shape ({self.slices}, k), got {contributions.shape}; "
                "give a row a slice"
            )
        of_patient = np.zeros((self.patients, contributions.shape[1]))
        np.add.at(of_patient, self._patient_of, contributions)
        value = float(statistic(of_patient.sum(axis=0, keepdims=True))[0])
        return self._estimate(value, statistic(self._drawn @ of_patient))

    def mean(self, values: NDArray[np.float64]) -> Estimate:
        """The mean of a value a slice, (n,), and its interval; slices where the value is NaN don't count."""
        defined = np.isfinite(values)
        return self.interval_of_sums(np.stack([np.where(defined, values, 0.0), defined], axis=1), ratio)

    def _estimate(self, value: float, resampled: NDArray[np.float64]) -> Estimate:
        defined = resampled[np.isfinite(resampled)]
        if self.patients == 1 or defined.size == 0 or math.isnan(value):
            return Estimate(value, math.nan, math.nan)
        tail = (1 - self._level) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        return Estimate(value, float(low), float(high))


def clustered_interval(
    statistic: IndexStatistic,
    patients: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Estimate:
    """The percentile bootstrap interval of one statistic, resampling patients.

    Args:
        statistic: Takes indices into the slices, (m,), and returns a number; NaN where it isn't defined on
            those slices, and then that resample doesn't count.
        patients: The patient of each slice, (n,).
        resamples: How many times to draw.
        seed: The same seed gives the same interval.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The statistic on all slices and its interval, in the statistic's unit. With one patient only, nothing
        is known about how patients differ, and the ends are NaN.

    Raises:
        ValueError: There are no slices, or ``resamples`` or ``level`` is out of range.
    """
    return PatientBootstrap(patients, resamples=resamples, seed=seed, level=level).interval(statistic)


def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """First sum over second, (m, 2) to (m,); NaN where the second is 0."""
    return divide(sums[:, 0], sums[:, 1])


def divide(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """``numerator / denominator`` of one shape, NaN where the denominator is 0."""
    result = np.full(np.shape(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result
