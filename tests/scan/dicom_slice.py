"""Single DICOM slices for the tests of reading them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.dicom_files import affine_of, header, place, set_pixels
from tumorlens.errors import TumorlensError
from tumorlens.scan import read_scan

Pixels = NDArray[np.integer]


def refusal(path: Path) -> str:
    with pytest.raises(TumorlensError) as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def file_of(path: Path, pixels: Pixels, **tags: object) -> Path:
    """One axial slice as a file; ``tags`` are set last."""
    dataset = header()
    place(dataset, affine_of(), 0)
    set_pixels(dataset, pixels)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def noise(dtype: type[np.integer], most: int | None = None, shape: tuple[int, int] = (24, 20)) -> Pixels:
    limits = np.iinfo(dtype)
    low, high = (limits.min, limits.max) if most is None else (-most - 1 if limits.min else 0, most)
    values = np.random.default_rng(5).integers(low, high, shape, dtype, endpoint=True)
    values[0, :2] = low, high
    return values
