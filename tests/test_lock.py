"""A folder has one run at a time, as far as its disk can tell."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tumorlens import lock
from tumorlens.errors import TumorlensError
from tumorlens.lock import alone_in

HOLDER = """
import sys, pathlib
from tumorlens.lock import alone_in
with alone_in(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone_or_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TumorlensError, match="expected one run at a time"), alone_in(folder):
            pass
        holder.kill()
        holder.wait()
    with alone_in(folder), pytest.raises(TumorlensError), alone_in(folder):
        pass
    with alone_in(folder):
        pass


def test_a_disk_without_locks_is_no_reason_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", unknown)
    with alone_in(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no such children")
def test_a_child_that_lives_on_holds_nothing(tmp_path: Path) -> None:
    """As a worker that loads slices does for some seconds after its training was killed."""
    begun, tell = os.pipe()
    child = 0
    try:
        with alone_in(tmp_path):
            child = os.fork()
            if child == 0:
                os.write(tell, b".")
                signal.pause()
            os.read(begun, 1)
            (held,) = (file for file in lock._held if Path(file.name).parent == tmp_path)
            held.close()  # as a kill does; nothing is unlocked
            with alone_in(tmp_path):
                pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("number", [errno.EIO, errno.EAGAIN, errno.EACCES])
def test_any_other_failure_is_a_reason(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: int) -> None:
        raise OSError(number, "failed")

    monkeypatch.setattr(lock, "_lock", failing)
    with pytest.raises(TumorlensError, match="one run at a time"), alone_in(tmp_path):
        pass
