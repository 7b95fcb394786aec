"""A scan is read by what its file holds, or refused in one line."""

import contextlib
import io
import os
import struct
import tempfile
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from tests.conftest import WriteMat
from tests.dicom_files import affine_of, write_series
from tests.scan.spoiled import check_spoiled
from tumorlens.errors import TumorlensError
from tumorlens.scan import Scan, read_scan
from tumorlens.scan.folder import DONE_FILE, files_in

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
GRAY = (np.arange(7 * 11).reshape(7, 11) * 3).astype(np.uint8)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(TumorlensError) as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="session")
def small_matlab(tmp_path_factory: pytest.TempPathFactory, write_mat: WriteMat) -> bytes:
    """The content of a small slice file."""
    return write_mat(tmp_path_factory.mktemp("small") / "1.mat").read_bytes()


def read_or_refuse(data: bytes) -> Scan | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan"
        path.write_bytes(data)
        with contextlib.suppress(TumorlensError):
            return read_scan(path)
    return None


PNG = encoded(Image.fromarray(GRAY), "PNG")
JPEG = encoded(Image.fromarray(GRAY), "JPEG")
BMP = encoded(Image.fromarray(GRAY), "BMP")
TIFF = encoded(Image.fromarray(GRAY), "TIFF")


def tiff(values: NDArray[np.generic], *, order: str = "<", white_is_zero: bool = False) -> bytes:
    """An uncompressed TIFF of one page, of any type and either order of bytes."""
    rows, columns = values.shape
    pixels = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = {
        256: columns,
        257: rows,
        258: 8 * values.itemsize,
        259: 1,
        262: 0 if white_is_zero else 1,
        273: 8,
        277: 1,
        278: rows,
        279: len(pixels),
        339: {"u": 1, "i": 2, "f": 3}[values.dtype.kind],
    }
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, 8 + len(pixels))
    entries = b"".join(struct.pack(f"{order}HHLL", tag, 4, 1, value) for tag, value in tags.items())
    return start + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_a_png_of_any_color_mode_is_read_as_its_gray_values(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(encoded(Image.fromarray(GRAY).convert(mode), "PNG"))
    assert np.array_equal(read_scan(path).pixels, GRAY[None])


def test_a_palette_png_is_read_by_its_colors_not_its_indices(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "L").convert("P")
    picture.putpalette([200, 200, 200, 10, 10, 10])
    picture.save(tmp_path / "scan.png")
    assert read_scan(tmp_path / "scan.png").pixels.tolist() == [[[200, 10], [10, 200]]]


def test_a_16_bit_png_keeps_its_16_bits(tmp_path: Path) -> None:
    values = (np.arange(77).reshape(7, 11) * 800).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "scan.png")
    assert np.array_equal(read_scan(tmp_path / "scan.png").pixels, values[None])


@pytest.mark.parametrize(
    ("dtype", "order"),
    [
        *(
            (dtype, "<")
            for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32)
        ),
        *((dtype, ">") for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32)),
    ],
)
def test_a_tiff_keeps_its_values_in_either_order_of_bytes(
    tmp_path: Path, dtype: type[np.generic], order: str
) -> None:
    limits = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)  # type: ignore[arg-type, type-var]
    values = np.linspace(float(limits.min) * 0.9, float(limits.max) * 0.9, 77).reshape(7, 11).astype(dtype)
    (tmp_path / "scan.tif").write_bytes(tiff(values, order=order))
    pixels = read_scan(tmp_path / "scan.tif").pixels
    assert np.array_equal(pixels[0], values)
    assert pixels.dtype.isnative


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_with_white_at_zero_is_turned_so_that_larger_is_brighter(
    tmp_path: Path, dtype: type[np.generic]
) -> None:
    values = GRAY.astype(dtype)
    (tmp_path / "scan.tif").write_bytes(tiff(values, white_is_zero=True))
    pixels = read_scan(tmp_path / "scan.tif").pixels[0].astype(float)
    assert np.array_equal(pixels - pixels.min(), float(GRAY.max()) - GRAY)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", None])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_pages_of_a_tiff_are_slices_however_compressed(
    tmp_path: Path, compression: str | None, dtype: type[np.generic]
) -> None:
    pages = [Image.fromarray((GRAY + index).astype(dtype)) for index in range(3)]
    pages[0].save(
        tmp_path / "scan.tif", save_all=True, append_images=pages[1:], compression=compression, format="TIFF"
    )
    assert np.array_equal(read_scan(tmp_path / "scan.tif").pixels, [GRAY, GRAY + 1, GRAY + 2])


def test_pages_of_different_sizes_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(GRAY), Image.fromarray(GRAY.T.copy())]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:], format="TIFF")
    assert "expected pages of one size, got 11 x 7 and 7 x 11" in refusal(tmp_path / "scan.tif")


def test_pages_of_different_types_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(GRAY), Image.fromarray(GRAY.astype(np.uint16))]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:], format="TIFF")
    assert "expected pages of one type, got uint8 and uint16" in refusal(tmp_path / "scan.tif")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_bmp_is_read_as_its_gray_values(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(np.where(GRAY > 100, 255, 0).astype(np.uint8)).convert(mode)
    (tmp_path / "scan").write_bytes(encoded(picture, "BMP"))
    assert np.array_equal(read_scan(tmp_path / "scan").pixels[0], np.where(GRAY > 100, 255, 0))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_picture_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    values = GRAY.astype(np.float32)
    values[2, 3] = value
    (tmp_path / "scan.tif").write_bytes(tiff(values))
    assert "expected finite pixel values, got NaN or infinity" in refusal(tmp_path / "scan.tif")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_a_constant_picture_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "scan").write_bytes(encoded(Image.fromarray(np.full((9, 9), 80, np.uint8)), kind))
    assert "expected a picture with bright and dark places, got 80 everywhere" in refusal(tmp_path / "scan")


@pytest.mark.parametrize(("size", "words"), [((1, 1), "got 1 x 1"), ((3, 1), "got 1 x 3")])
def test_a_picture_too_small_to_show_anything_is_refused(
    tmp_path: Path, size: tuple[int, int], words: str
) -> None:
    (tmp_path / "scan").write_bytes(encoded(Image.new("L", size), "PNG"))
    assert f"expected slices of 2 to 8192 pixels a side, {words}" in refusal(tmp_path / "scan")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("side", [9000, 20_000])
def test_a_picture_too_large_is_refused_before_it_is_decoded(tmp_path: Path, kind: str, side: int) -> None:
    options = {"compression": "group4"} if kind == "TIFF" else {}
    (tmp_path / "scan").write_bytes(encoded(Image.new("1", (side, side)), kind, **options))
    with mock.patch("PIL.ImageFile.ImageFile.load", side_effect=AssertionError("it was decoded")):
        assert "8192 pixels a side, got" in refusal(tmp_path / "scan")


def test_a_tiff_s_later_page_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    pages = [Image.new("1", (20, 20), 1), Image.new("1", (10_000, 10_000))]
    pages[0].save(
        tmp_path / "scan", save_all=True, append_images=pages[1:], compression="group4", format="TIFF"
    )
    decoded = []
    load = ImageFile.ImageFile.load
    with mock.patch("PIL.ImageFile.ImageFile.load", lambda self: (decoded.append(self.size), load(self))[1]):
        assert "expected pages of one size, got 20 x 20 and 10000 x 10000" in refusal(tmp_path / "scan")
    assert set(decoded) == {(20, 20)}


def test_a_jpeg_is_read_to_within_its_loss(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(48) * 2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "scan.jpg", quality=95)
    pixels = read_scan(tmp_path / "scan.jpg").pixels
    assert pixels.shape == (1, 64, 48)
    assert np.abs(pixels[0].astype(int) - smooth).max() <= 4


def test_a_picture_has_no_spacing(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(PNG)
    assert read_scan(tmp_path / "scan.png").spacing is None


def test_a_published_slice_has_the_published_spacing(slice_paths: list[Path]) -> None:
    assert read_scan(slice_paths[0]).spacing == pytest.approx((0.49, 0.49))


@pytest.mark.parametrize("name", ["scan", "scan.png", "scan.jpg", "scan.txt"])
def test_a_matlab_slice_is_known_by_its_content(tmp_path: Path, write_mat: WriteMat, name: str) -> None:
    write_mat(tmp_path / "1.mat")
    (tmp_path / "1.mat").rename(tmp_path / name)
    assert read_scan(tmp_path / name).pixels.shape == (1, 8, 12)


def test_a_picture_named_mat_is_read_as_a_picture(tmp_path: Path) -> None:
    (tmp_path / "1.mat").write_bytes(PNG)
    assert np.array_equal(read_scan(tmp_path / "1.mat").pixels, GRAY[None])


def test_a_slice_to_analyze_needs_no_outline_or_label(tmp_path: Path, write_mat: WriteMat) -> None:
    path = write_mat(tmp_path / "1.mat", without=("tumorMask", "label", "PID", "tumorBorder"))
    assert read_scan(path).pixels.shape == (1, 8, 12)


def test_a_matlab_slice_with_nan_is_refused(tmp_path: Path, write_mat: WriteMat) -> None:
    assert "NaN" in refusal(write_mat(tmp_path / "1.mat", np.full((8, 12), np.nan)))


def test_garbage_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(b"garbage" * 100)
    assert "expected a MATLAB v7.3 slice, a PNG, JPEG, TIFF or BMP, a DICOM file" in refusal(
        tmp_path / "scan.png"
    )


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.png").touch()
    refusal(tmp_path / "scan.png")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "found none in it among 0 files" in refusal(tmp_path)


def test_a_folder_s_only_scan_is_read(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(PNG)
    (tmp_path / "read me.txt").write_text("nothing to see")
    (tmp_path / ".hidden.png").write_bytes(PNG)
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.pixels, GRAY[None])
    assert scan.source == tmp_path


def test_a_folder_of_several_pictures_is_refused(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PNG)
    assert "expected DICOM files or a single other scan, got 2 such as a.png" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "expected a file or a folder, got neither" in refusal(tmp_path / "pipe")
    assert "found none in it among 0 files" in refusal(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nowhere.png")


@pytest.mark.parametrize("data", [PNG, JPEG, BMP, TIFF], ids=["PNG", "JPEG", "BMP", "TIFF"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "scan").write_bytes(data[: len(data) * 2 // 3])
    refusal(tmp_path / "scan")


def test_a_png_with_a_malformed_chunk_behind_its_pixels_is_refused(tmp_path: Path) -> None:
    """Pillow's parser of color profiles raises IndexError there, not an error of its own."""
    chunk = struct.pack(">I", 0) + b"iCCP" + struct.pack(">I", zlib.crc32(b"iCCP"))
    (tmp_path / "scan.png").write_bytes(PNG[:-12] + chunk + PNG[-12:])
    assert "expected a whole PNG, JPEG, TIFF or BMP" in refusal(tmp_path / "scan.png")


def test_a_picture_that_claims_a_huge_size_is_refused(tmp_path: Path) -> None:
    size = b"IHDR" + struct.pack(">II", 30_000, 30_000) + PNG[24:29]
    (tmp_path / "scan.png").write_bytes(PNG[:12] + size + struct.pack(">I", zlib.crc32(size)) + PNG[33:])
    assert "expected a picture of at most 8192 pixels a side" in refusal(tmp_path / "scan.png")


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refuse(data)


SIGNATURES = [
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"PK\3\4"),
    *(b"\x89HDF\r\n\x1a\n", b"MATLAB 5.0", bytes(128) + b"DICM", b"\x08\0\5\0"),
    *(b"\x1f\x8b", bytes(344) + b"n+1\0", b"\x5c\1\0\0" + bytes(340) + b"n+1\0"),
]


@settings(deadline=None)
@given(
    st.sampled_from(SIGNATURES),
    st.binary(),
)
def test_random_bytes_behind_a_true_signature_are_read_or_refused(signature: bytes, data: bytes) -> None:
    read_or_refuse(signature + data)


@pytest.mark.parametrize("data", [PNG, JPEG, BMP, TIFF], ids=["PNG", "JPEG", "BMP", "TIFF"])
def test_a_picture_with_some_bytes_changed_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    check_spoiled(data, tmp_path / "scan")


@settings(deadline=None, max_examples=100)
@given(changes=st.lists(st.tuples(st.integers(0, 1_000_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_matlab_slice_with_some_bytes_changed_is_read_or_refused(
    small_matlab: bytes, changes: list[tuple[int, int]]
) -> None:
    spoiled = bytearray(small_matlab)
    for place, value in changes:
        spoiled[512 + place % (len(spoiled) - 512)] = value
    read_or_refuse(bytes(spoiled))


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_viewers_show_it(tmp_path: Path, ending: str, orientation: int) -> None:
    pixels = np.zeros((40, 60), np.uint8)
    pixels[:8, :30] = 255
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{ending}"
    Image.fromarray(pixels).save(path, exif=exif, quality=100)
    with Image.open(path) as picture:
        shown = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(read_scan(path).pixels[0], shown)
    assert shown.shape == ((60, 40) if orientation > 4 else (40, 60))


def test_several_patients_series_of_one_uid_are_kept_apart(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 999, (6, 20, 24), dtype=np.uint16)
    for patient, height in (("A", 0.0), ("B", 30.0)):  # one upon the other they would make one volume
        affine = affine_of(origin=(0, 0, height))
        write_series(tmp_path / patient, volume, affine, PatientID=patient, SeriesInstanceUID="1.2.3")
    assert len(read_scan(tmp_path).slices) == 6


def test_earlier_results_and_the_list_of_folds_are_no_scans(tmp_path: Path) -> None:
    for name in ("a.png", "results/a-overlay.png", "cvind.mat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(tmp_path / "x.png")
        (tmp_path / "x.png").rename(tmp_path / name)
    (tmp_path / "results" / DONE_FILE).touch()
    (tmp_path / "batch").mkdir()
    (tmp_path / "batch" / "b.png").touch()
    (tmp_path / "batch" / "batch.json").write_text('{"schema_version": 1, "source": "x", "model": "y"}')
    assert [path.name for path in files_in(tmp_path)] == ["a.png"]
    assert [path.name for path in files_in(tmp_path / "results")] == ["a-overlay.png"]
