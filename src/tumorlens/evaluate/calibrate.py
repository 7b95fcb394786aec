"""Calibration and limits from slices that the models hadn't been trained on.

The slices are those of a cross-validation: each was analysed by a model that never saw its fold. What comes
out belongs to a model trained on all folds, whose own training slices couldn't tell how sure it may be.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tumorlens import atomic
from tumorlens.bundle.manifest import Result
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.calibration import calibration_error
from tumorlens.judgement import ConfidenceBand, Judgement
from tumorlens.tumor_type import TumorType

STRANGE_SHARE = 0.02
FAINT_SHARE = 0.015
UNSURE_SHARE = 0.01
_FEWEST = 50  # slices
_WORDS = {"high": 0.9, "moderate": 0.7, "low": 0.0}


@dataclass(frozen=True)
class Calibration:
    """A judgement and how it was come by.

    Attributes:
        judgement: For a bundle.
        error_before: Expected calibration error of the models' own probabilities.
        error_after: The same after each fold was scaled by the temperature that fits the others.
        flagged: Share of real slices that get at least one warning.
        slices: How many slices.
    """

    judgement: Judgement
    error_before: float
    error_after: float
    flagged: float
    slices: int

    def to_markdown(self) -> str:
        """What was found, as tables."""
        judgement = self.judgement
        lines = [
            f"{self.slices} slices, each analysed by models that never saw its fold",
            "",
            "| | |",
            "| --- | --- |",
            f"| temperature | {judgement.temperature:g} |",
            f"| expected calibration error before | {self.error_before:.4f} |",
            f"| and after, each fold by the temperature of the others | {self.error_after:.4f} |",
            f"| slices with a warning | {self.flagged:.1%} |",
            f"| unsure: the types' probabilities differ by less than | {judgement.unsure_margin:g} |",
            f"| not clearly outlined: mean probability below | {judgement.faint_below:g} |",
            f"| unfamiliar: strangeness above | {judgement.strange_above:g} |",
            "",
            "| confidence | from probability | right | slices |",
            "| --- | --- | --- | --- |",
        ]
        for band in judgement.bands:
            right = "not measured" if band.accuracy is None else f"{band.accuracy:.1%}"
            lines.append(f"| {band.word} | {band.from_probability:g} | {right} | {band.slices} |")
        return "\n".join(lines)


def calibrate(folder: Path) -> Calibration:
    """Fit temperature, words and limits to a cross-validation's results.

    Args:
        folder: Of ``tumorlens cross-validate`` with a recipe that outlines and names.

    Raises:
        TumorlensError: There are no such results.
    """
    table = _read(folder)
    names = [f"probability_{tumor.name.lower()}" for tumor in TumorType]
    logits = np.log(table[names].to_numpy(np.float64).clip(1e-12))
    labels = np.array([TumorType[name.upper()].class_index for name in table["label"]])
    folds = table["fold"].to_numpy()
    crossed = np.empty_like(logits)
    for fold in np.unique(folds):
        mine = folds == fold
        crossed[mine] = _softmax(logits[mine] / fit_temperature(logits[~mine], labels[~mine]))
    temperature = fit_temperature(logits, labels)
    ordered = np.sort(crossed, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    inside = table["inside_probability"].to_numpy(np.float64)
    strange = table["strangeness"].to_numpy(np.float64)
    judgement = Judgement(
        temperature=round(temperature, 4),
        bands=_bands(ordered[:, -1], crossed.argmax(1) == labels),
        unsure_margin=_round(np.quantile(margin, UNSURE_SHARE)),
        faint_below=_round(np.quantile(inside, FAINT_SHARE)),
        strange_above=_round(np.quantile(strange, 1 - STRANGE_SHARE)),
    )
    flags = (
        (margin < judgement.unsure_margin)
        | (inside < judgement.faint_below)
        | (strange > np.float64(judgement.strange_above))
        | table["warnings"].str.contains("edge|no-tumor").to_numpy()
    )
    return Calibration(
        judgement=judgement,
        error_before=calibration_error(_softmax(logits), labels),
        error_after=calibration_error(crossed, labels),
        flagged=float(flags.mean()),
        slices=len(table),
    )


def cross_validation_results(folder: Path) -> list[Result]:
    """A cross-validation's headline numbers for a bundle's manifest.

    Raises:
        TumorlensError: There are none.
    """
    results = []
    for task in ("segmentation", "classification", "trust"):
        path = folder / task / "results.json"
        try:
            gathered = json.loads(path.read_text())
            values, folds = gathered["over folds"], len(gathered["folds"])
            slices = len(pd.read_csv(folder / task / "slices.csv"))
            several = gathered.get("runs a slice", 1)
            models = "a model" if several == 1 else f"{several} models"
            results += [
                Result(
                    measure=f"{task}: {name}",
                    value=summary["mean"],
                    protocol=f"cross-validation, mean over {folds} folds, each tested by {models} new to it",
                    slices=slices,
                )
                for name, summary in values.items()
                if summary["mean"] is not None
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise TumorlensError(
                f"{path}: expected the results of 'tumorlens cross-validate', but {reason}"
            ) from error
    with contextlib.suppress(TumorlensError):  # of a recipe that doesn't both outline and name
        calibration = calibrate(folder)
        results.append(
            Result(
                measure="classification: calibration_error once scaled by temperature",
                value=calibration.error_after,
                protocol="cross-validation, all slices together, each fold by the temperature of the others",
                slices=calibration.slices,
            )
        )
    return results


def write_judgement(calibration: Calibration, path: Path) -> None:
    """Write a judgement as JSON for ``tumorlens export --judgement``.

    Raises:
        OSError: The file can't be written.
    """
    atomic.write_text(path, calibration.judgement.model_dump_json(indent=1) + "\n")


def read_judgement(path: Path) -> Judgement:
    """Read a judgement.

    Raises:
        TumorlensError: It isn't one.
    """
    try:
        return Judgement.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise TumorlensError(
            f"{path}: expected the judgement of 'tumorlens calibrate', but {reason}"
        ) from error


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.integer]) -> float:
    """The temperature that makes labels likeliest (Guo et al., ICML 2017, section 4.2).

    Args:
        logits: (n, 3).
        labels: True class indices, (n,).

    Returns:
        Between 0.05 and 20.
    """

    def loss(log_temperature: float) -> float:
        probabilities = _softmax(logits / np.exp(log_temperature))
        return float(-np.log(probabilities[np.arange(len(labels)), labels].clip(1e-12)).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def _bands(top: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[ConfidenceBand, ...]:
    """Words by the calibrated probability of the named type, each with the share that was right."""
    bands, ceiling = [], np.inf
    for word, floor in _WORDS.items():
        mine = (top >= floor) & (top < ceiling)
        accuracy = _round(right[mine].mean()) if mine.any() else None
        bands.append(
            ConfidenceBand(word=word, from_probability=floor, accuracy=accuracy, slices=int(mine.sum()))
        )
        ceiling = floor
    return tuple(bands)


def _read(folder: Path) -> pd.DataFrame:
    measured = ["inside_probability", "strangeness"]
    named = [f"probability_{tumor.name.lower()}" for tumor in TumorType]
    try:
        types = pd.read_csv(folder / "classification" / "slices.csv")[["file", "label", "fold", *named]]
        trust = pd.read_csv(folder / "trust" / "slices.csv", keep_default_na=False, na_values=["nan"])
        table = types.merge(trust[["file", *measured, "warnings"]], on="file", validate="one_to_one")
        numbers = table[[*measured, *named]].apply(pd.to_numeric, errors="coerce")
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise TumorlensError(
            f"{folder}: expected the results of 'tumorlens cross-validate' with a joint recipe, but {reason}"
        ) from error
    if len(table) < _FEWEST or table["fold"].isna().any() or table["fold"].nunique() < 2:
        raise TumorlensError(
            f"{folder}: expected at least {_FEWEST} slices of at least 2 folds, got {len(table)} of "
            f"{table['fold'].nunique()}; calibrate on a cross-validation by folds"
        )
    if not np.isfinite(numbers.to_numpy()).all():
        raise TumorlensError(f"{folder}: expected outlines and strangeness of every slice; measure it again")
    if not set(table["label"]) <= {tumor.name.lower() for tumor in TumorType}:
        raise TumorlensError(f"{folder}: expected the three tumor types as labels; measure it again")
    return table.assign(**{name: numbers[name] for name in numbers})


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _round(value: float | np.floating) -> float:
    return round(float(value), 5)
