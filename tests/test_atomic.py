"""Files appear whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tumorlens.atomic import replacing, write_bytes, write_text


def test_a_written_file_holds_what_was_given(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "note.txt", "naïve\n")
    assert (tmp_path / "new" / "note.txt").read_bytes() == "naïve\n".encode()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("result.json", "old")]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="permissions as on POSIX")
def test_a_written_file_is_readable_as_the_umask_allows(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        write_bytes(tmp_path / "shared", b"x")
    finally:
        os.umask(previous)
    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix", reason="limits as on POSIX")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.bin"
    path.write_bytes(b"old")
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from tumorlens.atomic import write_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    write_bytes(Path(sys.argv[1]), bytes(100_000))\n"
        "except OSError:\n"
        "    sys.exit(7)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=60)
    assert ended.returncode == 7
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("result.bin", b"old")]


def test_what_goes_wrong_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder") as raised:
        write_bytes(tmp_path / "folder", b"x")
    assert raised.value.filename == str(tmp_path / "folder")
    assert "partial" not in str(raised.value)
