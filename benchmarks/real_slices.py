"""Real slices for benchmarks: some of the dataset's files, evenly among them, and the same as PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens import read_scan
from tumorlens.preprocess import to_unit_range


def some_slices(data: Path, count: int) -> list[Path]:
    """At most so many of a folder's ``.mat`` slices."""
    candidates = sorted(path for path in data.glob("*.mat") if path.stem.isdigit())
    chosen = np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round().astype(int)
    return [candidates[index] for index in chosen]


def as_pngs(files: Sequence[Path], folder: Path) -> list[Path]:
    """The same slices as PNG files of 8 bits in a folder."""
    copies = []
    for file in files:
        copies.append(folder / f"{file.stem}.png")
        pixels = to_unit_range(read_scan(file).pixels[0])
        Image.fromarray((pixels * 255).astype(np.uint8)).save(copies[-1])
    return copies
