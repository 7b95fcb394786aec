"""Scans that the page is given: real slices as a picture, and as a made-up stack in every format."""

import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.dicom_files import affine_of, write_series
from tumorlens import read_scan

SLICES = Path(__file__).parents[2] / "data" / "slices"
SPACING = (6.0, 0.9, 0.75)
"""Of the stack, between slices, rows and columns in mm: all different, so that none passes for another."""

_SHARES = (0.0, 0.7, 0.85, 1.0, 0.9, 0.0)  # of a slice's size, from slice to slice; 0 is air
_SIDE = 224


@dataclass(frozen=True)
class ScanFiles:
    """Files of scans.

    Attributes:
        picture: A PNG of a slice.
        slice: The same as `.mat`.
        series: A stack as a folder of DICOM files.
        zipped: The same in a zip.
        volume: The same as NIfTI.
    """

    picture: Path
    slice: Path
    series: Path
    zipped: Path
    volume: Path


def write_scans(folder: Path) -> ScanFiles:
    """Write them all."""
    files = ScanFiles(
        picture=folder / "meningioma.png",
        slice=SLICES / "104.mat",
        series=folder / "series",
        zipped=folder / "series.zip",
        volume=folder / "volume.nii.gz",
    )
    Image.fromarray(real_slice().astype(np.uint8)).save(files.picture)
    paths = write_series(files.series, stack(), affine_of(spacing=SPACING))
    with zipfile.ZipFile(files.zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, f"CD/{path.name}")
    save_nifti(files.volume, stack())
    return files


@cache
def real_slice() -> NDArray[np.uint16]:
    """(512, 512), 0 to 255."""
    return np.asarray(read_scan(SLICES / "104.mat").pixels[0], np.uint16)


@cache
def stack() -> NDArray[np.uint16]:
    """(6, 224, 224), 0 to 1020: one slice in several sizes between two slices of air."""
    return np.stack([_shrunken(share) for share in _SHARES])


def _shrunken(share: float) -> NDArray[np.uint16]:
    whole = np.zeros((_SIDE, _SIDE), np.uint16)
    side = round(_SIDE * share)
    if side:
        small = Image.fromarray(real_slice().astype(np.float32)).resize((side, side), Image.Resampling.BOX)
        at = (_SIDE - side) // 2
        whole[at : at + side, at : at + side] = 4 * np.asarray(small).astype(np.uint16)
    return whole


def save_nifti(path: Path, volume: NDArray[np.uint16]) -> None:
    """Write (slices, rows, columns) of axial slices, the patient's right at the left, as NIfTI."""
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1])
    nib.save(nib.Nifti1Image(volume.transpose(2, 1, 0), affine), path)
