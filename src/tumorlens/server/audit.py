"""A line for each analysis: when, what kind, how it ended. Nothing of the patient, no file's name."""

import hashlib
import json
import logging
from datetime import UTC, datetime

from tumorlens.server.analysis import Analysis

_LOG = logging.getLogger("tumorlens.audit")
_DIGITS = 12


def mark(id_: str) -> str:
    """What an analysis is called in logs: its id itself would let a reader of the log ask for the result."""
    return hashlib.sha256(id_.encode()).hexdigest()[:_DIGITS]


def tell(analysis: Analysis, *, size: int, seconds: float, model: str) -> None:
    """Write the line of an analysis that ended.

    Args:
        analysis: As it ended.
        size: Of the upload, in bytes.
        seconds: From the upload to the end.
        model: The key of the model.
    """
    told = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "analysis": mark(analysis.id),
        "status": analysis.status,
        "kind": analysis.kind,
        "problem": None if analysis.problem is None else analysis.problem.type,
        "slices": None if analysis.result is None else analysis.result.shape[0],
        "bytes": size,
        "seconds": round(seconds, 3),
        "model": model,
    }
    _LOG.info(json.dumps(told))
