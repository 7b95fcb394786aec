"""The formulas against the simulation, and the simulation against real runs: for `scale_plan.py`."""

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scale.formulas import Case, Plan
from scale.rates import ONE_RUN
from scale.simulation import simulate
from tumorlens.batch.work import TOGETHER

CORES, TASKS, SEEDS = 16, 2_000, 3  # of the piece of a run that is simulated, at most

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Checked:
    """A piece of a planned run, simulated.

    Attributes:
        plan: The whole.
        calm: Seconds of the simulation as a share of the formula's, where nothing fails and nothing is slow.
        rough: The same with failures and slow tasks.
        repeated: Work that was done for nothing, as a share of the work that counts.
    """

    plan: Plan
    calm: float
    rough: float
    repeated: float


@functools.cache
def check(plan: Plan) -> Checked:
    """Simulate a piece of a run."""
    piece = plan.case().smaller(CORES, TASKS)
    calm = piece.calm()
    outcomes = [simulate(piece, seed) for seed in range(SEEDS)]
    return Checked(
        plan,
        simulate(calm).seconds / calm.wall(),
        statistics.mean(each.seconds for each in outcomes) / piece.wall(),
        statistics.mean(each.repeated for each in outcomes),
    )


def tail(plan: Plan, tasks: int) -> tuple[float, float]:
    """Simulated time over that of cores that are never idle: all well; with failures and slow tasks.

    Args:
        plan: Whose work is done by as many cores, with nothing to wait for.
        tasks: In which each core's share of it is cut.
    """
    whole = plan.case()
    case = replace(
        whole,
        tasks=CORES * tasks,
        cores=CORES,
        work=whole.work * whole.tasks / whole.cores / tasks,
        wait=0.0,
        holds={},
        listing=0.0,
        start=0.0,
        chunks=max(1.0, whole.chunks * whole.tasks / whole.cores / tasks),
    )
    never_idle = case.work * tasks
    rough = statistics.mean(simulate(case, seed).seconds for seed in range(SEEDS))
    return simulate(case.calm()).seconds / never_idle, rough / never_idle


@dataclass(frozen=True)
class Foretold:
    """A real run and what the simulation says of it.

    Attributes:
        name: Of the run.
        scans: How many.
        seconds: Of each time that it was run.
        formula: Seconds by the formula.
        simulated: Seconds by the simulation.
    """

    name: str
    scans: int
    seconds: Sequence[float]
    formula: float
    simulated: float

    @property
    def real(self) -> float:
        """The median."""
        return statistics.median(self.seconds)

    @property
    def off(self) -> float:
        """By what share of the real time the simulation is too long; negative where it is too short."""
        return self.simulated / self.real - 1


def foretell(measured: Document) -> list[Foretold]:
    """Simulate each real run from rates that were measured in other runs."""
    told = []
    for run in measured["runs"]:
        case = real_case(run, measured)
        simulated = statistics.mean(simulate(case, seed).seconds for seed in range(SEEDS))
        told.append(Foretold(run["name"], run["scans"], run["seconds"], case.wall(), simulated))
    return told


def real_case(run: Document, measured: Document) -> Case:
    """A real run as tasks: groups of pictures of one machine's engine, chunks of Ray's."""
    form = measured["forms"]["png"]
    seconds = statistics.median(form["alone_core_seconds" if run["cores"] == 1 else "all_core_seconds"])
    size = TOGETHER if run["engine"] == "local" else run["chunk"]
    case = Case(
        tasks=math.ceil(run["scans"] / size),
        cores=run["cores"],
        threads=run["workers"] // run["cores"],
        work=size * seconds,
        wait=size * max(0.0, run["away_seconds"] / ONE_RUN.ahead - seconds),
        start=statistics.median(form["start_seconds"]),
        spread=form["spread"],
    )
    if run["engine"] == "local":
        return case
    ray = measured["ray"]
    start = statistics.median(ray["first_part_seconds"]) - ray["first_part_scans"] * seconds
    return replace(
        case, start=max(0.0, start), holds={"coordinator": ray["task_seconds"] + ray["batch_seconds"]}
    )
