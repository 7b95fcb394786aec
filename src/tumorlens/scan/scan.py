"""A scan: pixels, where they lie, and where they came from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scan:
    """One slice or a stack of slices.

    Attributes:
        pixels: (slices, rows, columns), any real type and range, finite.
        source: The file it was read from.
        spacing: Distance between pixel centers (rows, columns) in mm, or None where the source doesn't say.
    """

    pixels: NDArray[np.generic]
    source: Path
    spacing: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.size == 0:
            raise ValueError(f"expected pixels (slices, rows, columns), got shape {self.pixels.shape}")
        if not np.isfinite(self.pixels).all():
            raise ValueError("expected finite pixel values, got NaN or infinity")
