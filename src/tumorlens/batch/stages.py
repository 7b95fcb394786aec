"""How long each stage of a batch took."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping

STAGES = ("list", "fetch", "read", "analyse", "write")
"""In the order in which an input goes through them."""


class Stages:
    """Seconds by stage, summed over all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what was measured elsewhere."""
        with self._lock:
            for name, value in seconds.items():
                self._seconds[name] += value

    @property
    def seconds(self) -> dict[str, float]:
        """Up to now."""
        with self._lock:
            return dict(self._seconds)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[list[float]]:
        """Measure a stage; the list that is handed out holds its seconds afterwards."""
        seconds: list[float] = []
        begin = time.perf_counter()
        try:
            yield seconds
        finally:
            seconds.append(time.perf_counter() - begin)
            self.add({name: seconds[0]})
