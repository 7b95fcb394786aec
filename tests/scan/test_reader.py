"""A scan is read by what its file holds, or refused in one line."""

import contextlib
import io
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import WriteMat
from tumorlens.errors import TumorlensError
from tumorlens.scan import Scan, read_scan

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
    assert "expected a MATLAB v7.3 slice, a PNG or a JPEG" in refusal(tmp_path / "scan.png")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.png").touch()
    refusal(tmp_path / "scan.png")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nowhere.png")


@pytest.mark.parametrize("data", [PNG, JPEG], ids=["PNG", "JPEG"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "scan").write_bytes(data[: len(data) * 2 // 3])
    refusal(tmp_path / "scan")


def test_a_png_with_a_malformed_chunk_behind_its_pixels_is_refused(tmp_path: Path) -> None:
    """Pillow's parser of color profiles raises IndexError there, not an error of its own."""
    chunk = struct.pack(">I", 0) + b"iCCP" + struct.pack(">I", zlib.crc32(b"iCCP"))
    (tmp_path / "scan.png").write_bytes(PNG[:-12] + chunk + PNG[-12:])
    assert "expected a whole PNG or JPEG" in refusal(tmp_path / "scan.png")


def test_a_picture_that_claims_a_huge_size_is_refused(tmp_path: Path) -> None:
    size = b"IHDR" + struct.pack(">II", 30_000, 30_000) + PNG[24:29]
    (tmp_path / "scan.png").write_bytes(PNG[:12] + size + struct.pack(">I", zlib.crc32(size)) + PNG[33:])
    assert "exceeds limit" in refusal(tmp_path / "scan.png")


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refuse(data)


@settings(deadline=None)
@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x89HDF\r\n\x1a\n", b"MATLAB 5.0"]), st.binary()
)
def test_random_bytes_behind_a_true_signature_are_read_or_refused(signature: bytes, data: bytes) -> None:
    read_or_refuse(signature + data)


@settings(deadline=None, max_examples=300)
@given(
    data=st.sampled_from([PNG, JPEG]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_picture_with_some_bytes_changed_is_read_or_refused(
    data: bytes, changes: list[tuple[int, int]]
) -> None:
    spoiled = bytearray(data)
    for place, value in changes:
        spoiled[place % len(spoiled)] = value
    read_or_refuse(bytes(spoiled))


@settings(deadline=None, max_examples=100)
@given(changes=st.lists(st.tuples(st.integers(0, 1_000_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_matlab_slice_with_some_bytes_changed_is_read_or_refused(
    small_matlab: bytes, changes: list[tuple[int, int]]
) -> None:
    spoiled = bytearray(small_matlab)
    for place, value in changes:
        spoiled[512 + place % (len(spoiled) - 512)] = value
    read_or_refuse(bytes(spoiled))
