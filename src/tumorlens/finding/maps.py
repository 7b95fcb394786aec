"""Maps as fine as a scan's slices, kept as coarse as the models made them."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.preprocess import restore_map

_OVERSHOOT = 2.0  # interpolated values are larger than those between which they lie by less than this factor


class PackedMap:
    """A map of probabilities, to the nearest 255th, without what lies around all that isn't 0.

    A tenth of the memory at most, which counts where a thousand slices have one each. ``np.asarray`` unpacks.

    Args:
        values: (size, size) in [0, 1].
    """

    def __init__(self, values: NDArray[np.float32]) -> None:
        levels = (values * 255).round().astype(np.uint8)
        rows, columns = np.flatnonzero(levels.any(1)), np.flatnonzero(levels.any(0))
        self._shape = values.shape
        self._place = (slice(0, 0), slice(0, 0))
        if len(rows):
            self._place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        self._levels = levels[self._place].copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("expected copy=None or True, got False; unpacking makes a new array")
        values = np.zeros(self._shape, np.float32)
        values[self._place] = self._levels / np.float32(255)
        return np.asarray(values, dtype=dtype)


class SliceMaps:
    """What a model said of every pixel of every slice, restored to a slice's own pixels when asked for.

    Indexed like an array by the slice alone (``maps[3]``), iterated slice by slice, or turned into an array
    of all slices by ``np.asarray(maps)``. A thousand slices of 512 x 512 would take a gigabyte as an array.

    Args:
        coarse: Of each slice, (size, size) in the geometry of `tumorlens.preprocess.prepare_image`.
        shape: (rows, columns) of the scan's slices.
        peaks_between: See `tumorlens.preprocess.restore_map`.
        to_strongest: Whether to divide by the largest value of all slices and cut off below 0.
    """

    def __init__(
        self,
        coarse: Sequence[NDArray[np.floating] | PackedMap],
        shape: tuple[int, int],
        *,
        peaks_between: bool = False,
        to_strongest: bool = False,
    ) -> None:
        self._coarse = coarse
        self._peaks_between = peaks_between
        self._last: tuple[int, NDArray[np.float32]] | None = None
        self._to_strongest = to_strongest
        self.shape = (len(coarse), *shape)

    def __len__(self) -> int:
        return len(self._coarse)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        values = self._restored(range(len(self))[index])
        if not self._to_strongest:
            return values
        if self._strongest <= np.finfo(np.float32).tiny:
            return np.zeros_like(values)
        return np.asarray(np.clip(values / np.float32(self._strongest), 0, 1))

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("expected copy=None or True, got False; the slices make a new array")
        return np.asarray(np.stack(list(self)), dtype=dtype)

    @cached_property
    def _strongest(self) -> float:
        """The largest value of any slice's pixels; slices that can't have it aren't restored."""
        reach = np.array([np.abs(np.asarray(each)).max() * _OVERSHOOT for each in self._coarse])
        strongest = -np.inf
        for index in np.argsort(-reach).tolist():
            if reach[index] < strongest:
                break
            strongest = max(strongest, float(self._restored(index).max()))
        return strongest

    def _restored(self, index: int) -> NDArray[np.float32]:
        """A slice; the last one is kept, since a single slice's is asked for again and again."""
        last = self._last
        if last is None or last[0] != index:
            coarse = np.asarray(self._coarse[index], np.float32)
            values = restore_map(coarse, self.shape[1:], peaks_between=self._peaks_between)
            last = (index, values)
            self._last = last
        return last[1]
