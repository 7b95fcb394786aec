"""The bundle's networks, looking at slices as often as they would at slices that they have never seen.

A bundle is surer of slices that it was trained on than of others, and so looks at fewer of them again. Its
limits are moved here until the shares looked at again are those of the cross-validation.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tumorlens.bundle import Bundle
from tumorlens.ensemble import Batch, Ensemble
from tumorlens.judgement import LookAgain
from tumorlens.outline import expected_dice

AGAIN, MIRRORED = 0.243, 0.141  # shares of 2400 slices never seen, see docs/experiments.md
NEVER = LookAgain(below_dice=0, below_probability=0)


def with_shares(
    bundle: Bundle, images: Sequence[Batch], again: float = AGAIN, mirrored: float = MIRRORED
) -> Ensemble:
    """The bundle's ensemble with limits under which so many of some slices are looked at again.

    Args:
        bundle: Of at least two networks.
        images: Of the slices, (1, 1, size, size) each.
        again: Share that both networks look at.
        mirrored: Share that both also look at mirrored.
    """
    ensemble = bundle.load()
    everything = with_limits(ensemble, None, NEVER)
    once = _promised(with_limits(ensemble, NEVER, NEVER), images)
    second = _limit(once, again)
    twice = _promised(everything, [image for image, dice in zip(images, once, strict=True) if dice < second])
    return with_limits(ensemble, _below(second), _below(_limit(twice, mirrored / again)))


def with_limits(ensemble: Ensemble, second: LookAgain | None, third: LookAgain | None) -> Ensemble:
    """The same networks with other limits."""
    judgement = ensemble.judgement.model_copy(update={"second_look": second, "third_look": third})
    return dataclasses.replace(ensemble, judgement=judgement)


def _promised(ensemble: Ensemble, images: Sequence[Batch]) -> list[float]:
    """The Dice that each slice's outline promises."""
    [size] = ensemble.sizes
    told = [ensemble({size: image}).tumor_probability for image in images]
    return [expected_dice(each[0]) for each in told if each is not None]


def _limit(values: Sequence[float], share: float) -> float:
    """Below which as many values lie."""
    count = round(share * len(values))
    return float(np.sort(values)[count]) if count < len(values) else 1.0


def _below(dice: float) -> LookAgain:
    return LookAgain(below_dice=dice, below_probability=0)
