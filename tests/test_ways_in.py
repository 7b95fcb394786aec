"""One and the same slice says the same, whatever kind of file it comes in."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.debian import program
from tests.dicom_files import affine_of, write_series
from tumorlens import Analyzer, Finding, read_scan
from tumorlens.scan.geometry import LPS_RAS

Pixels = NDArray[np.uint16]
REWRITTEN = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
COMPRESSED = (RLELossless, JPEGLSLossless, JPEG2000Lossless)


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


@pytest.fixture(scope="module", params=["104", "715", "1059"])
def pixels(request: pytest.FixtureRequest, slices_folder: Path) -> Pixels:
    """A real slice of each tumor type, (rows, columns), from 0."""
    values = read_scan(slices_folder / f"{request.param}.mat").pixels[0]
    return (values - values.min()).astype(np.uint16)


@pytest.fixture(scope="module")
def expected(pixels: Pixels, analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> Finding:
    path = tmp_path_factory.mktemp("png") / "a.png"
    Image.fromarray(pixels).save(path)
    return analyzer.analyze(read_scan(path))


def assert_same(path: Path, analyzer: Analyzer, expected: Finding) -> None:
    found = analyzer.analyze(read_scan(path))
    assert found.probabilities is not None
    assert expected.probabilities is not None
    for tumor_type, probability in expected.probabilities.items():
        assert found.probabilities[tumor_type] == pytest.approx(probability, abs=0.01)
    assert found.mask is not None
    assert expected.mask is not None
    common = np.count_nonzero(found.mask & expected.mask)
    assert 2 * common > 0.98 * (np.count_nonzero(found.mask) + np.count_nonzero(expected.mask)) > 0


def as_dicom(path: Path, pixels: Pixels) -> Path:
    [file] = write_series(path, pixels[None], affine_of(spacing=(5, 0.49, 0.49)))
    return file


def as_tiff(path: Path, pixels: Pixels) -> Path:
    Image.fromarray(pixels).save(path / "a.tif", compression="tiff_lzw")
    return path / "a.tif"


def as_nifti(path: Path, pixels: Pixels) -> Path:
    affine = LPS_RAS @ affine_of(spacing=(5, 0.49, 0.49))
    nib.save(nib.Nifti1Image(pixels[None].astype(np.int16), affine), path / "a.nii.gz")
    return path / "a.nii.gz"


def as_nifti_of_another_order(path: Path, pixels: Pixels) -> Path:
    """Columns from right to left, rows from posterior, slices: what a scanner's converter writes."""
    affine = LPS_RAS @ affine_of(spacing=(5, 0.49, 0.49))
    image = nib.as_closest_canonical(nib.Nifti1Image(pixels[None].astype(np.float32), affine))
    nib.save(image, path / "a.nii")
    return path / "a.nii"


@pytest.mark.parametrize("make", [as_tiff, as_dicom, as_nifti, as_nifti_of_another_order])
def test_a_format_changes_nothing(
    make: Callable[[Path, Pixels], Path],
    pixels: Pixels,
    expected: Finding,
    analyzer: Analyzer,
    tmp_path: Path,
) -> None:
    assert_same(make(tmp_path, pixels), analyzer, expected)


@pytest.mark.parametrize("syntax", REWRITTEN, ids=lambda syntax: syntax.name)
def test_a_transfer_syntax_without_compression_changes_nothing(
    syntax: UID, pixels: Pixels, expected: Finding, analyzer: Analyzer, tmp_path: Path
) -> None:
    dataset = dcmread(as_dicom(tmp_path, pixels))
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = pixels.astype(">u2").tobytes()
    dcmwrite(
        tmp_path / "a.dcm",
        dataset,
        little_endian=syntax.is_little_endian,
        implicit_vr=syntax.is_implicit_VR,
        force_encoding=True,
    )
    assert_same(tmp_path / "a.dcm", analyzer, expected)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: syntax.name)
def test_a_lossless_transfer_syntax_changes_nothing(
    syntax: UID, pixels: Pixels, expected: Finding, analyzer: Analyzer, tmp_path: Path
) -> None:
    dataset = dcmread(as_dicom(tmp_path, pixels))
    dataset.compress(syntax)
    dataset.save_as(tmp_path / "a.dcm")
    assert dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID == syntax
    assert_same(tmp_path / "a.dcm", analyzer, expected)


@pytest.mark.parametrize("process", ["+e1", "+el"], ids=["first-order prediction", "any prediction"])
def test_lossless_jpeg_changes_nothing(
    process: str, pixels: Pixels, expected: Finding, analyzer: Analyzer, tmp_path: Path
) -> None:
    plain = as_dicom(tmp_path, pixels)
    subprocess.run([program("dcmcjpeg"), process, plain, tmp_path / "a.dcm"], check=True)
    assert "JPEG Lossless" in dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID.name
    assert_same(tmp_path / "a.dcm", analyzer, expected)
