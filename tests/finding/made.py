"""Findings made up for the tests of what is written of them."""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from tumorlens.finding import Confidence, Finding, FindingWarning, WarningKind
from tumorlens.scan import Scan
from tumorlens.scan.origin import DicomOrigin, Identity
from tumorlens.tumor_type import TumorType

IDENTITY = Identity(
    patient_name="Muster^Erika",
    patient_id="PID-4711",
    birth_date="19640812",
    sex="F",
    study_date="20240301",
    accession_number="ACC-99",
    study_uid="1.2.826.0.1.3680043.8.498.11",
    series_uid="1.2.826.0.1.3680043.8.498.12",
)
WARNINGS = tuple(
    FindingWarning(kind, message, 0.7, 0.5)
    for kind, message in {
        WarningKind.UNFAMILIAR: "this doesn't look like a T1 contrast-enhanced brain slice",
        WarningKind.NO_TUMOR: "no tumor clearly outlined",
        WarningKind.UNSURE: "unsure between meningioma and glioma",
        WarningKind.EDGE: "the outline touches the image's edge",
        WarningKind.UNEVEN: "the slices lie unevenly, so that volume and place are approximate",
        WarningKind.INCOMPLETE: "2 files couldn't be read, so that slices may be missing",
    }.items()
)


def axial_affine(spacing: tuple[float, float, float] = (5.0, 0.5, 0.5)) -> NDArray[np.float64]:
    """(4, 4) from (slice, row, column, 1) to LPS in mm, of slices in the usual axial view."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1
    return affine


def pixels(slices: int, shape: tuple[int, int] = (48, 40)) -> NDArray[np.int16]:
    """Slices (slices, rows, columns) that differ from each other and from side to side."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.stack([(rows * 7 + columns * 3 + 40 * index) % 900 for index in range(slices)]).astype(np.int16)


def dicom_scan(
    slices: int = 12,
    *,
    source: str = "IM00001.dcm",
    series: str | None = "MR, t1_se_tra +C, axial",
    identity: Identity = IDENTITY,
) -> Scan:
    """An axial stack that says whose it is."""
    headers = tuple(Dataset() for _ in range(slices))
    turn = np.array([[0, 1], [1, 1], [2, 1]], np.float64)
    return Scan(
        pixels(slices),
        Path("somewhere") / source,
        spacing=(0.5, 0.5),
        slice_spacing=5.0,
        affine=axial_affine(),
        series=series,
        reason="series 2 of 3: MR, T1 by its description",
        origin=DicomOrigin(headers, None, turn, identity),
    )


def whole_finding(scan: Scan, **changes: object) -> Finding:
    """A finding on a scan with nothing missing: a block that is largest in the middle of the stack."""
    shape = scan.pixels.shape
    mask = np.zeros(shape, np.bool_)
    middle = shape[0] // 2
    for index in range(max(middle - 5, 0), min(middle + 5, shape[0])):
        size = 8 - abs(index - middle)
        mask[index, 10 : 10 + size, 12 : 14 + 2 * size] = True
    heat = mask.astype(np.float32)
    finding = Finding(
        scan=scan,
        mask=mask,
        probabilities=dict(zip(TumorType, (0.05, 0.92, 0.03), strict=True)),
        tumor_probability=heat * np.float32(0.9),
        heatmap=heat,
        confidence=Confidence("high", 0.92, 0.978, 2180),
        strangeness=0.2,
        warnings=WARNINGS[3:4],
        model="lite-joint-2",
    )
    return dataclasses.replace(finding, **changes)  # type: ignore[arg-type]


def single_slice(**changes: object) -> Finding:
    """A finding on one slice, without warnings."""
    scan = Scan(pixels(1), Path("a.png"), spacing=(0.5, 0.5))
    return dataclasses.replace(whole_finding(scan, warnings=()), **changes)  # type: ignore[arg-type]
