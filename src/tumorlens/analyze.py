"""The Analyzer: a scan in, a finding out.

It prepares the slices, runs the models, undoes the preparation. What runs the models is behind `Model`: the
Analyzer sees arrays and never a framework.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding
from tumorlens.preprocess import prepare_image, restore_map
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

_BATCH = 16


@dataclass(frozen=True)
class Outputs:
    """What a model says about a batch; None for what it doesn't tell.

    Attributes:
        mask_logits: (n, size, size), above 0 on the tumor.
        class_logits: (n, 3), in the order of `TumorType.class_index`.
    """

    mask_logits: NDArray[np.float32] | None = None
    class_logits: NDArray[np.float32] | None = None


class Model(Protocol):
    """Anything that outlines or names, such as a trained run."""

    @property
    def size(self) -> int:
        """Width and height of the input in pixels."""

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        """Run on a batch (n, 1, size, size) in [0, 1]."""


class Analyzer:
    """Turns scans into findings.

    Args:
        models: One that outlines, one that names, or both; each is asked for what it tells.
        threshold: Probability from which a pixel counts as tumor.

    Raises:
        TumorlensError: There is no model, or two tell the same.
    """

    def __init__(self, models: Sequence[Model], threshold: float = 0.5) -> None:
        if not models:
            raise TumorlensError("expected at least one model, got none")
        self._models = models
        self._threshold = threshold

    def analyze(self, scan: Scan) -> Finding:
        """Outline and name the tumor on every slice of a scan."""
        shape = scan.pixels.shape[1:]
        parts = [self._run(model, scan) for model in self._models]
        mask_logits = _the_one([part.mask_logits for part in parts], "outline")
        class_logits = _the_one([part.class_logits for part in parts], "name")
        return Finding(
            scan=scan,
            mask=None if mask_logits is None else mask_from_logits(mask_logits, shape, self._threshold),
            probabilities=None if class_logits is None else _mean_probabilities(class_logits),
        )

    def _run(self, model: Model, scan: Scan) -> Outputs:
        batches = []
        for start in range(0, len(scan.pixels), _BATCH):
            slices = scan.pixels[start : start + _BATCH]
            batches.append(model(np.stack([prepare_image(pixels, model.size) for pixels in slices])[:, None]))
        return Outputs(
            _joined([batch.mask_logits for batch in batches]),
            _joined([batch.class_logits for batch in batches]),
        )


def probabilities_from_logits(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax: class logits (n, 3) to probabilities (n, 3) that sum to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponents = np.exp(shifted)
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def mask_from_logits(
    logits: NDArray[np.float32], shape: tuple[int, int], threshold: float = 0.5
) -> NDArray[np.bool_]:
    """Mask logits (n, size, size) to masks in the slices' own pixels, (n, *shape).

    The probabilities are interpolated to the slice's pixels and thresholded there.
    """
    probabilities = 1 / (1 + np.exp(-logits.clip(-60, 60)))
    return np.stack([restore_map(slice_, shape) >= threshold for slice_ in probabilities])


def _mean_probabilities(logits: NDArray[np.float32]) -> dict[TumorType, float]:
    mean = probabilities_from_logits(logits).mean(axis=0)
    return {tumor: float(mean[tumor.class_index]) for tumor in TumorType}


def _joined(parts: list[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    given = [part for part in parts if part is not None]
    return np.concatenate(given) if given else None


def _the_one(given: list[NDArray[np.float32] | None], what: str) -> NDArray[np.float32] | None:
    told = [logits for logits in given if logits is not None]
    if len(told) > 1:
        raise TumorlensError(f"expected one model to {what} the tumor, got {len(told)}")
    if told and not np.isfinite(told[0]).all():
        raise TumorlensError(f"expected numbers from the model to {what} the tumor, got NaN; train it again")
    return told[0] if told else None
