"""Findings for an archive: millions of scans, one row each, in a run that no kill can spoil."""

from tumorlens.batch.options import BatchOptions, Engine
from tumorlens.batch.run import Summary, run_batch

__all__ = ["BatchOptions", "Engine", "Summary", "run_batch"]
