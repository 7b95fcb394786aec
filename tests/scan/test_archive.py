"""A zip is read like a folder; one that is damaged or means harm is refused, and leaves nothing behind."""

import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.dicom_files import write_series
from tests.scan.dicom_slice import refusal
from tests.scan.spoiled import check_spoiled
from tumorlens.errors import TumorlensError
from tumorlens.scan import archive, list_series, read_scan

SHAPE = (4, 10, 12)
PICTURE = np.arange(120, dtype=np.uint8).reshape(10, 12)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    assert list(temporary.iterdir()) == []


def volume(offset: int = 0) -> NDArray[np.int16]:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) + offset).astype(np.int16)


def packed(path: Path, members: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def slices(folder: Path, offset: int = 0, **tags: object) -> list[bytes]:
    return [path.read_bytes() for path in write_series(folder, volume(offset), **tags)]


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "PNG")
    return buffer.getvalue()


# What is read


def test_a_zip_is_read_like_a_folder(tmp_path: Path) -> None:
    members = {f"a/b {index}/IM": data for index, data in enumerate(slices(tmp_path / "1"))}
    t2 = slices(tmp_path / "2", 500, SeriesInstanceUID="1.2", SeriesDescription="T2", SeriesNumber=1)
    members |= {f"a/c/{index}.dcm": data for index, data in enumerate(t2)}
    members |= {"a/": b"", "read me.txt": b"Please find enclosed", "DICOMDIR": bytes(128) + b"DICM"}
    path = packed(tmp_path / "study", members)
    scan = read_scan(path)
    assert np.array_equal(scan.pixels, volume())
    assert scan.source == path
    assert (scan.reason or "").startswith("series 2 of 2: MR, T1")
    assert np.array_equal(read_scan(path, series="T2").pixels, volume(500))
    assert [stack.description for stack in list_series(path)] == ["T2", "t1_se_tra +C"]


def test_a_zip_s_only_scan_is_read_whatever_it_is(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"x/scan.png": png(), "x/note.txt": b"x"})
    scan = read_scan(path)
    assert np.array_equal(scan.pixels[0], PICTURE)
    assert scan.source == path


@pytest.mark.parametrize(
    "name", ["__MACOSX/._scan.png", "x/.hidden/scan.png", ".scan.png", "__MACOSX/x/scan.png"]
)
def test_hidden_files_are_left_out(tmp_path: Path, name: str) -> None:
    assert np.array_equal(
        read_scan(packed(tmp_path / "a", {"scan.png": png(), name: png()})).pixels[0], PICTURE
    )


@pytest.mark.parametrize(
    "name", ["a\\b\\scan.png", "2024-03-01T10:15/scan.png", "Müller/scän.png", "a..b/scan.png"]
)
def test_unusual_names_that_stay_inside_are_accepted(tmp_path: Path, name: str) -> None:
    assert np.array_equal(read_scan(packed(tmp_path / "a", {name: png()})).pixels[0], PICTURE)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        for data in slices(tmp_path / "1"):
            file.writestr("same", data)
    assert np.array_equal(read_scan(tmp_path / "a").pixels, volume())


def test_a_symbolic_link_is_left_out(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(packed(tmp_path / "a", {"scan.png": png()}), "a") as file:
        file.writestr(link, "/etc/passwd")
    assert np.array_equal(read_scan(tmp_path / "a").pixels[0], PICTURE)


# What is refused


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "found none in it among 0 files"),
        ({"note.txt": b"nothing to see"}, "found none in it among 1 files"),
        ({"a.png": png(), "b.png": png()}, "expected DICOM files or a single other scan, got 2"),
        ({"a.zip": b"PK\x03\x04" + bytes(60)}, "found none in it among 1 files"),
        ({"a.png": png()[:50]}, "expected a whole PNG"),
    ],
    ids=["nothing", "a text", "two pictures", "a zip", "a damaged picture"],
)
def test_a_zip_without_one_scan_is_refused(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    message = refusal(packed(tmp_path / "x.zip", members))
    assert words in message
    assert "x.zip" in message
    assert "temporary" not in message.replace(str(tmp_path / "x.zip"), "")


@pytest.mark.parametrize(
    "name",
    [
        "../x.png",
        "a/../../x.png",
        "/x.png",
        "..\\x.png",
        "C:\\x.png",
        "c:x.png",
        "\\\\host\\x.png",
        "..",
        ".",
        "/",
        "",
    ],
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo("placeholder"), png())
        file.filelist[0].filename = name
    assert "which leads out; don't trust this file" in refusal(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "temporary"]


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", {"scan.png": png()})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    assert "expected an archive without a password" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_unpacks_without_bounds_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w", method) as file:
        file.writestr("scan.png", png())
    assert f"got compression method {method}" in refusal(tmp_path / "a")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_zip_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = packed(tmp_path / "a", {"scan.png": png()})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "expected a whole zip archive" in refusal(path)


def test_a_zip_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as file:  # stored, so that only the checksum can tell
        file.writestr("scan.png", png())
    data = bytearray(tmp_path.joinpath("a").read_bytes())
    data[data.index(b"IDAT") + 10] ^= 1
    (tmp_path / "a").write_bytes(data)
    assert "Bad CRC-32" in refusal(tmp_path / "a")


def test_a_bomb_is_refused_by_its_ratio_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a", {"zeros": bytes(2 << 20)})
    monkeypatch.setattr(archive, "_SMALL", 1 << 20)
    monkeypatch.setattr(archive, "_unpack", unexpected)
    assert "expected at most 4 GB unpacked and 200 times the archive, got 2,097,152 bytes" in refusal(path)


def unexpected(*_: object) -> None:
    raise AssertionError("it was unpacked")


def test_a_bomb_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST_BYTES", 1000)
    monkeypatch.setattr(archive, "_unpack", unexpected)
    assert "got 1,200 bytes" in refusal(packed(tmp_path / "a", {"1": bytes(600), "2": bytes(600)}))


def test_a_bomb_that_claims_to_be_packed_little_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_SMALL", 1 << 20)
    path = packed(tmp_path / "a", {"zeros": bytes(2 << 20)})
    claim(path, packed_size=1 << 20)
    assert "200 times the archive" in refusal(path)


def test_a_member_larger_than_it_claims_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", {"zeros": bytes(2 << 20)})
    claim(path, size=100)
    assert "expected a whole zip archive, but Bad CRC-32" in refusal(path)


def test_what_a_member_really_holds_counts(tmp_path: Path) -> None:
    source, target = io.BytesIO(bytes(100)), io.BytesIO()
    assert archive._copied(source, target, 100, tmp_path) == 100
    source.seek(0)
    with pytest.raises(TumorlensError, match="unpacked, got more"):
        archive._copied(source, target, 99, tmp_path)


def claim(path: Path, size: int | None = None, packed_size: int | None = None) -> None:
    """Let a zip of one member lie about it, in both of its headers."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 18), (b"PK\x01\x02", 20)):
        at = data.index(signature) + offset
        if packed_size is not None:
            struct.pack_into("<L", data, at, packed_size)
        if size is not None:
            struct.pack_into("<L", data, at + 4, size)
    path.write_bytes(data)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST_FILES", 3)
    path = packed(tmp_path / "a", {f"{index}": b"x" for index in range(4)})
    assert "expected at most 3 files, got 4; split the archive" in refusal(path)


def test_a_member_at_a_place_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", {"scan.png": png()})
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 42, 1 << 30)
    path.write_bytes(data)
    assert "expected a whole zip archive" in refusal(path)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_copied", full)
    path = packed(tmp_path / "a", {"scan.png": png()})
    with pytest.raises(OSError, match="No space left on device"):  # no fault of the archive
        read_scan(path)


def test_a_zip_with_some_bytes_changed_is_read_or_refused(tmp_path: Path) -> None:
    members = {f"{index}": data for index, data in enumerate(slices(tmp_path / "1"))}
    data = packed(tmp_path / "whole", members).read_bytes()
    check_spoiled(data, tmp_path / "changed")


def test_zlib_errors_are_told_as_damage(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", {"scan.png": png()})
    data = bytearray(path.read_bytes())
    at = 30 + len("scan.png")
    data[at : at + 20] = zlib.compress(b"x" * 3)[:4] * 5
    path.write_bytes(data)
    assert "expected a whole zip archive" in refusal(path)
