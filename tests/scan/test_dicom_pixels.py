"""DICOM pixels keep their values in every transfer syntax, or are refused in one line."""

import io
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import compress
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    generate_uid,
)

from tests.debian import program
from tests.dicom_files import header, write_enhanced, write_series
from tests.scan.dicom_slice import file_of, noise, refusal
from tests.scan.spoiled import check_spoiled
from tumorlens.scan import Scan, decode, read_scan
from tumorlens.scan.dicom import study_of
from tumorlens.scan.origin import DicomOrigin

# Values


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_stored_values_are_kept(tmp_path: Path, dtype: type[np.integer]) -> None:
    pixels = noise(dtype)
    scan = read_scan(file_of(tmp_path / "a", pixels))
    assert scan.pixels.dtype == dtype
    assert np.array_equal(scan.pixels[0], pixels)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_of_12_stored_bits_the_other_4_do_not_count(tmp_path: Path, dtype: type[np.integer]) -> None:
    """Old scanners kept overlays there."""
    pixels = noise(dtype, 2047)
    spoiled = (pixels.view(np.uint16) & 0x0FFF) | np.uint16(0x5000)
    path = file_of(tmp_path / "a", spoiled, BitsStored=12, HighBit=11)
    dataset = pydicom.dcmread(path)
    dataset.PixelRepresentation = int(dtype is np.int16)
    dataset.save_as(path)
    assert np.array_equal(read_scan(path).pixels[0], pixels)


@pytest.mark.parametrize(
    ("dtype", "stored"), [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16), (np.int16, 12), (np.int16, 16)]
)
def test_monochrome1_is_turned_so_that_larger_is_brighter(
    tmp_path: Path, dtype: type[np.integer], stored: int
) -> None:
    pixels = noise(dtype, (1 << (stored - np.iinfo(dtype).bits % 8 - (dtype is np.int16))) - 1)
    path = file_of(
        tmp_path / "a",
        pixels,
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=stored,
        HighBit=stored - 1,
    )
    scan = read_scan(path)
    expected = -1 - pixels if dtype is np.int16 else (1 << stored) - 1 - pixels.astype(int)
    assert np.array_equal(scan.pixels[0], expected)
    assert scan.pixels.dtype == dtype


def test_monochrome1_slices_stay_comparable(tmp_path: Path) -> None:
    volume = np.stack([noise(np.uint16, 4095), noise(np.uint16, 700), noise(np.uint16, 50)])
    write_series(tmp_path, volume, PhotometricInterpretation="MONOCHROME1")
    total = read_scan(tmp_path).pixels.astype(int) + volume
    assert (total == total[0, 0, 0]).all()


@pytest.mark.parametrize(("slope", "intercept"), [(2.5, -1000), (0.001, 3), (-1, 0), (1, -1024)])
def test_values_are_rescaled_as_the_header_says(tmp_path: Path, slope: float, intercept: float) -> None:
    pixels = noise(np.int16)
    scan = read_scan(file_of(tmp_path / "a", pixels, RescaleSlope=slope, RescaleIntercept=intercept))
    assert scan.pixels[0] == pytest.approx(pixels * float(slope) + intercept, rel=1e-5, abs=1e-3)


def test_slices_of_which_only_some_are_rescaled_make_one_volume(tmp_path: Path) -> None:
    volume = np.arange(4 * 36, dtype=np.uint16).reshape(4, 6, 6)
    paths = write_series(tmp_path, volume)
    dataset = pydicom.dcmread(paths[2])
    dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, 0
    dataset.save_as(paths[2])
    pixels = read_scan(tmp_path).pixels
    assert pixels.dtype == np.float32
    assert np.array_equal(pixels, volume * np.array([1, 1, 0.5, 1])[:, None, None])


@pytest.mark.parametrize("slope", ["1E+300", "1E+38"])
def test_a_slope_that_leads_out_of_all_range_is_refused_quietly(
    tmp_path: Path, slope: str, recwarn: pytest.WarningsRecorder
) -> None:
    path = file_of(tmp_path / "a", noise(np.int16), RescaleSlope=slope, RescaleIntercept=0)
    assert "expected finite pixel values" in refusal(path)
    assert not [each for each in recwarn if issubclass(each.category, RuntimeWarning)]


def test_float_pixels_are_read(tmp_path: Path) -> None:
    values = np.linspace(-2, 3, 80, dtype=np.float32).reshape(8, 10)
    dataset = pydicom.dcmread(file_of(tmp_path / "a", noise(np.uint16, shape=(8, 10)), Modality="OT"))
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = values.tobytes()
    dataset.save_as(tmp_path / "a")
    assert np.array_equal(read_scan(tmp_path / "a").pixels[0], values)


# Transfer syntaxes


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
    ],
    ids=lambda syntax: syntax.name,
)
@pytest.mark.parametrize(
    ("dtype", "stored"), [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16), (np.int16, 16)]
)
def test_a_lossless_transfer_syntax_keeps_every_bit(
    tmp_path: Path, syntax: pydicom.uid.UID, dtype: type[np.integer], stored: int
) -> None:
    most = (1 << stored) - 1 if dtype is not np.int16 else (1 << (stored - 1)) - 1
    volume = np.stack([noise(dtype, most, (34, 36)), noise(dtype, most // 2, (34, 36))])
    for path in write_series(tmp_path, volume):
        dataset = pydicom.dcmread(path)
        dataset.BitsStored, dataset.HighBit = stored, stored - 1
        if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
            compress(dataset, syntax, generate_instance_uid=False)
            dataset.save_as(path)
            continue
        if syntax == ExplicitVRBigEndian and dtype is not np.uint8:
            dataset.PixelData = dataset.pixel_array.byteswap().tobytes()
        dataset["PixelData"].VR = "OB" if dtype is np.uint8 else "OW"
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(
            path,
            dataset,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
            force_encoding=True,
        )
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.pixels, volume)
    assert scan.pixels.dtype.isnative
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize(
    ("command", "syntax"),
    [
        (["dcmcjpeg", "+e1"], "1.2.840.10008.1.2.4.70"),
        (["dcmcjpeg", "+el"], "1.2.840.10008.1.2.4.57"),
        (["dcmcjpls"], "1.2.840.10008.1.2.4.80"),
        (["dcmcrle"], "1.2.840.10008.1.2.5"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
@pytest.mark.parametrize(("dtype", "stored"), [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16)])
def test_what_dcmtk_compressed_without_loss_keeps_every_bit(
    tmp_path: Path, command: list[str], syntax: str, dtype: type[np.integer], stored: int
) -> None:
    pixels = noise(dtype, (1 << stored) - 1)
    file_of(tmp_path / "plain", pixels, BitsStored=stored, HighBit=stored - 1)
    run = [str(Path(program("dcmdump")).with_name(command[0])), *command[1:]]
    subprocess.run([*run, tmp_path / "plain", tmp_path / "packed"], check=True, capture_output=True)
    assert pydicom.dcmread(tmp_path / "packed").file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(read_scan(tmp_path / "packed").pixels[0], pixels)


def lossy_jpeg(folder: Path, plain: Path) -> Path:
    dataset = pydicom.dcmread(plain)
    buffer = io.BytesIO()
    Image.fromarray(dataset.pixel_array).save(buffer, "JPEG", quality=95)
    dataset.PixelData = encapsulate([buffer.getvalue()])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(folder / "packed")
    return folder / "packed"


def lossy_j2k(folder: Path, plain: Path) -> Path:
    dataset = pydicom.dcmread(plain)
    compress(dataset, JPEG2000, j2k_cr=[4])
    dataset.save_as(folder / "packed")
    return folder / "packed"


def lossy_jls(folder: Path, plain: Path) -> Path:
    dataset = pydicom.dcmread(plain)
    compress(dataset, JPEGLSNearLossless, jls_error=3)
    dataset.save_as(folder / "packed")
    return folder / "packed"


@pytest.mark.parametrize(
    ("pack", "syntax", "loss"),
    [(lossy_jpeg, JPEGBaseline8Bit, 8), (lossy_j2k, JPEG2000, 8), (lossy_jls, JPEGLSNearLossless, 3)],
)
def test_a_lossy_transfer_syntax_is_read_to_within_its_loss(
    tmp_path: Path, pack: Callable[[Path, Path], Path], syntax: str, loss: int
) -> None:
    smooth = (100 + 60 * np.sin(np.add.outer(np.arange(64) / 5, np.arange(48) / 3))).astype(np.uint8)
    packed = pack(tmp_path, file_of(tmp_path / "plain", smooth))
    assert pydicom.dcmread(packed).file_meta.TransferSyntaxUID == syntax
    pixels = read_scan(packed).pixels[0].astype(int)
    assert 0 < np.abs(pixels - smooth).max() <= loss


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, ExplicitVRLittleEndian])
def test_frames_of_a_compressed_file_are_each_decoded(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    volume = np.stack([noise(np.uint16, 4000, (34, 36)) + index for index in range(5)]).astype(np.uint16)
    path = write_enhanced(tmp_path / "a", volume, order=[3, 1, 4, 0, 2])
    if syntax.is_compressed:
        dataset = pydicom.dcmread(path)
        compress(dataset, syntax)
        dataset.save_as(path)
    assert np.array_equal(read_scan(path).pixels, volume)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_from_before_there_were_preambles_is_read(tmp_path: Path, implicit: bool) -> None:
    pixels = noise(np.int16)
    dataset = pydicom.dcmread(file_of(tmp_path / "a", pixels))
    bare = Dataset({element.tag: element for element in dataset})
    bare.save_as(tmp_path / "a", implicit_vr=implicit, little_endian=True)
    assert (tmp_path / "a").read_bytes()[:2] == b"\x08\x00"
    assert np.array_equal(read_scan(tmp_path / "a").pixels[0], pixels)


# What is refused


def test_pixels_cut_short_are_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a", noise(np.int16))
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(path) == (
        "a: expected pixels that can be decoded (Explicit VR Little Endian), but 860 bytes came of 960; "
        "get the file again"
    )


def test_pixels_that_claim_too_few_bytes_are_refused(tmp_path: Path) -> None:
    """What follows them in the file must not be taken for pixels."""
    path = file_of(tmp_path / "a", noise(np.int16), Rows=23, DataSetTrailingPadding=b"\0" * 2000)
    dataset = pydicom.dcmread(path)
    dataset.Rows = 26
    dataset.save_as(path)
    assert "960 bytes came of 1,040" in refusal(path)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Modality": "CT"}, "expected an MR series in gray, got CT"),
        ({"PhotometricInterpretation": "PALETTE COLOR", "Modality": "OT"}, "got OT in color"),
        ({"HighBit": 15, "BitsStored": 12}, "highest of 12 bits is bit 15"),
        ({"BitsAllocated": 13}, "expected pixels that can be decoded"),
        ({"Rows": 1}, "expected slices of 2 to 8192 pixels a side, got 1 x 20"),
        ({"Rows": 60000, "Columns": 60000}, "got 60000 x 60000"),
        ({"NumberOfFrames": 2_000_000_000}, "expected at most 32,768 slices"),
        ({"NumberOfFrames": 3}, "960 bytes came of 2,880"),
        ({"PixelData": None}, "pixels that can be decoded"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_is_no_slice_is_refused_with_a_reason(
    tmp_path: Path, tags: dict[str, object], words: str
) -> None:
    assert words in refusal(file_of(tmp_path / "a", noise(np.int16), **tags))


def test_a_file_without_pixels_is_refused(tmp_path: Path) -> None:
    dataset = header(StudyDescription="Brain")
    dataset.save_as(tmp_path / "a", enforce_file_format=True)
    assert "expected a DICOM file with a picture, got MR Image Storage" in refusal(tmp_path / "a")


def test_a_constant_slice_is_refused(tmp_path: Path) -> None:
    assert "got 7 everywhere" in refusal(file_of(tmp_path / "a", np.full((8, 8), 7, np.int16)))


def test_a_deflated_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "_MOST_DEFLATED", 1000)
    monkeypatch.setattr(decode, "_MOST_INFLATED", 1 << 22)
    path = file_of(tmp_path / "a", noise(np.int16))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    read_scan(path)  # not everything deflated is a bomb
    content = path.read_bytes()
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    path.write_bytes(content[:start] + pack.compress(b"\0" * (1 << 23)) + pack.flush())
    with mock.patch("pydicom.dcmread") as unpack:
        assert "expected at most 4 MB unpacked, got more" in refusal(path)
        assert study_of(path) == ""
    assert not unpack.called


def test_private_elements_of_a_scanner_are_not_kept(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a", noise(np.int16))
    dataset = pydicom.dcmread(path)
    block = dataset.private_block(0x29, "TESTS", create=True)
    block.add_new(0x10, "OB", b"\0" * 100_000)
    block.add_new(0x11, "LO", "short")
    dataset.save_as(path)
    origin = read_scan(path).origin
    assert isinstance(origin, DicomOrigin)
    assert (0x29, 0x1010) not in origin.headers[0]
    assert origin.headers[0][0x29, 0x1011].value == "short"
    assert "PixelData" not in origin.headers[0]


def test_a_copy_of_the_pixels_is_not_kept(tmp_path: Path) -> None:
    scan: Scan = read_scan(file_of(tmp_path / "a", noise(np.int16), InstanceNumber=1))
    (tmp_path / "a").unlink()
    assert scan.pixels.sum()


def test_an_instance_number_that_is_none_does_not_matter(tmp_path: Path) -> None:
    volume = np.arange(3 * 64, dtype=np.int16).reshape(3, 8, 8)
    for path in write_series(tmp_path, volume):
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = generate_uid()
        dataset.InstanceNumber = None
        dataset.save_as(path)
    assert np.array_equal(read_scan(tmp_path).pixels, volume)


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless, JPEGLSLossless],
    ids=lambda syntax: syntax.name,
)
def test_a_file_with_some_bytes_changed_is_read_or_refused(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    dataset = pydicom.dcmread(file_of(tmp_path / "whole", noise(np.uint16, 4095, (34, 36))))
    if syntax.is_compressed:
        compress(dataset, syntax)
    dataset.save_as(tmp_path / "whole")
    check_spoiled((tmp_path / "whole").read_bytes(), tmp_path / "changed", examples=100)


def test_an_enhanced_file_with_some_bytes_changed_is_read_or_refused(tmp_path: Path) -> None:
    volume = np.arange(3 * 64, dtype=np.uint16).reshape(3, 8, 8)
    data = write_enhanced(tmp_path / "whole", volume).read_bytes()
    check_spoiled(data, tmp_path / "changed")


@pytest.mark.parametrize("padding", [-1000, -32768, 32767])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_as_dark_as_the_darkest_of_the_others(
    tmp_path: Path, padding: int, photometric: str
) -> None:
    pixels = noise(np.int16, 900) + np.int16(100)
    padded = pixels.copy()
    padded[:5] = padding
    tags = {"PhotometricInterpretation": photometric, "PixelPaddingValue": padding}
    path = file_of(tmp_path / "a", padded, **tags)
    plain = read_scan(file_of(tmp_path / "b", pixels, PhotometricInterpretation=photometric)).pixels[0]
    got = read_scan(path).pixels[0]
    assert np.array_equal(got[5:], plain[5:])
    assert (got[:5] == plain[5:].min()).all()


def test_a_range_of_padding_and_one_of_the_wrong_sign_are_understood(tmp_path: Path) -> None:
    pixels = noise(np.uint16, 900) + np.uint16(100)
    pixels[:5], pixels[5:8] = 65000, 65010
    path = file_of(tmp_path / "a", pixels, PixelPaddingValue=65010, PixelPaddingRangeLimit=65000)
    assert (read_scan(path).pixels[0, :8] == pixels[8:].min()).all()
    header = pydicom.dcmread(path)
    header[0x0028, 0x0120] = pydicom.DataElement(0x00280120, "SS", 65000 - 65536)
    del header.PixelPaddingRangeLimit
    header.save_as(path)
    got = read_scan(path).pixels[0]
    assert (got[:5] == pixels[8:].min()).all()
    assert (got[5:8] == 65010).all()


def test_a_slice_that_is_all_padding_stays(tmp_path: Path) -> None:
    volume = np.stack([np.full((40, 30), 7, np.uint16), np.arange(1200, dtype=np.uint16).reshape(40, 30)])
    write_series(tmp_path, volume, PixelPaddingValue=7)
    assert (read_scan(tmp_path).pixels[0] == 7).all()


def test_a_slope_without_an_intercept_counts(tmp_path: Path) -> None:
    pixels = noise(np.uint16, 900)
    assert np.array_equal(read_scan(file_of(tmp_path / "a", pixels, RescaleSlope=2)).pixels[0], pixels * 2.0)


def test_monochrome1_is_turned_after_a_table_not_before(tmp_path: Path) -> None:
    pixels = noise(np.uint8, 255)
    table = pydicom.Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table[0x0028, 0x3006] = pydicom.DataElement(0x00283006, "US", [n * n for n in range(256)])
    tags = {"PhotometricInterpretation": "MONOCHROME1", "ModalityLUTSequence": [table]}
    got = read_scan(file_of(tmp_path / "a", pixels, **tags)).pixels[0].astype(int)
    assert np.array_equal(got, 65535 - pixels.astype(int) ** 2)
