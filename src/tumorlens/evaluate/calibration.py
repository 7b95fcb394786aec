"""Whether confidence can be believed: the expected calibration error and the bins behind it."""

import numpy as np
import torch
from numpy.typing import NDArray

from tumorlens.evaluate.bootstrap import divide

CALIBRATION_BINS = 15
_SLOTS = CALIBRATION_BINS + 1  # a confidence of exactly 1 has a slot of its own, as in torchmetrics


def calibration_error(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Expected calibration error, 0 to 1 (Guo et al., ICML 2017, equation 3).

    Slices are put in 15 bins of equal width by their confidence, the largest class probability; the error
    is the mean over slices of how far their bin's accuracy lies from its mean confidence. A confidence of
    exactly 1 has a bin of its own. Both follow torchmetrics' ``multiclass_calibration_error``. Chance alone
    adds to the error, and resampling adds a little more: the interval leans high.

    Args:
        probabilities: (n, 3), in class index order.
        labels: True class indices, (n,).
    """
    sums = calibration_sums(probabilities, labels).sum(axis=0, keepdims=True)
    return float(error_of_sums(sums)[0])


def confidence_bins(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """The calibration bin of each slice, (n,), 0 to 14, and 15 for a confidence of exactly 1."""
    edges = torch.linspace(0, 1, CALIBRATION_BINS + 1).numpy()
    confidence = probabilities.max(axis=1).astype(np.float32)
    return np.asarray(np.digitize(confidence, edges) - 1, dtype=np.int64)


def calibration_sums(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """What each slice adds to each bin's count of slices, of right answers, and to its sum of confidence.

    Args:
        probabilities: (n, 3), in class index order.
        labels: True class indices, (n,).

    Returns:
        (n, 48): 16 counts, 16 right answers, 16 confidences.
    """
    slot = np.eye(_SLOTS)[confidence_bins(probabilities)]
    correct = probabilities.argmax(axis=1) == labels
    confidence = probabilities.max(axis=1).astype(np.float64)
    return np.concatenate([slot, slot * correct[:, None], slot * confidence[:, None]], axis=1)


def error_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The expected calibration error from sums of `calibration_sums`, (m, 48) to (m,)."""
    count, correct, confidence = np.split(sums, 3, axis=1)
    return divide(np.abs(correct - confidence).sum(axis=1), count.sum(axis=1))
