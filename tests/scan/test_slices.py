"""Slices of a stack that are decoded when they are asked for."""

import threading
from pathlib import Path

import numpy as np
import pytest

from tests.dicom_files import write_series
from tumorlens.errors import TumorlensError
from tumorlens.scan import read_scan
from tumorlens.scan.slices import StackSlices


def volume() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 900, (5, 12, 16)).astype(np.int16)


def test_reading_a_series_decodes_no_more_than_it_has_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    real = StackSlices.__getitem__
    monkeypatch.setattr(
        StackSlices, "__getitem__", lambda slices, index: (decoded.append(index), real(slices, index))[1]
    )
    write_series(tmp_path, volume())
    scan = read_scan(tmp_path)
    assert decoded == [0]  # enough to see that it isn't the same everywhere
    assert scan.shape == scan.pixels.shape


def test_slices_and_pixels_are_the_same(tmp_path: Path) -> None:
    write_series(tmp_path, volume())
    scan = read_scan(tmp_path)
    assert isinstance(scan.slices, StackSlices)
    np.testing.assert_array_equal(scan.pixels, np.stack(list(scan.slices)))
    np.testing.assert_array_equal(scan.pixels[-1], scan.slices[-1])
    assert scan.pixels is scan.pixels  # decoded once
    with pytest.raises(IndexError):
        scan.slices[5]


def test_a_zipped_series_outlives_what_it_was_unpacked_to(tmp_path: Path) -> None:
    import zipfile

    (tmp_path / "series").mkdir()
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for path in write_series(tmp_path / "series", volume()):
            archive.write(path, path.name)
    zipped, unzipped = read_scan(tmp_path / "series.zip"), read_scan(tmp_path / "series")
    np.testing.assert_array_equal(zipped.pixels, unzipped.pixels)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, volume())
    scan = read_scan(tmp_path)
    paths[2].unlink()
    with pytest.raises(TumorlensError, match=paths[2].name):
        _ = scan.pixels


def test_an_array_of_slices_holds_what_every_slice_needs() -> None:
    kinds = [np.int16, np.float32, np.uint16]
    slices = StackSlices(lambda index: np.full((2, 3), index, kinds[index]), (3, 2, 3))
    pixels = np.asarray(slices)
    assert pixels.dtype == np.float32
    assert pixels[:, 0, 0].tolist() == [0, 1, 2]


def test_slices_are_decoded_on_several_threads_and_stay_in_order() -> None:
    threads = set()
    together = threading.Barrier(2, timeout=10)

    def decode(index: int) -> np.ndarray:
        if index < 2:
            together.wait()
        threads.add(threading.get_ident())
        return np.full((2, 2), index)

    assert np.asarray(StackSlices(decode, (20, 2, 2)))[:, 0, 0].tolist() == list(range(20))
    assert len(threads) > 1
