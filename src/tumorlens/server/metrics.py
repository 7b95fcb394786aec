"""Numbers about the server for Prometheus; none of them tells of a patient."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class Metrics:
    """The numbers of one server.

    Args:
        waiting: Tells how many analyses wait.
        held: Tells how many bytes of findings are held in memory.
    """

    def __init__(self, waiting: Callable[[], float], held: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self.requests = Counter(
            "tumorlens_requests", "Requests answered.", ("method", "status"), registry=self._registry
        )
        self.analyses = Counter(
            "tumorlens_analyses", "Analyses that ended.", ("kind", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "tumorlens_analysis_seconds",
            "From the upload to the end of an analysis.",
            ("kind",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.batches = Histogram(
            "tumorlens_batch_slices",
            "Single slices that were analysed together.",
            buckets=(1, 2, 3, 4),
            registry=self._registry,
        )
        self.received = Counter("tumorlens_received_bytes", "Uploaded.", registry=self._registry)
        self.refused = Counter("tumorlens_refused", "Uploads refused as too many.", registry=self._registry)
        self._gauge("tumorlens_waiting", "Analyses that wait.", waiting)
        self._gauge("tumorlens_held_bytes", "Findings held in memory.", held)

    def text(self) -> bytes:
        """All numbers in Prometheus's text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, words: str, tell: Callable[[], float]) -> None:
        Gauge(name, words, registry=self._registry).set_function(tell)
