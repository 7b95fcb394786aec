"""Archives of real slices, for `scale.measure`."""

from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.uid import generate_uid
from real_slices import write_slice

from tumorlens import read_scan
from tumorlens.preprocess import to_unit_range

SERIES = 24
"""Slices of a series of DICOM."""
FORMS = ("mat", "png", "dicom")


def make_archives(sources: Path, folder: Path, count: int) -> int:
    """Make an archive of each form, each with the same slices; in ``folder`` they are called after the form.

    Args:
        sources: A folder with .mat files of the public dataset.
        folder: Gets the archives.
        count: Slices, a multiple of `SERIES`; where there are fewer files they are taken again.

    Returns:
        How many different slices there are.
    """
    found = sorted(sources.glob("[0-9]*.mat"), key=lambda path: int(path.stem))
    chosen = found[:: max(1, len(found) // count)][:count]
    for form in FORMS:
        (folder / form).mkdir()
    for number in range(count):
        path = chosen[number % len(chosen)]
        (folder / "mat" / f"scan-{number:06d}.mat").write_bytes(path.read_bytes())
        pixels = read_scan(path).pixels[0]
        gray = np.round(255 * to_unit_range(pixels)).astype(np.uint8)
        Image.fromarray(gray).save(folder / "png" / f"scan-{number:06d}.png")
        series, index = divmod(number, SERIES)
        study = folder / "dicom" / f"study-{series:04d}"
        study.mkdir(exist_ok=True)
        if not index:
            uids = (generate_uid(), generate_uid())
        write_slice(study / f"{index:05d}.dcm", pixels.astype(np.int16), index, uids)
    return len(chosen)


def part_of(archive: Path, folder: Path, count: int) -> Path:
    """An archive of the first so many files or folders of another one, without copies of them."""
    folder.mkdir()
    for child in sorted(archive.iterdir())[:count]:
        for file in sorted(child.iterdir()) if child.is_dir() else [child]:
            target = folder / file.relative_to(archive)
            target.parent.mkdir(exist_ok=True)
            target.hardlink_to(file)
    return folder
