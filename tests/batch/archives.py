"""Archives to analyse, and what came of them."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from tests.dicom_files import write_series
from tests.stand_ins import block
from tumorlens.batch.rows import TIMES, Row


def small_archive(folder: Path, slices: Sequence[Path]) -> Path:
    """Real slices in two folders, a picture, a study of three slices, a broken picture, a text."""
    for number, path in enumerate(slices):
        target = folder / "ab"[number % 2] / f"slice-{number}.mat"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    png(folder / "a" / "picture.png")
    study(folder / "Muster Erika")
    (folder / "b" / "broken.png").write_bytes(b"no picture")
    (folder / "b" / "notes.txt").write_text("not a scan")
    return folder


def png(path: Path, level: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((block((80, 120)) * level).astype(np.uint8)).save(path)
    return path


def study(folder: Path, slices: int = 3, **tags: object) -> list[Path]:
    volume = np.stack([block((64, 96)) * 700] * slices).astype(np.int16)
    return write_series(folder, volume, **tags)


def many(folder: Path, count: int, slices: Sequence[Path]) -> Path:
    """As many inputs as asked: links to a few."""
    for number in range(count):
        source = slices[number % len(slices)]
        target = folder / f"{number // 100:03d}" / f"scan-{number:05d}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    return folder


def rows_of(out: Path) -> list[Row]:
    return sorted(pq.read_table(out / "rows").to_pylist(), key=lambda row: (row["source"], row["scan"]))


def told(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows without what differs from run to run, in the order of their sources."""
    kept = [{name: value for name, value in row.items() if name not in TIMES} for row in rows]
    return sorted(kept, key=lambda row: (row["source"], row["scan"], row["unit"]))


def leftovers(out: Path) -> list[Path]:
    """Files that nobody asked for, such as half-written ones."""
    return [each for each in out.rglob(".*") if each.name not in (".lock", ".staging", ".plan")]
