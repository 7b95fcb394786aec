"""Several runs that don't depend on each other: one after the other, or as tasks of Ray."""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.errors import TumorlensError
from tumorlens.train.callbacks import Report
from tumorlens.train.ranks import Ranks
from tumorlens.train.recipe import Recipe
from tumorlens.train.run import Run
from tumorlens.train.split import Split
from tumorlens.train.trainer import ALONE, train

_RETRIES = 3  # of a task whose process died; each goes on where the last one was


class Engine(StrEnum):
    """Where runs are trained."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True)
class Job:
    """A run to train.

    Attributes:
        title: What it is called in a report.
        recipe: What to train and how.
        folder: Of the run; a run there that is finished is kept, an interrupted one goes on.
        split: Which slices are on which side; as the recipe says if None.
    """

    title: str
    recipe: Recipe
    folder: Path
    split: Split | None = None


@dataclass(frozen=True)
class Means:
    """What runs are trained with.

    Attributes:
        engine: One after the other here, or as tasks of Ray.
        ranks: The processes that train each run together; only here.
        at_once: See `tumorlens.train.trainer.train`.
        cpus: Cores that a task of Ray has.
        gpus: GPUs that a task of Ray has; a fraction lets tasks share one.
    """

    engine: Engine = Engine.LOCAL
    ranks: Ranks = ALONE
    at_once: int | None = None
    cpus: int = 1
    gpus: float = 0

    def __post_init__(self) -> None:
        if self.engine is Engine.RAY and self.ranks.world > 1:
            raise TumorlensError("--engine ray: expected one device a run, got more; leave --devices out")


def train_all(jobs: Sequence[Job], dataset: TumorDataset, means: Means, report: Report) -> list[Run]:
    """Train runs that don't depend on each other.

    Returns:
        The finished runs, in the order of the jobs.

    Raises:
        TumorlensError: As `tumorlens.train.trainer.train`, or Ray isn't installed.
    """
    if means.engine is Engine.RAY:
        return _by_ray(jobs, dataset, means, report)
    runs = []
    for job in jobs:
        if means.ranks.leads:
            report(job.title)
        runs.append(
            train(
                job.recipe,
                dataset,
                job.folder,
                split=job.split,
                resume=True,
                report=report,
                ranks=means.ranks,
                at_once=means.at_once,
            )
        )
    return runs


def _by_ray(jobs: Sequence[Job], dataset: TumorDataset, means: Means, report: Report) -> list[Run]:
    if importlib.util.find_spec("ray") is None:
        raise TumorlensError("--engine ray needs Ray; install it with: pip install 'tumorlens[cluster]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    own = not ray.is_initialized()
    if own:
        _connect(ray)
    try:
        _check_room(ray, means)
        task = ray.remote(_train_one).options(
            num_cpus=means.cpus, num_gpus=means.gpus, max_retries=_RETRIES, retry_exceptions=False
        )
        root, cache = dataset.root.resolve(), dataset.folder.resolve()
        waiting = {task.remote(job, root, cache, means): job for job in jobs}
        report(f"{len(waiting)} runs as tasks of Ray; how each is going is in its metrics.csv")
        while waiting:
            [done], _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(done)
            report(f"{job.title}: {_result(ray, done, job)}")
    finally:
        if own:
            ray.shutdown()
    return [Run(job.folder) for job in jobs]


def _connect(ray: Any) -> None:
    """To the cluster that ``RAY_ADDRESS`` names, else to one of this machine alone."""
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
        return
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )


def _check_room(ray: Any, means: Means) -> None:
    """Make sure that the cluster can ever hold a task; Ray would wait for room without end."""
    room = ray.cluster_resources()
    for name, wanted in (("CPU", means.cpus), ("GPU", means.gpus)):
        if wanted > room.get(name, 0):
            raise TumorlensError(
                f"--engine ray: expected at most {room.get(name, 0):g} {name}s a run, got {wanted:g}"
            )


def _result(ray: Any, done: Any, job: Job) -> str:
    try:
        return str(ray.get(done))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, TumorlensError):
            raise TumorlensError(f"{job.title}: {error.cause}") from error
        raise TumorlensError(f"{job.title}: broke: {str(error).strip().splitlines()[-1]}") from error
    except ray.exceptions.RayError as error:
        raise TumorlensError(
            f"{job.title}: its process died {1 + _RETRIES} times; start this again to go on"
        ) from error


def _train_one(job: Job, root: Path, cache: Path, means: Means) -> str:
    """What a task of Ray does; returns the run's last line."""
    said: list[str] = []
    dataset = open_dataset(root, cache)
    train(
        job.recipe,
        dataset,
        job.folder,
        split=job.split,
        resume=True,
        report=said.append,
        at_once=means.at_once,
    )
    return said[-1]
