"""Where jobs wait: slices, of which a worker takes several at once, and volumes, worked on one at a time."""

import math
import threading
import time
from collections import deque
from contextlib import AbstractContextManager, nullcontext

from tumorlens.parallel import beside_others
from tumorlens.server.job import Job

_TOGETHER = 4  # slices; what `Analyzer.analyze_batch` looks at in one go
_LONGEST_WAIT = 60
_MEMORY = 0.9  # of the mean seconds a job: how much the past counts


class FullError(Exception):
    """No further job can wait.

    Args:
        retry_after: Seconds after which it may go better.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class Lanes:
    """The jobs that wait, the oldest first; safe to use from any thread.

    Args:
        most: That wait at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._slices: deque[Job] = deque()
        self._volumes: deque[Job] = deque()
        self._volume: Job | None = None
        self._busy = 0  # workers with something to do
        self._closed = False
        self._seconds = 0.1  # between two jobs that are taken, while others wait
        self._taken = time.monotonic()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._slices) + len(self._volumes)

    def check(self) -> None:
        """Refuse further jobs while the lanes are full, or once they are closed.

        Raises:
            FullError: They are.
        """
        if len(self) >= self._most or self._closed:
            wait = math.ceil(len(self) * self._seconds)
            raise FullError(min(max(wait, 1), _LONGEST_WAIT))

    def add(self, job: Job, *, again: bool = False) -> None:
        """Let a job wait.

        Args:
            job: Which.
            again: Whether it waited before, and so has its place even where the lanes are full.

        Raises:
            FullError: Too many wait.
        """
        with self._changed:
            if not again or self._closed:
                self.check()
            (self._volumes if job.is_volume else self._slices).append(job)
            self._changed.notify()

    def take(self) -> list[Job]:
        """Wait for something to do: some slices or one volume; empty once closed."""
        with self._changed:
            while not self._closed:
                jobs = self._next()
                if jobs:
                    self._busy += 1
                    self._learn(len(jobs))
                    return jobs
                self._changed.wait()
            return []

    def share_of_cores(self) -> AbstractContextManager[None]:
        """In which the jobs just taken are worked on: with all cores while there is nothing else to do."""
        return beside_others() if self._busy > 1 or len(self) else nullcontext()

    def done(self, volume: Job | None) -> None:
        """Tell that the work on what was taken ended.

        Args:
            volume: The one that was taken; None for slices, even where one of them turned out to be a volume
                and is by now worked on as one.
        """
        with self._changed:
            self._busy -= 1
        if volume is not None:
            self.release(volume)

    def release(self, job: Job) -> None:
        """Let the next volume begin, where it waits for this one."""
        with self._changed:
            if self._volume is job:
                self._volume = None
                self._changed.notify_all()

    def discard(self, job: Job) -> None:
        """Take a job out that needn't be worked on any more."""
        with self._changed:
            for lane in (self._slices, self._volumes):
                if job in lane:
                    lane.remove(job)

    def close(self) -> list[Job]:
        """Let workers go home; gives what still waits."""
        with self._changed:
            self._closed = True
            waiting = [*self._slices, *self._volumes]
            self._slices.clear()
            self._volumes.clear()
            self._changed.notify_all()
            return waiting

    def _next(self) -> list[Job]:
        """The longest waiting of what may begin now."""
        volume = self._volumes[0] if self._volumes and self._volume is None else None
        if volume is not None and not (self._slices and self._slices[0].created < volume.created):
            self._volume = self._volumes.popleft()
            return [volume]
        return [self._slices.popleft() for _ in range(min(_TOGETHER, len(self._slices)))]

    def _learn(self, taken: int) -> None:
        """Measure how fast jobs are taken."""
        now = time.monotonic()
        since, self._taken = (now - self._taken) / taken, now
        if len(self):
            self._seconds = _MEMORY * self._seconds + (1 - _MEMORY) * since
