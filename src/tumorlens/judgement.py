"""From what the models say to what a reader is told: calibrated probabilities, words, warnings.

The numbers come from slices that the models hadn't been trained on (`tumorlens calibrate`), never from those
that results are reported on.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tumorlens.finding import Confidence, FindingWarning, WarningKind
from tumorlens.outline import OutlineStatistics, expected_dice, expected_dice_threshold
from tumorlens.tumor_type import TumorType

Fraction = Annotated[float, Field(ge=0, le=1)]
CenterCrop = Annotated[float, Field(ge=0.25, le=1)]
"""How much of a slice's width and height a look at its mirror image takes in."""


class ConfidenceBand(BaseModel):
    """A word for a range of calibrated probability, with how often it was right.

    Attributes:
        word: ``high``, ``moderate`` or ``low``.
        from_probability: The smallest probability of the named type for which the word is used.
        accuracy: Share of such slices that were named rightly; None where it wasn't measured.
        slices: How many were measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    word: Annotated[str, Field(pattern="^(high|moderate|low)$")]
    from_probability: Fraction
    accuracy: Fraction | None = None
    slices: Annotated[int, Field(ge=0)] = 0


class LookAgain(BaseModel):
    """Which slices are looked at again; see `tumorlens.ensemble.Ensemble`.

    Attributes:
        below_dice: Those whose outline promises less Dice (`tumorlens.outline.expected_dice`).
        below_probability: Those whose named type has a smaller calibrated probability.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    below_dice: Fraction
    below_probability: Fraction


class Judgement(BaseModel):
    """The limits by which a finding is judged.

    Attributes:
        threshold: Probability from which a pixel counts as tumor.
        lowest_threshold: Where given, each slice has a threshold of its own between this and a half, which
            promises the highest Dice (`tumorlens.outline`), instead of ``threshold``.
        smallest_part: On a single slice, a part of the outline counts only where its pixels' probabilities
            sum to at least this share of what those of the largest part sum to; 0: every part counts.
        temperature: By which class logits are divided (Guo et al. 2017).
        bands: Words for confidence, highest first, the last from 0.
        unsure_margin: Two types whose probabilities differ by less are named both.
        second_look: Which slices the other models look at after the first; None for all.
        third_look: Of these, whose mirror images are looked at as well; None for all.
        faint_below: An outline whose pixels' mean probability is less isn't clear.
        strange_above: The largest strangeness of a picture that still looks like a T1 brain slice
            (`tumorlens.familiarity`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    lowest_threshold: Annotated[float | None, Field(gt=0, le=0.5)] = None
    smallest_part: Fraction = 0.0
    temperature: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    bands: Annotated[tuple[ConfidenceBand, ...], Field(min_length=1)] = (
        ConfidenceBand(word="high", from_probability=0.9),
        ConfidenceBand(word="moderate", from_probability=0.7),
        ConfidenceBand(word="low", from_probability=0.0),
    )
    second_look: LookAgain | None = None
    third_look: LookAgain | None = None
    unsure_margin: Fraction = 0.0
    faint_below: Fraction = 0.0
    strange_above: float | None = None

    @model_validator(mode="after")
    def _covers_all_probabilities(self) -> "Judgement":
        floors = [band.from_probability for band in self.bands]
        if floors != sorted(set(floors), reverse=True) or floors[-1] != 0:
            raise ValueError("expected bands with falling from_probability, the last one 0")
        return self

    def probabilities(self, class_logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities (n, 3) of class logits (n, 3); each row sums to 1."""
        scaled = class_logits.astype(np.float64) / self.temperature
        exponents = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))

    def unsure_slices(
        self, limits: LookAgain, tumor_probability: NDArray[np.float32], class_logits: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """Which of n slices deserve another look, (n,).

        Args:
            limits: Below which a slice is unsure.
            tumor_probability: (n, rows, columns), what was said so far.
            class_logits: (n, 3), likewise.
        """
        outline = np.array([expected_dice(each) < limits.below_dice for each in tumor_probability])
        name = self.probabilities(class_logits).max(axis=1) < limits.below_probability
        return np.asarray(outline | name)

    def thresholds(self, tumor_probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """From which probability on a pixel is tumor: (n, rows, columns) to a threshold a slice, (n,)."""
        if self.lowest_threshold is None:
            return np.full(len(tumor_probability), self.threshold, np.float32)
        lowest = self.lowest_threshold
        return np.array([expected_dice_threshold(each, lowest) for each in tumor_probability], np.float32)

    def confidence(
        self, probabilities: dict[TumorType, float], strangeness: float | None = None
    ) -> Confidence:
        """The word for the likeliest type's probability, and how often that word was right.

        On a picture too strange to be such a slice the word is ``low``, and no rate goes with it: rates were
        measured on slices.
        """
        top = max(probabilities.values())
        if self._is_strange(strangeness):
            return Confidence("low", top, None, 0)
        band = next(band for band in self.bands if top >= band.from_probability)
        return Confidence(band.word, top, band.accuracy, band.slices)

    def warnings(
        self,
        outlines: Sequence[OutlineStatistics] | None,
        probabilities: dict[TumorType, float] | None,
        strangeness: float | None,
    ) -> tuple[FindingWarning, ...]:
        """What a reader should know before trusting a finding.

        Args:
            outlines: Of each slice; None where nothing outlines.
            probabilities: Of each tumor type.
            strangeness: Of the picture.
        """
        found = [*self._strange(strangeness)]
        if outlines is not None:
            found += [*self._outline(outlines)]
        if probabilities is not None:
            found += [*self._unsure(probabilities)]
        return tuple(found)

    def is_faint(self, outline: OutlineStatistics) -> bool:
        """Whether an outline isn't clear, or there is none."""
        return not outline.pixels or outline.inside < self.faint_below

    def _strange(self, strangeness: float | None) -> Iterator[FindingWarning]:
        limit = self.strange_above
        if strangeness is not None and limit is not None and self._is_strange(strangeness):
            message = "this doesn't look like a T1 contrast-enhanced brain slice"
            yield FindingWarning(WarningKind.UNFAMILIAR, message, strangeness, limit)

    def _is_strange(self, strangeness: float | None) -> bool:
        limit = self.strange_above
        return strangeness is not None and limit is not None and strangeness > limit

    def _outline(self, outlines: Sequence[OutlineStatistics]) -> Iterator[FindingWarning]:
        pixels = sum(outline.pixels for outline in outlines)
        if not pixels:
            highest = max(outline.highest for outline in outlines)
            limit = self.threshold if self.lowest_threshold is None else self.lowest_threshold
            yield FindingWarning(WarningKind.NO_TUMOR, "no tumor outlined", highest, limit)
            return
        inside = sum(outline.pixels * outline.inside for outline in outlines) / pixels
        if inside < self.faint_below:
            message = "no tumor clearly outlined"
            yield FindingWarning(WarningKind.NO_TUMOR, message, inside, self.faint_below)
        edge = sum(outline.at_edge for outline in outlines)
        if edge:
            yield FindingWarning(WarningKind.EDGE, "the outline touches the image's edge", edge, 1)

    def _unsure(self, probabilities: dict[TumorType, float]) -> Iterator[FindingWarning]:
        first, second = sorted(probabilities, key=probabilities.__getitem__, reverse=True)[:2]
        margin = probabilities[first] - probabilities[second]
        if margin < self.unsure_margin:
            message = f"unsure between {first.title} and {second.title}"
            yield FindingWarning(WarningKind.UNSURE, message, margin, self.unsure_margin)
