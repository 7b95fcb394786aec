"""What was found on a scan, as plain data in the scan's own geometry."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType


@dataclass(frozen=True)
class Finding:
    """The outline and the type of a tumor.

    Attributes:
        scan: What was analysed.
        mask: (slices, rows, columns) of the scan, True on the tumor; None where no model outlined.
        probabilities: Of each tumor type, summing to 1; None where no model named.
    """

    scan: Scan
    mask: NDArray[np.bool_] | None
    probabilities: dict[TumorType, float] | None

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.shape != self.scan.pixels.shape:
            raise ValueError(
                f"expected a mask of the scan's shape {self.scan.pixels.shape}, got {self.mask.shape}"
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

    @property
    def warnings(self) -> list[str]:
        """What a reader should know before trusting this."""
        return ["no tumor outlined"] if self.mask is not None and not self.mask.any() else []
