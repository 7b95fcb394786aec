"""Whether what is said beside the outline and the name can be trusted: heatmaps and warnings."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tumorlens.evaluate.bootstrap import LEVEL, RESAMPLES, Estimate, PatientBootstrap
from tumorlens.finding import Finding, WarningKind
from tumorlens.outline import outline_statistics
from tumorlens.tumor_type import TumorType

POLICY = (
    "Pointing game: the heatmap's strongest pixel lies on the expert's outline or inside it, without any "
    "tolerance (Zhang et al., IJCV 126, 2018). Energy inside: the share of the heatmap's sum that lies "
    "there. Flagged: at least one warning was given. All slices here show a tumor."
)


@dataclass(frozen=True)
class TrustCase:
    """What was said of a slice beside the outline and the name.

    Attributes:
        file: Name of the slice.
        patient: Whose slice it is.
        label: The true tumor type.
        fold: The fold that the slice belongs to, or None.
        pointing: 1 where the heatmap's strongest pixel lies inside the true outline, else 0; NaN without one.
        energy: Share of the heatmap inside the true outline; NaN without one.
        inside_probability: Mean probability of the outlined pixels; 0 where nothing was outlined, NaN where
            no model outlines.
        strangeness: Of the picture; NaN where it wasn't asked.
        warnings: Kinds of the warnings given.
    """

    file: str
    patient: str
    label: TumorType
    fold: int | None
    pointing: float
    energy: float
    inside_probability: float
    strangeness: float
    warnings: tuple[WarningKind, ...]

    @classmethod
    def of(
        cls,
        finding: Finding,
        true: NDArray[np.bool_],
        *,
        file: str,
        patient: str,
        label: TumorType,
        fold: int | None,
    ) -> "TrustCase":
        """Judge a finding on one slice by the expert's outline, bool (rows, columns)."""
        pointing, energy = heatmap_scores(None if finding.heatmap is None else finding.heatmap[0], true)
        strangeness = math.nan if finding.strangeness is None else finding.strangeness
        kinds = tuple(warning.kind for warning in finding.warnings)
        return cls(
            file, patient, label, fold, pointing, energy, _inside_probability(finding), strangeness, kinds
        )


@dataclass(frozen=True)
class TrustEvaluation:
    """Heatmaps and warnings of many slices, and what they come to.

    Attributes:
        slices: A row a slice, with the fields of `TrustCase`.
        scores: ``pointing_game``, ``energy_inside`` and ``flagged``, 0 to 1.
        per_class: The same of each tumor type.
        warnings: Share of slices with each kind of warning.
        patients: How many patients the slices come from.
        resamples: Bootstrap resamples behind each interval.
        seed: Seed of the bootstrap.
        level: Coverage of the intervals.
    """

    slices: pd.DataFrame
    scores: dict[str, Estimate]
    per_class: dict[TumorType, dict[str, Estimate]]
    warnings: dict[WarningKind, float]
    patients: int
    resamples: int
    seed: int
    level: float


def heatmap_scores(heatmap: NDArray[np.floating] | None, true: NDArray[np.bool_]) -> tuple[float, float]:
    """Pointing game and energy inside.

    Args:
        heatmap: (rows, columns), not negative, or None.
        true: The expert's outline, the same shape.

    Returns:
        Whether the strongest pixel lies inside (1 or 0; the mean where several are equally strong), and the
        share of the sum that does; NaN for no heatmap, 0 for one that is zero everywhere.
    """
    if heatmap is None:
        return math.nan, math.nan
    values = heatmap.astype(np.float64)
    total = values.sum()
    if total <= 0:
        return 0.0, 0.0
    return float(true[values == values.max()].mean()), float(values[true].sum() / total)


def evaluate_trust(
    cases: Iterable[TrustCase], *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> TrustEvaluation:
    """Judge heatmaps and warnings, with intervals over patients.

    Raises:
        ValueError: There are no cases.
    """
    known = list(cases)
    if not known:
        raise ValueError("expected at least one slice to evaluate, got none")
    rows = [
        {
            **vars(case),
            "label": case.label.name.lower(),
            "warnings": " ".join(case.warnings),
            "flagged": float(bool(case.warnings)),
        }
        for case in known
    ]
    table = pd.DataFrame(rows)
    table["fold"] = pd.array([case.fold for case in known], dtype="Int64")

    def scores(part: pd.DataFrame) -> dict[str, Estimate]:
        names = {"pointing_game": "pointing", "energy_inside": "energy", "flagged": "flagged"}
        if part.empty:
            return dict.fromkeys(names, Estimate.undefined())
        bootstrap = PatientBootstrap(part["patient"].tolist(), resamples=resamples, seed=seed, level=level)
        return {name: bootstrap.mean(part[column].to_numpy(np.float64)) for name, column in names.items()}

    return TrustEvaluation(
        slices=table,
        scores=scores(table),
        per_class={label: scores(table[table["label"] == label.name.lower()]) for label in TumorType},
        warnings={kind: sum(kind in case.warnings for case in known) / len(known) for kind in WarningKind},
        patients=table["patient"].nunique(),
        resamples=resamples,
        seed=seed,
        level=level,
    )


def _inside_probability(finding: Finding) -> float:
    if finding.mask is None or finding.tumor_probability is None:
        return math.nan
    return outline_statistics(finding.tumor_probability[0], finding.mask[0]).inside
