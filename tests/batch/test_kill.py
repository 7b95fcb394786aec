"""A kill at any moment costs no row and doubles none."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.batch.archives import leftovers, many, png, rows_of, told


def command(archive: Path, out: Path) -> list[str]:
    asked = ["--write", "overlay,json", "--chunk", "4"]
    return [sys.executable, "-m", "tumorlens", "batch", str(archive), "--out", str(out), *asked]


def test_kills_at_random_moments_leave_each_row_once(tmp_path: Path) -> None:
    slices = [png(tmp_path / f"{level}.png", level) for level in (150, 200, 250)]
    archive, out = many(tmp_path / "archive", 80, slices), tmp_path / "out"
    chance = random.Random(6)  # noqa: S311 - not a secret
    kills = 0
    while kills < 3:
        process = subprocess.Popen(
            command(archive, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.7, 1.4))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        assert_whole(out)
        if process.returncode != -signal.SIGKILL:
            break
    done = subprocess.run(command(archive, out), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert kills
    units = [row["unit"] for row in rows_of(out)]
    assert len(units) == len(set(units)) == 80
    assert_whole(out)
    assert not leftovers(out)
    assert not (out / ".staging").exists()
    subprocess.run(command(archive, tmp_path / "whole"), check=True, capture_output=True, timeout=60)
    assert told(rows_of(out)) == told(rows_of(tmp_path / "whole"))


def assert_whole(out: Path) -> None:
    """Every file that can be seen is whole."""
    for path in (out / "files").rglob("[!.]*.png") if (out / "files").exists() else ():
        with Image.open(path) as picture:
            picture.load()
    if (out / "rows").exists() and any((out / "rows").glob("part-*")):
        written = {file for row in rows_of(out) for file in row["files"]}
        assert all((out / file).stat().st_size for file in written)


def _hear_ctrl_c() -> None:
    """A shell that starts the tests in the background has them ignore it, and they hand that down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("request_", "code", "engine", "count"),
    [
        (signal.SIGINT, 130, "local", 400),
        (signal.SIGTERM, 143, "local", 400),
        (signal.SIGTERM, 143, "ray", 3000),
    ],
)
def test_a_request_to_end_stops_and_says_how_to_go_on(
    request_: signal.Signals, code: int, engine: str, count: int, tmp_path: Path
) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    archive = many(tmp_path / "archive", count, [png(tmp_path / "one.png")])
    process = subprocess.Popen(
        [*command(archive, tmp_path / "out"), "--engine", engine],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_ctrl_c,
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("rows/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(request_)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "give the same command again to go on" in err
    assert "Traceback" not in err
    assert "received at" not in err, "Ray's own words, with a stack's addresses"
    assert 0 < len(rows_of(tmp_path / "out")) < count
    assert not os.listdir(tmp_path / "out" / ".staging")  # noqa: PTH208
