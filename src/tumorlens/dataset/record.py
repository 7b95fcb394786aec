"""One slice of the dataset with its outline, label and patient: everything that training needs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import TumorlensError
from tumorlens.scan.matlab import MatlabSlice, pixel_spacing, read_matlab
from tumorlens.tumor_type import TumorType


@dataclass(frozen=True)
class SliceRecord:
    """A complete training record.

    Attributes:
        image: (rows, columns), the stored type and range, finite.
        mask: (rows, columns), True on the tumor, never empty.
        label: The tumor type.
        patient: The PID, an opaque text.
        border: (points, 2), the outline as x (right) and y (down), in pixels; empty where none is stored.
    """

    image: NDArray[np.generic]
    mask: NDArray[np.bool_]
    label: TumorType
    patient: str
    border: NDArray[np.float64]

    @property
    def spacing(self) -> float:
        """Distance between pixel centers in mm."""
        return pixel_spacing(self.image.shape)


def read_record(path: Path) -> SliceRecord:
    """Read a ``.mat`` file of the dataset, complete or not at all.

    Raises:
        TumorlensError: The file is unreadable, its mask is missing, empty or of another shape than its
            image, its label isn't 1, 2 or 3, its PID is missing, or its pixels aren't finite. The message
            begins with the file's name.
    """
    stored = read_matlab(path)
    if not np.isfinite(stored.image).all():
        raise TumorlensError(f"{path.name}: expected finite pixel values, got NaN or infinity")
    border = np.empty((0, 2)) if stored.border is None else stored.border
    return SliceRecord(
        stored.image, _mask(path, stored), _label(path, stored), _patient(path, stored), border
    )


def _mask(path: Path, stored: MatlabSlice) -> NDArray[np.bool_]:
    if stored.mask is None:
        raise TumorlensError(f"{path.name}: expected a tumor mask, found none")
    if stored.mask.shape != stored.image.shape:
        raise TumorlensError(
            f"{path.name}: expected a mask of the image's shape {stored.image.shape}, got {stored.mask.shape}"
        )
    if not stored.mask.any():
        raise TumorlensError(f"{path.name}: expected a mask with a tumor, got an empty one")
    return stored.mask


def _label(path: Path, stored: MatlabSlice) -> TumorType:
    if stored.label not in set(TumorType):
        got = "none" if stored.label is None else f"{stored.label:g}"
        raise TumorlensError(
            f"{path.name}: expected label 1 (meningioma), 2 (glioma) or 3 (pituitary tumor), got {got}"
        )
    return TumorType(int(stored.label))


def _patient(path: Path, stored: MatlabSlice) -> str:
    if stored.patient is None:
        raise TumorlensError(f"{path.name}: expected a patient's PID, found none")
    return stored.patient
