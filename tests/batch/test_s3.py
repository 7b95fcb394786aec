"""Scans in an object store and results in one, through a real server of S3 on this machine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.batch.archives import rows_of, told
from tumorlens.batch import BatchOptions, run_batch
from tumorlens.batch.destination import Destination
from tumorlens.batch.remote import StorageError
from tumorlens.errors import TumorlensError
from tumorlens.finding.write import Format

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server with nothing in it."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its file system, with an empty bucket ``archive``."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    system = fsspec.filesystem("s3", use_listings_cache=False)
    for bucket in ("archive", "results"):
        if system.exists(bucket):
            system.rm(bucket, recursive=True)
        system.mkdir(bucket)
    yield system
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_bucket_has_the_rows_of_its_folder(s3: Any, archive: Path, tmp_path: Path) -> None:
    s3.put(f"{archive}/", "archive/scans/", recursive=True)
    options = BatchOptions(formats=(Format.JSON,), chunk=4)
    assert run_batch("s3://archive/scans", "s3://results/run", options).scans == 9
    run_batch(str(archive), str(tmp_path / "out"), options)
    table = pq.read_table("results/run/rows", filesystem=s3).to_pylist()
    without_keys = lambda rows: [{**row, "unit": ""} for row in told(rows)]  # noqa: E731
    assert without_keys(table) == without_keys(rows_of(tmp_path / "out"))
    written = {file for row in table for file in row["files"]}
    assert {f"results/run/{file}" for file in written} == set(s3.find("results/run/files"))
    assert written
    assert run_batch("s3://archive/scans/", "s3://results/run", options).before == 9, (
        "it goes on there as well"
    )
    again = replace(options, retry_failed=True)
    assert run_batch("s3://archive/scans/", "s3://results/run", again).scans == 1
    assert without_keys(pq.read_table("results/run/rows", filesystem=s3).to_pylist()) == without_keys(table)


def test_results_in_the_scans_own_folder_are_no_scans(s3: Any, archive: Path) -> None:
    s3.put(str(archive / "a" / "picture.png"), "archive/in/a/picture.png")
    options = BatchOptions(formats=(Format.OVERLAY,))
    for _ in range(2):
        summary = run_batch("s3://archive/in", "s3://archive/in/a/out", options)
    assert (summary.scans, summary.before) == (0, 1)
    with pytest.raises(TumorlensError, match="a folder of its own for the results"):
        run_batch("s3://archive/in/", "s3://archive/in", options)


def test_lists_and_zips_in_a_bucket_are_sources(s3: Any, archive: Path, tmp_path: Path) -> None:
    import shutil

    s3.put_file(str(archive / "a" / "slice-0.mat"), "archive/one.mat")
    lines = "s3://archive/one.mat\ns3://archive/gone.mat\ns3://archive/one.mat\n"
    s3.pipe_file("archive/list.txt", lines.encode())
    run_batch("s3://archive/list.txt", str(tmp_path / "list"))
    rows = rows_of(tmp_path / "list")
    assert [(row["source"], row["status"]) for row in rows] == [
        ("s3://archive/gone.mat", "failed"),
        ("s3://archive/one.mat", "ok"),
    ]
    assert rows[0]["error"] == "s3://archive/gone.mat: can't be read: it is gone"
    s3.put_file(shutil.make_archive(str(tmp_path / "a"), "zip", archive / "a"), "archive/a.zip")
    assert run_batch("s3://archive/a.zip", str(tmp_path / "zip")).scans == 4


def test_an_object_that_changed_has_another_key(s3: Any) -> None:
    from tumorlens.batch.archive import open_archive

    keys = []
    for content in (b"one", b"two"):
        s3.pipe_file("archive/deep/one.png", content)
        keys += [unit.key for unit in open_archive("s3://archive").units(None)]
    assert len(set(keys)) == 2


def test_a_bucket_that_is_not_there_is_refused(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match="s3://archive/nothing: expected a folder with scans"):
        run_batch("s3://archive/nothing", str(tmp_path / "out"))


def test_a_store_that_does_not_answer_ends_the_run_and_makes_no_rows(
    s3: Any, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put(f"{archive}/a/", "archive/a/", recursive=True)
    monkeypatch.setattr("tumorlens.batch.remote._PAUSES", (0.0,))
    monkeypatch.setattr("s3fs.S3FileSystem._get_file", _away)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(StorageError, match=r"doesn't answer \(away\); run this again later"):
        run_batch("s3://archive/a", str(tmp_path / "out"))
    assert not Destination(str(tmp_path / "out")).parts()
    monkeypatch.undo()


async def _away(*_: object, **__: object) -> None:
    raise ConnectionError("away")
