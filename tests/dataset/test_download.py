"""The download ends with the published files or with one line that says why not."""

import io
import random
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import folds_file, slice_file
from tests.dataset.figshare import Figshare, serving
from tumorlens.dataset import open_dataset
from tumorlens.dataset.download import STATE_FILE, DownloadReport, download
from tumorlens.dataset.unpack import unpack
from tumorlens.errors import TumorlensError

NOISE = random.Random(0).randbytes(400_000)  # noqa: S311
FIRST = "brainTumorDataPublic_1-766.zip"


def zipped(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two zips of small slices, the folds and a README."""
    folder = tmp_path_factory.mktemp("published")
    slices = [slice_file(folder / f"{number}.mat", label=number).read_bytes() for number in (1, 2, 3)]
    return {
        FIRST: zipped({"1.mat": slices[0], "2.mat": slices[1]}),
        "brainTumorDataPublic_767-1532.zip": zipped({"3.mat": slices[2]}),
        "cvind.mat": folds_file(folder / "cvind.mat", {1: 1, 2: 2, 3: 3}).read_bytes(),
        "README.txt": b"This brain tumor dataset ...\n",
    }


@pytest.fixture
def site(published: dict[str, bytes]) -> Iterator[Figshare]:
    """The whole dataset, served."""
    with serving(Figshare(dict(published))) as running:
        yield running


@pytest.fixture
def noise() -> Iterator[Figshare]:
    """A single large file, served."""
    with serving(Figshare({"noise.bin": NOISE})) as running:
        yield running


def fetch(site: Figshare, folder: Path) -> DownloadReport:
    return download(folder, site.api, show_progress=False, retry_wait=0.001)


def refusal(site: Figshare, folder: Path) -> str:
    with pytest.raises(TumorlensError) as caught:
        fetch(site, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_download_ends_with_a_dataset_that_opens(site: Figshare, tmp_path: Path) -> None:
    report = fetch(site, tmp_path / "data")
    assert set(report.fetched) == set(site.files)
    entries = open_dataset(tmp_path / "data").entries
    assert [(entry.file, entry.label, entry.fold) for entry in entries] == [
        ("1.mat", 1, 1),
        ("2.mat", 2, 2),
        ("3.mat", 3, 3),
    ]


def test_zips_are_deleted_once_unpacked(site: Figshare, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    assert names(tmp_path) == {"1.mat", "2.mat", "3.mat", "cvind.mat", "README.txt", STATE_FILE}


def test_zips_are_kept_on_request(site: Figshare, tmp_path: Path) -> None:
    download(tmp_path, site.api, keep_archives=True, show_progress=False)
    assert (tmp_path / FIRST).read_bytes() == site.files[FIRST]


def test_a_second_run_downloads_nothing(site: Figshare, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    site.requests.clear()
    report = fetch(site, tmp_path)
    assert site.requests == []
    assert (set(report.kept), report.fetched) == (set(site.files), ())


def test_a_kept_zip_may_be_deleted_by_hand(site: Figshare, tmp_path: Path) -> None:
    download(tmp_path, site.api, keep_archives=True, show_progress=False)
    (tmp_path / FIRST).unlink()
    site.requests.clear()
    fetch(site, tmp_path)
    assert site.requests == []


def test_a_slice_that_was_lost_since_brings_back_only_its_zip(site: Figshare, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    (tmp_path / "2.mat").unlink()
    site.requests.clear()
    assert fetch(site, tmp_path).fetched == (FIRST,)
    assert (tmp_path / "2.mat").exists()


def test_a_file_that_changed_on_the_server_is_fetched_again(site: Figshare, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    site.files["README.txt"] = b"second edition"
    assert fetch(site, tmp_path).fetched == ("README.txt",)
    assert (tmp_path / "README.txt").read_bytes() == b"second edition"


def test_a_file_fetched_by_hand_is_verified_and_kept(site: Figshare, tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(site.files[FIRST])
    assert FIRST in fetch(site, tmp_path).kept
    assert (tmp_path / "1.mat").exists()


def test_an_unreadable_state_costs_only_time(site: Figshare, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    (tmp_path / STATE_FILE).write_text("{")
    assert "cvind.mat" in fetch(site, tmp_path).kept


def test_a_broken_connection_is_resumed_where_it_broke(noise: Figshare, tmp_path: Path) -> None:
    noise.break_after = {"noise.bin": [250_000]}
    fetch(noise, tmp_path)
    (_, first), (_, second) = noise.requests
    assert first is None
    assert second is not None
    start = int(second.removeprefix("bytes=").removesuffix("-"))
    assert 250_000 - 65_536 <= start <= 250_000
    assert noise.sent == 250_000 + len(NOISE) - start
    assert (tmp_path / "noise.bin").read_bytes() == NOISE


def test_a_later_run_asks_only_for_the_bytes_that_are_missing(noise: Figshare, tmp_path: Path) -> None:
    (tmp_path / "noise.bin.partial").write_bytes(NOISE[:123_457])
    fetch(noise, tmp_path)
    assert noise.requests == [("noise.bin", "bytes=123457-")]
    assert noise.sent == len(NOISE) - 123_457
    assert (tmp_path / "noise.bin").read_bytes() == NOISE


def test_a_connection_that_keeps_breaking_leaves_its_bytes_for_the_next_run(
    noise: Figshare, tmp_path: Path
) -> None:
    noise.break_after = {"noise.bin": [70_000, 70_000, 70_000, 70_000]}
    assert "it resumes where it broke off" in refusal(noise, tmp_path)
    held = (tmp_path / "noise.bin.partial").stat().st_size
    assert held >= 4 * 65_536 - 4 * 4096
    fetch(noise, tmp_path)
    assert noise.requests[-1] == ("noise.bin", f"bytes={held}-")
    assert (tmp_path / "noise.bin").read_bytes() == NOISE


def test_a_server_that_ignores_range_is_taken_from_the_start(noise: Figshare, tmp_path: Path) -> None:
    noise.honors_range = False
    (tmp_path / "noise.bin.partial").write_bytes(NOISE[:1000])
    fetch(noise, tmp_path)
    assert (tmp_path / "noise.bin").read_bytes() == NOISE


def test_a_partial_file_larger_than_the_whole_is_started_over(noise: Figshare, tmp_path: Path) -> None:
    (tmp_path / "noise.bin.partial").write_bytes(NOISE + b"more")
    fetch(noise, tmp_path)
    assert noise.requests == [("noise.bin", None)]


def test_a_partial_file_of_something_else_is_started_over(noise: Figshare, tmp_path: Path) -> None:
    (tmp_path / "noise.bin.partial").write_bytes(bytes(1000))
    fetch(noise, tmp_path)
    assert [asked for _, asked in noise.requests] == ["bytes=1000-", None]
    assert (tmp_path / "noise.bin").read_bytes() == NOISE


def test_a_wrong_checksum_is_refused_and_nothing_stays(noise: Figshare, tmp_path: Path) -> None:
    noise.md5s = {"noise.bin": "0" * 32}
    assert f"expected MD5 {'0' * 32}" in refusal(noise, tmp_path)
    assert names(tmp_path) == set()


def test_a_file_larger_than_announced_is_refused(noise: Figshare, tmp_path: Path) -> None:
    noise.listing = noise.article().replace(b'"size": 400000', b'"size": 399999')
    assert "got more" in refusal(noise, tmp_path)
    assert not (tmp_path / "noise.bin").exists()


def test_a_server_that_is_busy_for_a_while_is_asked_again(site: Figshare, tmp_path: Path) -> None:
    site.failures = [500, 503, 429]
    assert len(fetch(site, tmp_path).fetched) == 4


def test_a_server_that_stays_broken_is_an_error_with_its_status(site: Figshare, tmp_path: Path) -> None:
    site.failures = [500] * 4
    assert "HTTP 500" in refusal(site, tmp_path)


def test_a_missing_article_is_not_asked_for_again(site: Figshare, tmp_path: Path) -> None:
    site.failures = [404]
    assert "HTTP 404" in refusal(site, tmp_path)
    assert site.requests == []


def test_a_server_that_cannot_be_reached_is_an_error_of_one_line(site: Figshare, tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match=r"the connection failed"):
        download(tmp_path, "http://127.0.0.1:9/v2", show_progress=False, retry_wait=0.001)


@pytest.mark.parametrize(
    "listing",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"files": []}',
        b'{"files": [{"name": "a"}]}',
        b'{"files": 3}',
        b"\xff\xfe",
    ],
)
def test_json_other_than_figshares_is_refused(site: Figshare, tmp_path: Path, listing: bytes) -> None:
    site.listing = listing
    assert "expected figshare's JSON" in refusal(site, tmp_path)


@pytest.mark.parametrize(
    "name", ["../x", "/abs", "a/b", "C:x", "a\\b", "..", "", ".hidden", STATE_FILE, "a\nb"]
)
def test_a_name_that_is_no_plain_file_name_is_refused(site: Figshare, tmp_path: Path, name: str) -> None:
    site.files = {name: b"x"}
    assert "expected plain file names" in refusal(site, tmp_path / "data")
    assert site.requests == []
    assert names(tmp_path) == {"data"}


@pytest.mark.parametrize(
    "url", ["http://example.org/a", "file:///etc/passwd", "ftp://127.0.0.1/a", "a", "https://[x"]
)
def test_an_address_other_than_https_is_refused(site: Figshare, tmp_path: Path, url: str) -> None:
    site.files = {"a": b"x"}
    site.urls = {"a": url}
    assert "expected an https address" in refusal(site, tmp_path)


def test_a_redirect_to_plain_http_elsewhere_is_refused(site: Figshare, tmp_path: Path) -> None:
    site.files = {"a": b"x"}
    site.urls = {"a": f"{site.address}/moved/http://example.org/a"}
    assert "http://example.org/a: expected an https address" in refusal(site, tmp_path)


def test_a_redirect_is_followed(noise: Figshare, tmp_path: Path) -> None:
    noise.urls = {"noise.bin": f"{noise.address}/moved/{noise.address}/files/noise.bin"}
    fetch(noise, tmp_path)
    assert (tmp_path / "noise.bin").read_bytes() == NOISE


def test_a_full_disk_is_an_error_of_one_line(noise: Figshare, tmp_path: Path) -> None:
    with disk_of(100_000):
        message = refusal(noise, tmp_path)
    assert "can't write the dataset" in message
    assert names(tmp_path) == {"noise.bin.partial"}


def test_a_disk_that_was_full_goes_on_once_there_is_room(noise: Figshare, tmp_path: Path) -> None:
    with disk_of(100_000):
        refusal(noise, tmp_path)
    fetch(noise, tmp_path)
    assert (tmp_path / "noise.bin").read_bytes() == NOISE
    assert noise.requests[-1][1] is not None


@pytest.mark.parametrize("entry", ["../x", "/abs", "a/../../x", "C:/x", "a\\..\\x", "a//b", "./x"])
def test_an_entry_that_leaves_the_folder_is_refused_before_anything_is_unpacked(
    site: Figshare, tmp_path: Path, entry: str
) -> None:
    site.files = {"a.zip": zipped({"1.mat": b"fine", entry: b"evil"})}
    assert "nothing was unpacked" in refusal(site, tmp_path / "data")
    assert names(tmp_path) == {"data", "data/a.zip"}


def test_a_link_in_an_archive_is_refused(site: Figshare, tmp_path: Path) -> None:
    site.files = {"a.zip": zipped({"1.mat": b"fine"}, links={"link": "/etc"})}
    assert "is a link or a device" in refusal(site, tmp_path)
    assert names(tmp_path) == {"a.zip"}


def test_a_link_on_the_disk_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sub").symlink_to(tmp_path / "outside")
    (tmp_path / "a.zip").write_bytes(zipped({"sub/1.mat": b"x"}))
    with pytest.raises(TumorlensError, match="got a link out of it"):
        unpack(tmp_path / "a.zip", tmp_path / "data")
    assert names(tmp_path / "outside") == set()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"1.mat": bytes(600), "2.mat": bytes(600)}))
    with pytest.raises(TumorlensError, match="at most 1,000 bytes in all, got 1,200"):
        unpack(tmp_path / "a.zip", tmp_path / "data", limit=1000)
    assert not (tmp_path / "data").exists()


def test_an_entry_larger_than_it_declares_is_refused(tmp_path: Path) -> None:
    honest = zipped({"1.mat": bytes(5000)})
    lying = honest.replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    (tmp_path / "a.zip").write_bytes(lying)
    with pytest.raises(TumorlensError, match="expected a whole zip"):
        unpack(tmp_path / "a.zip", tmp_path / "data")
    assert names(tmp_path / "data") == set()


def test_an_entry_that_comes_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a.mat": b"1", "A.mat": b"2"}))
    with pytest.raises(TumorlensError, match="comes twice"):
        unpack(tmp_path / "a.zip", tmp_path / "data")


def test_a_file_that_is_no_zip_is_refused(site: Figshare, tmp_path: Path) -> None:
    site.files = {"a.zip": b"no zip at all"}
    assert "expected a whole zip" in refusal(site, tmp_path)


def test_folders_inside_an_archive_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"sub/": b"", "sub/1.mat": b"x"}))
    assert unpack(tmp_path / "a.zip", tmp_path / "data") == {"sub/1.mat": 1}


def test_the_progress_bar_names_the_files_on_standard_error(
    site: Figshare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download(tmp_path, site.api, retry_wait=0.001)
    shown = capsys.readouterr()
    assert "cvind.mat" in shown.err
    assert shown.out == ""


def test_nothing_is_printed_without_a_progress_bar(
    site: Figshare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(site, tmp_path)
    assert capsys.readouterr() == ("", "")
