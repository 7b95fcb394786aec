"""The engine of a cluster: Ray Data with a pool of actors, each with an analyzer of its own."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tumorlens.batch.destination import Destination, PlanPlace
from tumorlens.batch.extras import need_cluster_extra
from tumorlens.batch.options import BatchOptions
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.unit import Chunk
from tumorlens.batch.work import open_worker
from tumorlens.errors import TumorlensError
from tumorlens.parallel import beside_others

_CLUSTER_OF_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # without it all ports are on 127.0.0.1 only
_LINES = 64  # chunks of a file of the plan
_MOST_BLOCKS = 10_000  # of the dataset; what is lost with a worker is at most one block's unfinished chunks


class ChunkActor:
    """One worker: opens the analyzer once, then does chunk after chunk.

    Args:
        source: Of the scans.
        out: Of the results.
        options: What is asked.
    """

    def __init__(self, source: str, out: str, options: BatchOptions) -> None:
        self._destination = Destination(out)
        self._worker = open_worker(source, out, options)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """The reports of chunks that the plan names.

        Args:
            batch: ``path``, ``begin`` and ``end`` of each one's `PlanPlace`.
        """
        told = []
        for path, begin, end in zip(batch["path"], batch["begin"], batch["end"], strict=True):
            text = self._destination.plan(PlanPlace(str(path), int(begin), int(end)))
            told.append(self._report(Chunk.from_json(text)).to_json())
        return {"report": told}

    def _report(self, chunk: Chunk) -> ChunkReport:
        """A chunk that another worker finished before it went away isn't done again."""
        rows = self._destination.rows(chunk.name)
        if rows is not None:
            return ChunkReport.of(chunk.name, len(chunk.units), rows)
        with beside_others():
            return self._worker.analyse_chunk(chunk)


def analyse_on_ray(
    source: str, out: str, options: BatchOptions, chunks: Iterator[Chunk], destination: Destination
) -> Iterator[ChunkReport]:
    """Analyse chunks on a Ray cluster; the reports come as they are ready, one a chunk.

    All is listed first, into files of the destination that the workers read, so that no list of millions is
    in memory. Ray hands chunks to the workers as they have room, adds and removes workers, and gives the
    chunks of one that went away to another; a chunk done twice makes the same part.

    Args:
        source: Of the scans; each worker has to reach it.
        out: Of the results; likewise.
        options: What is asked.
        chunks: What there is to do.
        destination: At ``out``.

    Raises:
        TumorlensError: Ray is missing or can't be reached, or a chunk couldn't be done.
    """
    need_cluster_extra()
    names: set[str] = set()
    plan = _plan(chunks, destination, names)
    if not plan:
        return
    with _cluster(options.address) as ray:
        try:
            yield from _told(_dataset(ray, plan, source, out, options), set())
        except Exception as error:
            raise _plain(error) from error
    missing = len(names - set(destination.parts()))
    if missing:
        raise TumorlensError(f"{missing} parts are missing after the run; run this again to make them")


def _plan(chunks: Iterator[Chunk], destination: Destination, names: set[str]) -> list[dict[str, Any]]:
    """Where each chunk is in the plan's files; their parts' names are added to ``names``."""

    def texts() -> Iterator[str]:
        for chunk in chunks:
            names.add(chunk.name)
            yield chunk.to_json()

    return [place._asdict() for place in destination.write_plan(texts(), _LINES)]


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Ray, connected; a cluster of this process's own is on this machine alone and ends with it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its remarks are for those who develop it
    if address is None:
        os.environ.setdefault(_CLUSTER_OF_MACHINES, "0")  # before Ray is imported
    import ray
    import ray.data

    mine = not ray.is_initialized()
    if mine:
        known: dict[str, Any] = {"address": address}
        if address is None:
            known = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        try:
            with _silent(), _kept_handlers():
                ray.init(**known, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise TumorlensError(
                f"expected a Ray cluster at {address or 'this machine'}, but {reason}"
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()


@contextlib.contextmanager
def _kept_handlers() -> Iterator[None]:
    """A request to end is answered as before: Ray's core would print a trace of its stack."""
    if threading.current_thread() is not threading.main_thread():  # no other may answer, or say who does
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Nothing on stderr for a moment: Ray's core tells there that it was told to be quiet."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _dataset(ray: Any, plan: list[dict[str, Any]], source: str, out: str, options: BatchOptions) -> Any:
    most = options.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    items = ray.data.from_items(plan, override_num_blocks=min(len(plan), _MOST_BLOCKS))
    return items.map_batches(
        ChunkActor,
        fn_constructor_args=(source, out, options),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
        num_cpus=1,
    )


def _told(dataset: Any, seen: set[str]) -> Iterator[ChunkReport]:
    """The reports; a chunk that was done again after a node was lost is told once."""
    for row in dataset.iter_rows():
        report = ChunkReport.from_json(str(row["report"]))
        if report.part not in seen:
            seen.add(report.part)
            yield report


def _plain(error: BaseException) -> TumorlensError:
    """What a worker raised, out of what Ray wraps around it."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, TumorlensError):
            return at
        at = getattr(at, "cause", None) or at.__cause__
    reason = " ".join(str(error).split())[-500:]
    return TumorlensError(f"Ray's workers can't go on ({reason}); run this again to continue")
