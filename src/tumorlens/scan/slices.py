"""The slices of a stack, decoded when they are asked for."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.parallel import in_order


class StackSlices:
    """The slices of a stack, which stay in their files until they are asked for.

    Indexed like an array by the slice alone (``slices[3]``), iterated slice by slice, or turned into an array
    of all slices by ``np.asarray(slices)``. A thousand slices of 512 x 512 would take half a gigabyte as an
    array. The files have to stay where they are for as long.

    Args:
        decode: Gives a slice (rows, columns) by its index from 0; raises `TumorlensError` where it can't be
            decoded. Safe to call from any thread.
        shape: (slices, rows, columns).
    """

    def __init__(self, decode: Callable[[int], NDArray[np.generic]], shape: tuple[int, int, int]) -> None:
        self._decode = decode
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> NDArray[np.generic]:
        return self._decode(range(len(self))[index])

    def __iter__(self) -> Iterator[NDArray[np.generic]]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("expected copy=None or True, got False; the slices make a new array")
        pixels: NDArray[np.generic] | None = None
        for index, values in enumerate(in_order(self._decode, range(len(self)))):
            kind = values.dtype if pixels is None else np.result_type(pixels.dtype, values.dtype)
            if pixels is None:
                pixels = np.empty(self.shape, kind.newbyteorder("="))
            elif kind != pixels.dtype:  # rare: only some of the slices have to be rescaled
                pixels = pixels.astype(kind)
            pixels[index] = values
        return np.asarray(pixels, dtype=dtype)
