"""Scans from DICOM with a tumor at a known place in the patient, for the tests of DICOM outputs."""

import copy
import dataclasses
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset

from tests.debian import program
from tests.dicom_files import AXIAL, CORONAL, SAGITTAL, affine_of, write_enhanced, write_series
from tumorlens.finding import Finding, FindingWarning, WarningKind
from tumorlens.scan import Scan, read_scan
from tumorlens.scan.origin import DicomOrigin
from tumorlens.tumor_type import TumorType

SHAPE = (9, 25, 31)
SPACING = (4.3, 2.1, 1.7)
PROBABILITIES = {TumorType.MENINGIOMA: 0.125, TumorType.GLIOMA: 0.8125, TumorType.PITUITARY: 0.0625}
WARNING = FindingWarning(WarningKind.UNEVEN, "the slices lie unevenly", 0.2, 0.05)


def _turned(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Two perpendicular directions of length 1, nearly these."""
    row = np.array(first) / np.linalg.norm(first)
    column = np.array(second) - row * (row @ np.array(second))
    return tuple(row.tolist()), tuple((column / np.linalg.norm(column)).tolist())


DIRECTIONS: dict[str, tuple[tuple[float, ...], ...]] = {
    "axial": AXIAL,
    "coronal": CORONAL,
    "sagittal": SAGITTAL,
    "oblique axial": _turned((0.96, 0.2, -0.18), (-0.2, 0.9, 0.35)),
    "oblique sagittal": _turned((0.25, 0.93, 0.2), (0.1, 0.2, -0.95)),
    "axial from above": ((-1, 0, 0), (0, 1, 0)),  # slices follow on each other downward
    "axial turned by 90 degrees": ((0, 1, 0), (-1, 0, 0)),
    "axial upside down": ((1, 0, 0), (0, -1, 0)),
    "coronal from behind": ((-1, 0, 0), (0, 0, -1)),
    "sagittal from the right": ((0, -1, 0), (0, 0, -1)),
}
"""Directions of a row and of a column; some turn slices within themselves and some reverse their order."""


@dataclass(frozen=True)
class Case:
    """A scan with a finding, and what its files hold of the tumor.

    Attributes:
        finding: Its mask was made from the scan's affine alone.
        affine: The volume's as it was written.
        marked: (slices, rows, columns) of the volume as it was written, made from its own affine alone.
        files: Of each slice as it was written, (SOPInstanceUID, number of the frame or None).
    """

    finding: Finding
    affine: NDArray[np.float64]
    marked: NDArray[np.bool_]
    files: list[tuple[str, int | None]]


def centred(
    directions: tuple[tuple[float, ...], ...], shape: tuple[int, int, int] = SHAPE
) -> NDArray[np.float64]:
    """The affine of a volume whose middle lies at (11, -23, 37) mm in the patient."""
    affine = affine_of(directions, SPACING, (0, 0, 0))  # type: ignore[arg-type]
    middle = (np.array(shape) - 1) / 2
    affine[:3, 3] = np.array([11.0, -23.0, 37.0]) - affine[:3, :3] @ middle
    return affine


def marker(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which voxels' centers lie in the tumor: two boxes that no turn and no mirror brings to themselves."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    centers = index @ affine[:3, :3].T + affine[:3, 3]
    marked = np.zeros(shape, np.bool_)
    for low, high in (
        ((4.03, -31.01, 32.05), (24.07, -20.03, 41.09)),
        ((4.03, -31.01, 32.05), (12.07, -9.03, 50.03)),
    ):
        marked |= ((centers > low) & (centers < high)).all(-1)
    return marked


def centroid(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middle of a mask's voxels in LPS, mm."""
    return affine[:3, :3] @ np.argwhere(mask).mean(0) + affine[:3, 3]


def brain(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Pixels of which none are alike."""
    return np.random.default_rng(7).integers(1, 4000, shape).astype(np.uint16)


def found(scan: Scan, mask: NDArray[np.bool_] | None, **more: object) -> Finding:
    """A finding of glioma by a model called ``lite-2``."""
    given = {"probabilities": PROBABILITIES, "model": "lite-2", "warnings": (WARNING,), **more}
    return Finding(scan, mask, **given)  # type: ignore[arg-type]


def series_case(
    folder: Path, directions: tuple[tuple[float, ...], ...] = AXIAL, shape: tuple[int, int, int] = SHAPE
) -> Case:
    """A case of one file a slice."""
    affine = centred(directions, shape)
    paths = write_series(folder, brain(shape), affine)
    files = [(str(pydicom.dcmread(path).SOPInstanceUID), None) for path in paths]
    return _case(folder, affine, shape, files)


def enhanced_case(folder: Path, directions: tuple[tuple[float, ...], ...] = AXIAL) -> Case:
    """A case of one enhanced MR file with its frames in no order."""
    affine = centred(directions)
    order = [3, 1, 0, 2, 8, 7, 5, 6, 4]
    path = write_enhanced(folder / "enhanced", brain(SHAPE), affine, order=order)
    uid = str(pydicom.dcmread(path).SOPInstanceUID)
    return _case(path, affine, SHAPE, [(uid, order.index(index) + 1) for index in range(len(order))])


def slice_case(folder: Path) -> Case:
    """A case of a single slice."""
    return series_case(folder, shape=(1, *SHAPE[1:]))


def _case(
    path: Path,
    affine: NDArray[np.float64],
    shape: tuple[int, int, int],
    files: list[tuple[str, int | None]],
) -> Case:
    scan = read_scan(path)
    assert scan.affine is not None
    mask = marker(scan.affine, scan.pixels.shape)
    return Case(found(scan, mask), affine, marker(affine, shape), files)


def headers_of(scan: Scan) -> list[Dataset]:
    """Copies of a scan's headers."""
    assert isinstance(scan.origin, DicomOrigin)
    return [copy.deepcopy(header) for header in scan.origin.headers]


def with_headers(scan: Scan, headers: Sequence[Dataset]) -> Scan:
    """The scan with other headers."""
    assert isinstance(scan.origin, DicomOrigin)
    return dataclasses.replace(scan, origin=dataclasses.replace(scan.origin, headers=tuple(headers)))


MAKERS = {"volume": series_case, "single slice": slice_case, "enhanced": enhanced_case}


def complaints(path: Path) -> list[str]:
    """What David Clunie's dciodvfy finds wrong with a DICOM file; warnings left out."""
    run = subprocess.run([program("dciodvfy"), path], capture_output=True, text=True, check=False)
    lines = (run.stdout + run.stderr).splitlines()
    assert lines, "expected dciodvfy to name the file's kind"
    return [line for line in lines if line.startswith("Error")]
