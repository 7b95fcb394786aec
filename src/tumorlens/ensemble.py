"""What looks at prepared slices: one model or several, and what they say together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tumorlens.center_crop import center_crop, restore_center
from tumorlens.errors import TumorlensError
from tumorlens.familiarity import Familiarity
from tumorlens.judgement import Judgement, LookAgain

Batch = NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """What a model says about a batch; None for what it doesn't tell.

    Attributes:
        mask_logits: (n, size, size), above 0 on the tumor.
        class_logits: (n, 3), in the order of `TumorType.class_index`.
        class_maps: (n, 3, rows, columns), what each position adds to each class logit.
    """

    mask_logits: Batch | None = None
    class_logits: Batch | None = None
    class_maps: Batch | None = None


class Model(Protocol):
    """Anything that outlines or names, such as a trained run."""

    @property
    def size(self) -> int:
        """Width and height of the input in pixels."""

    def __call__(self, batch: Batch) -> Outputs:
        """Run on a batch (n, 1, size, size) in [0, 1]."""


@dataclass(frozen=True)
class Opinion:
    """What all models together say about a batch; None for what none of them tells.

    Attributes:
        tumor_probability: (n, size, size) in [0, 1].
        class_logits: (n, 3), not yet calibrated.
        class_maps: (n, 3, rows, columns).
    """

    tumor_probability: Batch | None
    class_logits: Batch | None
    class_maps: Batch | None


_Look = tuple[Model, bool]  # and whether at the slices' mirror images


@dataclass(frozen=True)
class Ensemble:
    """Models that take the same input, and how what they say is judged.

    What several looks tell is averaged: a pixel's probabilities, class logits, maps. The first model looks at
    every slice; then the other models look, and then all of them at the mirror images. Where the judgement
    limits such a second or third look, it is only at the slices that those before leave unsure; but where
    those before don't both outline and name, it is at all of theirs.

    Attributes:
        models: At least one.
        judgement: Calibration and limits.
        flip: Whether every model also looks at slices mirrored left to right.
        center_crop: How much of a slice's width and height is seen when it is mirrored. Where that is less
            than all, in (0, 1), such a look counts for the outline within it and for no name; a model that
            doesn't outline sees all of the slice nevertheless.
        familiarity: Tells pictures unlike those trained on; None for no such check.
        name: Of the whole, for the records.

    Raises:
        TumorlensError: There is no model.
    """

    models: Sequence[Model]
    judgement: Judgement = field(default_factory=Judgement)
    flip: bool = False
    center_crop: float = 1.0
    familiarity: Familiarity | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if not self.models:
            raise TumorlensError("expected at least one model, got none")

    @property
    def sizes(self) -> set[int]:
        """Widths and heights of the models' inputs, in pixels."""
        return {model.size for model in self.models}

    def __call__(self, inputs: dict[int, Batch]) -> Opinion:
        """Ask every model.

        Args:
            inputs: By input size, a batch (n, 1, size, size) in [0, 1] of the same slices.

        Raises:
            TumorlensError: A model says NaN or infinity, or two that tell the same of pixels have different
                input sizes.
        """
        told = [self._look((self.models[0], False), inputs)]
        opinion = _together(told)
        slices = np.arange(len(inputs[self.models[0].size]))  # those that are still looked at
        for looks, limits in self._further_looks():
            unsure = self._unsure(limits, _part(opinion, slices))
            if unsure is not None:
                slices = slices[unsure]
                told = [_part(each, unsure) for each in told]
                if not len(slices):
                    break
            again = {size: batch[slices] for size, batch in inputs.items()}
            told += [self._look(look, again) for look in looks]
            opinion = _amended(opinion, slices, _together(told))
        return opinion

    def _further_looks(self) -> list[tuple[list[_Look], LookAgain | None]]:
        """The looks after the first, and at which slices they are; None for all."""
        others: list[_Look] = [(model, False) for model in self.models[1:]]
        mirrored: list[_Look] = [(model, True) for model in self.models if self.flip]
        limits = self.judgement.second_look, self.judgement.third_look
        return list(zip([looks for looks in (others, mirrored) if looks], limits, strict=False))

    def _unsure(self, limits: LookAgain | None, opinion: Opinion) -> NDArray[np.bool_] | None:
        """Which slices an opinion leaves unsure; None where all are to be looked at again."""
        tumor, logits = opinion.tumor_probability, opinion.class_logits
        if limits is None or tumor is None or logits is None:
            return None
        return self.judgement.unsure_slices(limits, tumor, logits)

    def warm(self, slices: int) -> None:
        """Let every model look once at as many empty slices, so that it takes all its memory now.

        Args:
            slices: The most that are ever looked at together.
        """
        for model in self.models:
            model(np.zeros((slices, 1, model.size, model.size), np.float32))

    def _look(self, look: _Look, inputs: dict[int, Batch]) -> Opinion:
        """What a model says, of slices as they are or mirrored; turned back where mirrored."""
        model, mirrored = look
        batch = inputs[model.size]
        if not mirrored:
            return _opinion(model(batch))
        if self.center_crop < 1:
            cropped = _opinion(model(_mirrored(center_crop(batch, self.center_crop))))
            if cropped.tumor_probability is not None:
                outline = restore_center(_mirrored(cropped.tumor_probability), self.center_crop)
                return Opinion(outline, None, None)
        told = _opinion(model(_mirrored(batch)))
        seen, maps = (
            None if part is None else _mirrored(part) for part in (told.tumor_probability, told.class_maps)
        )
        return Opinion(seen, told.class_logits, maps)


def _opinion(outputs: Outputs) -> Opinion:
    """What a single look comes to."""
    logits = _finite(outputs.mask_logits, "outline")
    return Opinion(
        None if logits is None else sigmoid(logits),
        _finite(outputs.class_logits, "name"),
        _finite(outputs.class_maps, "name"),
    )


def _together(told: list[Opinion]) -> Opinion:
    """What several looks at the same slices come to; the first is at all of each."""
    return Opinion(
        _mean([each.tumor_probability for each in told], "outline"),
        _mean([each.class_logits for each in told], "name"),
        _mean([each.class_maps for each in told], "name"),
    )


def _part(told: Opinion, slices: NDArray[Any]) -> Opinion:
    """What is said of some slices."""
    return Opinion(*(None if part is None else part[slices] for part in vars(told).values()))


def _amended(opinion: Opinion, slices: NDArray[np.intp], better: Opinion) -> Opinion:
    """An opinion of a batch with that of some of its slices replaced."""

    def amended(all_: Batch | None, some: Batch | None) -> Batch | None:
        if all_ is None or some is None or len(some) == len(all_):
            return all_ if some is None else some
        values = all_.copy()
        values[slices] = some
        return values

    return Opinion(*map(amended, vars(opinion).values(), vars(better).values()))


def _mirrored(values: Batch) -> Batch:
    """Left to right, whole in memory."""
    return np.ascontiguousarray(values[..., ::-1])


def _finite(values: Batch | None, what: str) -> Batch | None:
    if values is not None and not np.isfinite(values).all():
        raise TumorlensError(
            f"expected finite numbers from the model to {what} the tumor, got NaN or infinity; train it again"
        )
    return values


def _mean(told: list[Batch | None], what: str) -> Batch | None:
    """The mean of those that tell; of a pixel, of those that saw it."""
    given = [values for values in told if values is not None]
    if not given:
        return None
    if len({values.shape for values in given}) > 1:
        raise TumorlensError(f"expected models of one input size to {what} the tumor, got several sizes")
    if len(given) == 1:
        return given[0]
    total, seen = np.zeros_like(given[0]), np.zeros_like(given[0])
    for values in given:  # a quarter of the time of numpy.nanmean
        known = ~np.isnan(values)
        np.add(total, values, out=total, where=known)
        seen += known
    return total / seen


def sigmoid(logits: Batch) -> Batch:
    """Probabilities of logits, of any shape."""
    return np.asarray(1 / (1 + np.exp(-logits.clip(-60, 60))), dtype=np.float32)
