"""The dataset decoded once, then memory-mapped: an epoch reads no HDF5.

The cache is a folder with ``images.raw`` (each slice's pixels as stored, at a multiple of 8 bytes),
``masks.raw`` (one bit a pixel, each slice at a whole byte) and ``index.json``, which records size and
modification time of every file it came from. When a file was added, removed or changed since, the cache is
stale and made again.
"""

import json
import secrets
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.dataset.files import CACHE_FOLDER, fold_of, folds_file, read_folds, slice_files
from tumorlens.dataset.record import SliceRecord, read_record
from tumorlens.errors import TumorlensError
from tumorlens.scan.matlab import pixel_spacing
from tumorlens.tumor_type import TumorType

_FORMAT = 1
_IMAGES = "images.raw"
_MASKS = "masks.raw"
_INDEX = "index.json"
_SHOWN_PROBLEMS = 5
Progress = Callable[[Iterable[Path]], Iterable[Path]]


@dataclass(frozen=True)
class SliceEntry:
    """What is known of a slice without its pixels.

    Attributes:
        file: Path below the dataset's folder, with forward slashes.
        label: The tumor type.
        patient: The PID.
        fold: The author's fold, 1 to 5, or None.
        rows: Height in pixels.
        columns: Width in pixels.
        dtype: The stored pixels' type, as numpy writes it (``<i2``).
    """

    file: str
    label: TumorType
    patient: str
    fold: int | None
    rows: int
    columns: int
    dtype: str

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) in pixels."""
        return self.rows, self.columns

    @property
    def spacing(self) -> float:
        """Distance between pixel centers in mm."""
        return pixel_spacing(self.shape)

    @property
    def image_bytes(self) -> int:
        """Room that the pixels take in the cache, a multiple of 8."""
        return -(-self.rows * self.columns * np.dtype(self.dtype).itemsize // 8) * 8

    @property
    def mask_bytes(self) -> int:
        """Room that the mask takes in the cache."""
        return -(-self.rows * self.columns // 8)


class TumorDataset:
    """All slices of a dataset, memory-mapped; make one with `open_dataset`."""

    def __init__(self, root: Path, entries: list[SliceEntry], folder: Path) -> None:
        self.root = root
        self.entries = entries
        self.folder = folder
        self._image_starts = np.cumsum([0, *(entry.image_bytes for entry in entries)])
        self._mask_starts = np.cumsum([0, *(entry.mask_bytes for entry in entries)])
        self._position = {entry.file: position for position, entry in enumerate(entries)}

    def __len__(self) -> int:
        return len(self.entries)

    def image(self, position: int) -> NDArray[np.generic]:
        """The stored pixels of a slice, (rows, columns), mapped for as long as the array lives."""
        entry = self.entries[position]
        start = int(self._image_starts[position])
        return np.memmap(self.folder / _IMAGES, entry.dtype, "r", offset=start, shape=entry.shape)

    def mask(self, position: int) -> NDArray[np.bool_]:
        """The expert's outline of a slice, (rows, columns), True on the tumor."""
        entry = self.entries[position]
        start = int(self._mask_starts[position])
        bits = np.memmap(self.folder / _MASKS, np.uint8, "r", offset=start, shape=(entry.mask_bytes,))
        return np.unpackbits(bits, count=entry.rows * entry.columns).reshape(entry.shape).astype(np.bool_)

    def position(self, file: str) -> int:
        """The position of a slice by its file name.

        Raises:
            TumorlensError: The dataset holds no such file.
        """
        if file not in self._position:
            raise TumorlensError(
                f"{self.root}: expected the slice {file}, found none; is this the dataset of the run?"
            )
        return self._position[file]


def open_dataset(root: Path, cache: Path | None = None, progress: Progress = iter) -> TumorDataset:
    """Open a dataset, decoding it first where its cache is missing or stale.

    Args:
        root: The folder with the ``.mat`` files.
        cache: Where the decoded copy lies; inside ``root`` if None.
        progress: Wraps the files while they are decoded, to show how far it is.

    Raises:
        TumorlensError: The folder is missing or empty, or holds a file that isn't a complete record; every
            such file is named, up to the first few. Or the cache can't be written, or ``cache`` is a folder
            with other things in it, which is left alone.
    """
    files = slice_files(root)
    folder = cache or root / CACHE_FOLDER
    made_from = _made_from(root, files)
    entries = _read_index(folder, made_from)
    if entries is None:
        entries = _build(root, files, folder, made_from, progress)
    return TumorDataset(root, entries, folder)


def _made_from(root: Path, files: list[Path]) -> list[list[object]]:
    """What the cache depends on: name, size and modification time of every file."""
    partition = folds_file(root)
    stats = [(path, path.stat()) for path in [*files, *([partition] if partition else [])]]
    return [[path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def _read_index(folder: Path, made_from: list[list[object]]) -> list[SliceEntry] | None:
    """The slices that an intact and up-to-date cache holds; None if it is anything else."""
    try:
        index = json.loads((folder / _INDEX).read_text())
        if index["format"] != _FORMAT or index["made_from"] != made_from:
            return None
        entries = [SliceEntry(**{**row, "label": TumorType(row["label"])}) for row in index["slices"]]
        sizes = [(folder / name).stat().st_size for name in (_IMAGES, _MASKS)]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    expected = [sum(entry.image_bytes for entry in entries), sum(entry.mask_bytes for entry in entries)]
    return entries if sizes == expected else None


def _build(
    root: Path, files: list[Path], folder: Path, made_from: list[list[object]], progress: Progress
) -> list[SliceEntry]:
    """Decode every file into a new folder, then put it in the old one's place."""
    _require_own(folder)
    partition = folds_file(root)
    folds = read_folds(partition) if partition else None
    building = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        building.mkdir(parents=True)
        entries = _decode(root, files, folds, building, progress)
        index = {"format": _FORMAT, "made_from": made_from, "slices": [asdict(entry) for entry in entries]}
        (building / _INDEX).write_text(json.dumps(index))
        _put_in_place(building, folder, made_from)
    except BaseException as error:
        shutil.rmtree(building, ignore_errors=True)
        if isinstance(error, OSError):
            raise TumorlensError(
                f"{folder}: can't write the decoded copy of the dataset: {error.strerror}; "
                "make room or choose another folder for the cache"
            ) from error
        raise
    return entries


def _require_own(folder: Path) -> None:
    """Refuse to replace a folder that isn't a cache: it would be lost."""
    if not folder.exists():
        return
    if not folder.is_dir() or not all(_is_own(path.name) for path in folder.iterdir()):
        raise TumorlensError(
            f"{folder}: expected a new or empty folder for the cache, got other things in it; choose another"
        )


def _is_own(name: str) -> bool:
    """Whether a cache holds something of that name; `prepare_dataset` adds folders of its own."""
    return name in (_IMAGES, _MASKS, _INDEX) or name.startswith("prepared-")


def _put_in_place(building: Path, folder: Path, made_from: list[list[object]]) -> None:
    """Swap the finished cache in; where another process was quicker with the same one, keep that."""
    if folder.exists():
        shutil.rmtree(folder)
    try:
        building.replace(folder)
    except OSError:
        if _read_index(folder, made_from) is None:
            raise
        shutil.rmtree(building)


def _decode(
    root: Path, files: list[Path], folds: NDArray[np.int64] | None, folder: Path, progress: Progress
) -> list[SliceEntry]:
    entries: list[SliceEntry] = []
    problems: list[str] = []
    with (folder / _IMAGES).open("wb") as images, (folder / _MASKS).open("wb") as masks:
        for path in progress(files):
            try:
                record = read_record(path)
            except TumorlensError as error:
                problems.append(str(error))
                continue
            entry = _entry(path.relative_to(root).as_posix(), record, fold_of(path, folds))
            images.write(record.image.tobytes().ljust(entry.image_bytes, b"\0"))
            masks.write(np.packbits(record.mask).tobytes())
            entries.append(entry)
    if problems:
        raise TumorlensError(_complaint(problems, len(files)))
    return entries


def _entry(file: str, record: SliceRecord, fold: int | None) -> SliceEntry:
    rows, columns = record.image.shape
    return SliceEntry(file, record.label, record.patient, fold, rows, columns, record.image.dtype.str)


def _complaint(problems: list[str], files: int) -> str:
    shown = "; ".join(problems[:_SHOWN_PROBLEMS])
    more = f"; and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
    return (
        f"{len(problems)} of {files} slices can't be used: {shown}{more}. "
        "Mend or move them away ('tumorlens dataset verify' lists all)"
    )
