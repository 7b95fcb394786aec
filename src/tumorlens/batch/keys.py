"""Millions of keys in little memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tumorlens.batch.unit import KEY_BYTES

_TYPE = np.dtype(f"S{KEY_BYTES}")  # compares all 16 bytes: a key is never shorter


class KeySet:
    """A set of keys of 16 bytes that takes little more than these, asked about many at a time.

    It holds sorted arrays, each more than twice as long as the next, so that few have to be searched.
    """

    def __init__(self) -> None:
        self._sorted: list[NDArray[np.bytes_]] = []

    def __len__(self) -> int:
        return sum(map(len, self._sorted))

    def add(self, keys: Sequence[bytes]) -> None:
        """Add keys; those that it has already may be added again."""
        unknown = [key for key, known in zip(keys, self.has(keys), strict=True) if not known]
        fresh = np.unique(_array(unknown))
        while self._sorted and len(self._sorted[-1]) <= 2 * len(fresh):
            fresh = np.union1d(self._sorted.pop(), fresh)
        if len(fresh):
            self._sorted.append(fresh)

    def has(self, keys: Sequence[bytes]) -> list[bool]:
        """Of each key, whether it was added."""
        asked = _array(keys)
        found = np.zeros(len(asked), np.bool_)
        for part in self._sorted:
            at = np.minimum(np.searchsorted(part, asked), len(part) - 1)
            found |= part[at] == asked
        return [bool(each) for each in found]


def _array(keys: Sequence[bytes]) -> NDArray[np.bytes_]:
    return np.frombuffer(b"".join(keys), _TYPE)
