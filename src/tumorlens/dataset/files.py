"""Which files of a folder belong to the dataset, and the author's folds."""

import re
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import TumorlensError

FOLDS_FILE = "cvind.mat"
CACHE_FOLDER = ".tumorlens-cache"


def slice_files(root: Path) -> list[Path]:
    """Every ``.mat`` slice below ``root``, in the order of the published numbers.

    Raises:
        TumorlensError: There is no such folder, or it holds no slice.
    """
    if not root.is_dir():
        raise TumorlensError(
            f"{root}: expected a folder with the dataset, found none; see 'tumorlens dataset download'"
        )
    found = [path for path in root.rglob("*.mat") if _is_slice(path)]
    if not found:
        raise TumorlensError(f"{root}: expected .mat slices, found none; see 'tumorlens dataset download'")
    return sorted(found, key=lambda path: _natural(path.relative_to(root).as_posix()))


def folds_file(root: Path) -> Path | None:
    """Where the author's folds are, or None."""
    return next(iter(sorted(root.rglob(FOLDS_FILE))), None)


def read_folds(path: Path) -> NDArray[np.int64]:
    """Read the author's five-fold partition.

    Returns:
        (3064,), the fold 1 to 5 of each published slice, slice n at position n - 1; 0 where unknown.

    Raises:
        TumorlensError: The file isn't MATLAB v7.3 or holds no ``cvind``.
    """
    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file["cvind"][()]).ravel().astype(np.int64)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise TumorlensError(
            f"{path.name}: expected MATLAB v7.3 with the variable cvind, but {error}; download it again"
        ) from error


def fold_of(path: Path, folds: NDArray[np.int64] | None) -> int | None:
    """The author's fold of a slice file such as ``17.mat``; None where the partition doesn't name it."""
    number = slice_number(path)
    if folds is None or number is None or not 1 <= number <= len(folds):
        return None
    return int(folds[number - 1]) or None


def slice_number(path: Path) -> int | None:
    """The published number that a file is named by, such as 17 for ``17.mat``; None for another name."""
    return int(path.stem) if re.fullmatch("[0-9]+", path.stem) else None


def _is_slice(path: Path) -> bool:
    """Leaves out the folds, the cache, and the ``._*`` companions that macOS adds to archives."""
    return path.name != FOLDS_FILE and not path.name.startswith("._") and CACHE_FOLDER not in path.parts


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
