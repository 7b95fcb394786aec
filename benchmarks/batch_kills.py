"""`tumorlens batch` killed (SIGKILL) at random moments: is each row there once, and each file whole?

    python benchmarks/batch_kills.py [--kills 20] [--scans 600] [--engine local]

Real slices of tests/data under other names. After each kill every file that can be seen is read; after the
last one the run is let to its end and compared with one that nobody disturbed.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from batch_scaling import links
from PIL import Image

_LATEST = {"processes": 8.0, "ray": 12.0}  # seconds until a kill; both take a while to begin
TIMES = ("fetch_seconds", "read_seconds", "analyse_seconds", "write_seconds")


def command(archive: Path, out: Path, engine: str) -> list[str]:
    """The run."""
    asked = ["--write", "overlay,json", "--chunk", "8", "--engine", engine]
    return [sys.executable, "-m", "tumorlens", "batch", str(archive), "--out", str(out), *asked]


def rows(out: Path) -> list[dict[str, object]]:
    """All rows, without times."""
    if not any((out / "rows").glob("part-*.parquet")):
        return []
    table = pq.read_table(out / "rows").drop_columns(TIMES).to_pylist()
    return sorted(table, key=lambda row: str(row["source"]))


def check(out: Path) -> int:
    """Read all that there is; how many rows."""
    found = rows(out)
    units = [row["unit"] for row in found]
    assert len(units) == len(set(units)), "a row is double"
    for path in (out / "files").rglob("[!.]*.*"):
        if path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        else:
            json.loads(path.read_text())
    for row in found:
        assert isinstance(row["files"], list)
        assert all((out / file).exists() for file in row["files"]), "a file is missing"
    return len(found)


def main() -> None:
    """Kill, check and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--scans", type=int, default=600)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311 - not a secret
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory() as folder:
        archive, out, whole = (Path(folder, name) for name in ("archive", "out", "whole"))
        links(archive, arguments.scans)
        killed = 0
        while killed < arguments.kills:
            process = subprocess.Popen(command(archive, out, arguments.engine), **quiet)  # noqa: S603
            time.sleep(chance.uniform(0.3, _LATEST.get(arguments.engine, 2.5)))
            process.kill()
            if process.wait() != -signal.SIGKILL:
                sys.exit(f"the run ended after {killed} kills; give more --scans")
            killed += 1
            print(f"kill {killed}: {check(out)} rows, all once, all files whole", flush=True)
        subprocess.run(command(archive, out, arguments.engine), check=True, **quiet)  # noqa: S603
        assert check(out) == arguments.scans
        assert not list(out.rglob("*.partial"))
        subprocess.run(command(archive, whole, "local"), check=True, **quiet)  # noqa: S603
        assert rows(out) == rows(whole)
        print(f"{arguments.scans} rows after {killed} kills, the same as of an undisturbed run")


if __name__ == "__main__":
    main()
