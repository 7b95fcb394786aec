"""A run of many workers, event by event: what the formulas of `scale.formulas` leave out shows here.

Needs simpy (`pip install simpy`). Workers take tasks from one queue, hold what all share one after another,
wait for files, work, fail and start again; a task whose worker fails goes back with the chunks that it had
not finished.
"""

import math
import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from scale.formulas import Case

Steps = Generator[simpy.Event, Any, None]

_PIECES = 8  # of a task of many chunks: it doesn't fetch all before it works


@dataclass(frozen=True)
class Outcome:
    """What happened.

    Attributes:
        seconds: From the command to the last row.
        lost: Workers that failed.
        repeated: Seconds of work that were done for nothing, as a share of the work that counts.
        busy: Share of the cores' time that was work which counts.
    """

    seconds: float
    lost: int
    repeated: float
    busy: float


def simulate(case: Case, seed: int = 0) -> Outcome:
    """Run a case once."""
    return _Run(case, seed).go()


@dataclass(frozen=True)
class _Task:
    """A task, or what is left of one.

    Attributes:
        left: Share that is to be done, 1 at first.
        pace: How much longer than the mean it takes.
    """

    left: float
    pace: float


class _Run:
    def __init__(self, case: Case, seed: int) -> None:
        self._case = case
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._world = simpy.Environment()
        self._queue = simpy.Store(self._world)
        self._shared = {name: simpy.Resource(self._world) for name in case.holds}
        self._cores = simpy.Resource(self._world, case.cores)
        self._left = case.tasks
        self._done = self._world.event()
        self._lost = 0
        self._repeated = self._useful = 0.0

    def go(self) -> Outcome:
        case = self._case
        self._world.process(self._list())
        for _ in range(case.workers):
            self._world.process(self._worker())
        self._world.run(until=self._done)
        seconds, useful = float(self._world.now), self._useful
        return Outcome(seconds, self._lost, self._repeated / useful, useful / (seconds * case.cores))

    def _list(self) -> Steps:
        """The coordinator fills the queue, when all is listed or while it lists."""
        case = self._case
        if case.lists_first:
            yield self._world.timeout(case.listing)
        for _ in range(case.tasks):
            if not case.lists_first:
                yield self._world.timeout(case.listing / case.tasks)
            self._queue.put(_Task(1.0, self._drawn()))

    def _drawn(self) -> float:
        """How much longer than the mean a task takes."""
        case, draw = self._case, self._random
        pace = max(0.1, draw.gauss(1, case.spread)) if case.spread else 1.0
        return pace * (case.slow_factor if draw.random() < case.slow_share else 1.0)

    def _worker(self) -> Steps:
        case = self._case
        yield self._world.timeout(case.start + case.listing * case.lists_first)
        while True:
            task = yield self._queue.get()
            done = yield from self._do(task)
            if done < 1:
                self._queue.put(_Task(task.left * (1 - done), task.pace))
                yield self._world.timeout(case.down)
                continue
            self._left -= 1
            if not self._left:
                self._done.succeed()

    def _do(self, task: _Task) -> Generator[simpy.Event, Any, float]:
        """Do a task, piece by piece; gives the share that is done, less than 1 where the worker failed."""
        case, chunks = self._case, max(1.0, self._case.chunks * task.left)
        pieces = min(_PIECES, int(chunks))
        work, wait = (seconds * task.left * task.pace for seconds in (case.work, case.wait))
        lives = self._random.expovariate(case.failures) if case.failures else math.inf
        share = min(1.0, lives / (work + wait))  # of the task that the worker lives to do
        for piece in range(pieces):
            part = min(share - piece / pieces, 1 / pieces)
            if part > 0:
                yield from self._take_turns(task.left * part)
                yield self._world.timeout(wait * part)
                yield from self._work(work * part)
        done = 1.0 if share == 1 else math.floor(share * chunks) / chunks
        self._useful += work * done
        self._repeated += work * (share - done)
        self._lost += share < 1
        return done

    def _take_turns(self, share: float) -> Steps:
        """Hold what all share, one after another, for a share of a task."""
        for name, held in self._case.holds.items():
            with self._shared[name].request() as turn:
                yield turn
                yield self._world.timeout(held * share)

    def _work(self, seconds: float) -> Steps:
        """Work, on a core that other threads may want."""
        if self._case.threads == 1:
            yield self._world.timeout(seconds)
            return
        with self._cores.request() as core:
            yield core
            yield self._world.timeout(seconds)
