"""Findings as NIfTI: the mask as a volume that lies where the source lies."""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel import nifti1
from numpy.typing import NDArray

from tumorlens import atomic
from tumorlens.finding.finding import Finding
from tumorlens.scan import Scan, geometry
from tumorlens.scan.origin import DicomOrigin, NiftiOrigin

_SCANNER, _ALIGNED = 1, 2  # what an affine's coordinates are those of, in NIfTI's numbers
_SAME_PLACE_MM = 0.01
_ENDINGS = (".nii", ".nii.gz")


@dataclass(frozen=True)
class _Volume:
    """An array and how it lies: affines to RAS, codes of sform and qform, the unit of lengths."""

    values: NDArray[np.bool_]
    affine: NDArray[np.float64]
    codes: tuple[int, int]
    qform: NDArray[np.float64] | None = None
    unit: str = "mm"


def write_nifti(finding: Finding, path: Path) -> None:
    """Write the mask as an unsigned 8-bit NIfTI volume, 1 on the tumor.

    - Of a NIfTI source, it has that shape, these axes, sform and qform, and lies over it voxel by voxel.
    - Of DICOM, its axes are (columns, rows from last to first, slices along their normal), as dcm2niix
      converts the same series, and its affine is the series' own.
    - Of a source that doesn't say how it lies (a picture, a ``.mat``), its axes are (columns, rows, slices)
      with identity directions, the spacing where known, else 1 mm. That says nothing of the patient's
      sides: read it by its indices.

    The header holds nothing of the patient. The same mask gives the same bytes.

    Args:
        finding: With a mask.
        path: Ends in ``.nii`` or, to be packed, in ``.nii.gz``.

    Raises:
        ValueError: The finding has no mask, or the path another ending.
        OSError: The file can't be written.
    """
    if finding.mask is None:
        raise ValueError("expected a finding with a mask, got one without")
    if not path.name.lower().endswith(_ENDINGS):
        raise ValueError(f"expected a name that ends in .nii or .nii.gz, got {path.name}")
    data = _encoded(_volume(finding.scan, finding.mask))
    atomic.write_bytes(path, _packed(data) if path.name.lower().endswith(".gz") else data)


def _volume(scan: Scan, mask: NDArray[np.bool_]) -> _Volume:
    origin = scan.origin
    if isinstance(origin, NiftiOrigin):
        values = geometry.turned_back(mask, origin.turned).astype(np.bool_, copy=False)
        return _Volume(values, origin.affine, origin.codes, origin.qform, origin.unit)
    if scan.affine is None:
        spacing = (scan.slice_spacing or 1.0, *(scan.spacing or (1.0, 1.0)))
        return _Volume(mask.transpose(2, 1, 0), np.diag([*spacing[::-1], 1.0]), (_ALIGNED, _ALIGNED))
    affine = scan.affine
    if isinstance(origin, DicomOrigin):
        mask = geometry.turned_back(mask, origin.turned).astype(np.bool_, copy=False)
        affine = geometry.turned_back_affine(affine, origin.turned, mask.shape)
    to_columns_rows_slices = np.array([[2, 1], [1, -1], [0, 1]], np.float64)
    affine = geometry.turned_affine(affine, to_columns_rows_slices, mask.shape)
    values = geometry.turned(mask, to_columns_rows_slices).astype(np.bool_, copy=False)
    return _Volume(values, geometry.LPS_RAS @ affine, (_SCANNER, _SCANNER))


def _encoded(volume: _Volume) -> bytes:
    header = nifti1.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(volume.values.shape)
    header.set_zooms(np.linalg.norm(volume.affine[:3, :3], axis=0))
    header.set_xyzt_units(volume.unit)
    header.set_intent("label", name="tumor")
    header["descrip"] = b"tumorlens: tumor mask"
    header["cal_max"] = 1
    sform, qform = volume.codes
    header.set_qform(volume.affine if volume.qform is None else volume.qform, code=qform)
    if volume.qform is None and not np.allclose(header.get_qform(), volume.affine, atol=_SAME_PLACE_MM):
        header.set_qform(None, code=0)  # a qform can't say that slices are moved sideways
    header.set_sform(volume.affine if sform else None, code=sform)
    encoded: bytes = nifti1.Nifti1Image(volume.values.astype(np.uint8), None, header).to_bytes()
    return encoded


def _packed(data: bytes) -> bytes:
    """As gzip, without the time and the name that it would have."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(data)
    return buffer.getvalue()
