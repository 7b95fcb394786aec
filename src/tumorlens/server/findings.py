"""Findings held in memory, the least asked for let go first."""

import threading
from collections import OrderedDict
from functools import cached_property

import numpy as np

from tumorlens.finding import Finding, SliceMaps
from tumorlens.scan.origin import DicomOrigin
from tumorlens.server.levels import Levels, levels_of

_COMPARED = 2  # findings
_HEADER = 64 << 10  # bytes of a DICOM header in memory, about


class Held:
    """A finding, and what is worked out once for all its slices."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding

    @cached_property
    def levels(self) -> Levels:
        """How its values become numbers of 16 bits."""
        return levels_of(self.finding)

    @cached_property
    def size(self) -> int:
        """In bytes of memory, about."""
        finding = self.finding
        parts = (finding.scan.slices, finding.mask, finding.tumor_probability, finding.heatmap)
        origin = finding.scan.origin
        headers = len(origin.headers) if isinstance(origin, DicomOrigin) else 0
        return sum(_bytes(part) for part in parts) + headers * _HEADER


class Findings:
    """Findings by their analysis's id, as many as fit; safe to use from any thread.

    Args:
        most: In bytes, 0 for none. The two asked for last are held even where they are larger, since two
            scans can be compared side by side.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes held, about."""
        return self._size

    def get(self, id_: str) -> Held | None:
        """An analysis's finding, where it is held."""
        with self._lock:
            held = self._held.get(id_)
            if held is not None:
                self._held.move_to_end(id_)
            return held

    def put(self, id_: str, held: Held) -> None:
        """Hold a finding, and let others go for it."""
        if not self._most:
            return
        with self._lock:
            self._drop(id_)
            self._held[id_] = held
            self._size += held.size
            while self._size > self._most and len(self._held) > _COMPARED:
                self._drop(next(iter(self._held)))

    def drop(self, id_: str) -> None:
        """Let one go."""
        with self._lock:
            self._drop(id_)

    def _drop(self, id_: str) -> None:
        held = self._held.pop(id_, None)
        if held is not None:
            self._size -= held.size


def _bytes(part: object) -> int:
    if isinstance(part, np.ndarray):
        return part.nbytes
    if isinstance(part, SliceMaps):  # its coarse slices, and the one that it restored last
        slices, rows, columns = part.shape
        return slices * 192 * 192 * 4 + rows * columns * 4
    return 0
