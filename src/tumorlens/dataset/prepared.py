"""The dataset at a model's input size, memory-mapped beside the cache, so that an epoch resizes nothing."""

import hashlib
import inspect
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tumorlens import preprocess
from tumorlens.dataset.cache import TumorDataset


@dataclass(frozen=True)
class PreparedSlices:
    """Every slice of a dataset as the models see it.

    Attributes:
        images: (slices, size, size) in [0, 1], by `preprocess.prepare_image`.
        masks: (slices, size, size), True on the tumor, by `preprocess.prepare_mask`.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.bool_]


def prepare_dataset(dataset: TumorDataset, size: int) -> PreparedSlices:
    """Preprocess every slice once and keep the result in the dataset's cache.

    The folder's name holds a hash of the preprocessing code: changed code never meets old slices.

    Raises:
        OSError: The cache can't be written.
    """
    code = hashlib.sha256(inspect.getsource(preprocess).encode()).hexdigest()[:12]
    folder = dataset.folder / f"prepared-{size}-{code}"
    if not folder.is_dir():
        _build(dataset, size, folder)
    return PreparedSlices(
        np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "masks.npy", mmap_mode="r")
    )


def _build(dataset: TumorDataset, size: int, folder: Path) -> None:
    building = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.partial")
    building.mkdir()
    try:
        with (building / "images.npy").open("wb") as images, (building / "masks.npy").open("wb") as masks:
            # Written, not mapped: on a full disk a write fails, where a mapped page kills the process.
            _begin(images, np.dtype(np.float32), (len(dataset), size, size))
            _begin(masks, np.dtype(np.bool_), (len(dataset), size, size))
            for position in range(len(dataset)):
                images.write(preprocess.prepare_image(dataset.image(position), size).tobytes())
                masks.write(preprocess.prepare_mask(dataset.mask(position), size).tobytes())
        _put_in_place(building, folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _begin(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    description = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _put_in_place(building: Path, folder: Path) -> None:
    """Name the finished folder; where another process was quicker, keep that one's."""
    try:
        building.replace(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(building)
