"""How a job ends: its state is written before anybody is told."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tumorlens.finding import Finding
from tumorlens.finding.document import FindingDocument, document
from tumorlens.finding.privacy import told_name
from tumorlens.server import audit
from tumorlens.server.analysis import Analysis, Kept, Progress, Status
from tumorlens.server.files import formats_of
from tumorlens.server.findings import Findings, Held
from tumorlens.server.job import Job
from tumorlens.server.labels import neutral
from tumorlens.server.metrics import Metrics
from tumorlens.server.problems import Kind, Problem, problem
from tumorlens.server.reading import where
from tumorlens.server.store import Store

_LOG = logging.getLogger("tumorlens.server")


class Endings:
    """Ends jobs, each once; what comes too late is dropped. Safe to use from any thread.

    Args:
        store: Gets the states.
        findings: Gets the findings.
        metrics: Counts.
        model: The key of the model.
        forget: Called with a job when it is final and on the disk.
    """

    def __init__(
        self, store: Store, findings: Findings, metrics: Metrics, model: str, forget: Callable[[Job], None]
    ) -> None:
        self._store = store
        self._findings = findings
        self._metrics = metrics
        self._model = model
        self._forget = forget

    def done(self, job: Job, finding: Finding) -> None:
        """A job with a finding."""
        changes = {
            "name": told_name(finding.scan, keep_identity=False),
            "progress": Progress(done=len(finding.scan.slices), total=len(finding.scan.slices)),
            "result": FindingDocument.model_validate(document(finding)),
            "files": formats_of(finding),
        }
        held = Held(finding)
        if finding.scan.is_volume:  # looks at every slice, for which whoever opens it shouldn't have to wait
            _ = held.levels
        self._findings.put(job.id, held)
        if not self._end(job, Status.DONE, changes):
            self._findings.drop(job.id)

    def failed(self, job: Job, problem: Problem) -> None:
        """A job that can't be done; what no client knows of yet isn't kept."""
        self._end(job, Status.FAILED, {"problem": problem, "name": neutral(job.label)})

    def stopped(self, job: Job, status: Status, problem: Problem | None = None) -> None:
        """A job that somebody or something stopped."""
        self._end(job, status, {"problem": problem})

    def _end(self, job: Job, status: Status, changes: dict[str, Any]) -> bool:
        """Make it final.

        Returns:
            Whether it wasn't before.
        """
        with job.lock:
            if not job.claim():
                return False
            final = job.analysis.model_copy(
                update={**changes, "status": status, "expires": self._store.expiry(datetime.now(UTC))}
            )
            try:
                self._keep(job, final)
            except OSError as error:
                _LOG.error("a result can't be kept: %s", where(error))
                told = problem(Kind.FULL, "The server can't keep the result; its disk may be full.")
                final = job.analysis.model_copy(update={"status": Status.FAILED, "problem": told})
                self._store.erase(job.id)
            self._count(job, final)
            self._forget(job)
            job.show(final)
        return True

    def _keep(self, job: Job, final: Analysis) -> None:
        is_done = final.status is Status.DONE
        if is_done or job.known:
            model = self._model if is_done else ""
            self._store.write(Kept(analysis=final, ask=job.ask, label=job.label, model=model))
        else:
            self._store.erase(job.id)

    def _count(self, job: Job, final: Analysis) -> None:
        kind, seconds = final.kind or "unknown", time.monotonic() - job.created
        self._metrics.analyses.labels(kind, final.status).inc()
        self._metrics.seconds.labels(kind).observe(seconds)
        audit.tell(final, size=job.size, seconds=seconds, model=self._model)
