"""What was found on a scan, as plain data in the scan's own geometry."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tumorlens.finding.warning import FindingWarning
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType


@dataclass(frozen=True)
class Confidence:
    """How sure the name is, in a word, and what the word has been worth.

    Attributes:
        word: ``high``, ``moderate`` or ``low``.
        probability: Of the named type, calibrated.
        accuracy: How often slices with this word were named rightly, by models that hadn't seen their
            patients; None where it wasn't measured.
        slices: On how many slices that was measured.
    """

    word: str
    probability: float
    accuracy: float | None
    slices: int

    def __str__(self) -> str:
        if self.accuracy is None:
            return f"{self.word} confidence"
        return f"{self.word} confidence (right in {self.accuracy:.1%} of {self.slices} slices)"


@dataclass(frozen=True)
class Finding:
    """The outline and the type of a tumor.

    Attributes:
        scan: What was analysed.
        mask: (slices, rows, columns) of the scan, True on the tumor; None where no model outlined.
        probabilities: Of each tumor type, calibrated, summing to 1; None where no model named.
        tumor_probability: (slices, rows, columns) in [0, 1], each pixel's; None where no model outlined.
        heatmap: (slices, rows, columns) in [0, 1], what spoke for the named type, 1 at its strongest; None
            where no model tells.
        confidence: In the name; None where no model named.
        strangeness: How unlike the slices trained on it looks (`tumorlens.familiarity`), the slices' mean;
            None where that wasn't asked.
        warnings: What a reader should know before trusting this.
        model: Name of what found it.
    """

    scan: Scan
    mask: NDArray[np.bool_] | None
    probabilities: dict[TumorType, float] | None
    tumor_probability: NDArray[np.float32] | None = None
    heatmap: NDArray[np.float32] | None = None
    confidence: Confidence | None = None
    strangeness: float | None = None
    warnings: tuple[FindingWarning, ...] = ()
    model: str | None = None

    def __post_init__(self) -> None:
        for name in ("mask", "tumor_probability", "heatmap"):
            values = getattr(self, name)
            if values is not None and values.shape != self.scan.pixels.shape:
                raise ValueError(
                    f"expected a {name} of the scan's shape {self.scan.pixels.shape}, got {values.shape}"
                )

    @property
    def tumor_type(self) -> TumorType | None:
        """The likeliest type, or None where no model named."""
        if self.probabilities is None:
            return None
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def area_mm2(self) -> float | None:
        """The outlined area of all slices together in mm², or None without an outline or a spacing."""
        if self.mask is None or self.scan.spacing is None:
            return None
        return float(self.mask.sum() * self.scan.spacing[0] * self.scan.spacing[1])
