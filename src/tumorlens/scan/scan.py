"""A scan: pixels, where they lie, and where they came from."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.scan.origin import Origin
from tumorlens.scan.slices import StackSlices


@dataclass(frozen=True)
class Scan:
    """One slice or a stack of slices, turned the way radiologists look at them.

    Axial slices have anterior at the top and the patient's left at the right, coronal ones superior at the
    top and left at the right, sagittal ones superior at the top and anterior at the left; a picture that
    doesn't say how it lies is left as it is.

    Attributes:
        slices: (slices, rows, columns), any real type and range, finite: an array, or slices that are decoded
            when asked for, from files that have to stay where they are.
        source: The file or folder it was read from.
        spacing: Distance between pixel centers (rows, columns) in mm, or None where the source doesn't say.
        slice_spacing: Distance between the centers of neighbouring slices in mm, or None.
        affine: (4, 4), brings an index (slice, row, column, 1) to the patient's coordinates in mm, x to the
            left, y to posterior, z to superior (DICOM's LPS); None where the source doesn't say.
        unevenness: By which share of the median step from slice to slice the steps differ from it at most.
        unreadable: How many files beside its own were damaged or empty, so that slices may be missing.
        series: What it is, such as ``"MR, t1 axial +C, 24 slices"``; None where the source doesn't say.
        reason: Why this series was taken of several; None where there was no choice.
        origin: The source's headers and the way back to its own geometry; None for a picture.
    """

    slices: NDArray[np.generic] | StackSlices
    source: Path
    spacing: tuple[float, float] | None = None
    slice_spacing: float | None = None
    affine: NDArray[np.float64] | None = field(default=None, compare=False)
    unevenness: float = 0.0
    unreadable: int = 0
    series: str | None = None
    reason: str | None = None
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.slices.shape) != 3 or 0 in self.slices.shape:
            raise ValueError(f"expected slices (slices, rows, columns), got shape {self.slices.shape}")
        if isinstance(self.slices, np.ndarray) and not _is_finite(self.slices):
            raise ValueError("expected finite pixel values, got NaN or infinity")
        if self.affine is not None and self.affine.shape != (4, 4):
            raise ValueError(f"expected an affine (4, 4), got shape {self.affine.shape}")

    @cached_property
    def pixels(self) -> NDArray[np.generic]:
        """All slices as one array (slices, rows, columns), decoded at first use and kept.

        Raises:
            TumorlensError: A slice can't be decoded.
        """
        return np.asarray(self.slices)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        slices, rows, columns = self.slices.shape
        return slices, rows, columns

    @property
    def is_volume(self) -> bool:
        """Whether it has more than one slice."""
        return len(self.slices) > 1

    @property
    def voxel_mm3(self) -> float | None:
        """Volume of a voxel in mm³, or None where the source doesn't say."""
        if self.spacing is None or self.slice_spacing is None:
            return None
        return self.spacing[0] * self.spacing[1] * self.slice_spacing


def _is_finite(pixels: NDArray[np.generic]) -> bool:
    return pixels.dtype.kind != "f" or all(bool(np.isfinite(each).all()) for each in pixels)
