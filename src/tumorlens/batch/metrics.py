"""A batch's numbers as a text file that Prometheus's node exporter picks up; none tells of a patient."""

import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from tumorlens import atomic
from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport

_EVERY = 5  # seconds between two writes


class MetricsFile(Collector):
    """See `Watcher`. The file is replaced as a whole, so that nobody reads half of it.

    Args:
        path: Its name should end in ``.prom``; the node exporter wants it so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._progress = Progress()
        self._told = -float("inf")
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._total = self._gauge("inputs", "Inputs in all; 0 while that isn't known.")
        self._before = self._gauge("inputs_done_before", "Inputs that an earlier run had done.")
        self._rate = self._gauge("scans_per_second", "Since the run began.")
        self._left = self._gauge("seconds_left", "NaN while nobody knows.")
        self._running = self._gauge("running", "1 while the run goes on.")

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        """See `Watcher`."""
        if time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            self._write(progress, running=True)

    def ended(self, progress: Progress, words: str) -> None:
        """See `Watcher`."""
        self._write(progress, running=False)

    def collect(self) -> list[CounterMetricFamily]:
        """What only grows, for the registry."""
        progress = self._progress
        scans = CounterMetricFamily("tumorlens_batch_scans", "Rows written.", labels=["status"])
        scans.add_metric(["ok"], progress.scans - progress.failed)
        scans.add_metric(["failed"], progress.failed)
        slices = CounterMetricFamily("tumorlens_batch_slices", "Slices analysed.", value=progress.slices)
        warned = CounterMetricFamily("tumorlens_batch_warned", "Rows with a warning.", value=progress.warned)
        stages = CounterMetricFamily(
            "tumorlens_batch_stage_seconds", "By stage, summed over threads.", labels=["stage"]
        )
        for name, seconds in progress.stages.seconds.items():
            stages.add_metric([name], seconds)
        return [scans, slices, warned, stages]

    def _gauge(self, name: str, words: str) -> Gauge:
        return Gauge(f"tumorlens_batch_{name}", words, registry=self._registry)

    def _write(self, progress: Progress, *, running: bool) -> None:
        self._progress = progress
        self._total.set(progress.total or 0)
        self._before.set(progress.before)
        self._rate.set(progress.rate)
        self._left.set(float("nan") if progress.left is None else progress.left)
        self._running.set(running)
        atomic.write_bytes(self._path, generate_latest(self._registry))
