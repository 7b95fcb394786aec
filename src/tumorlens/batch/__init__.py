"""Findings for an archive: millions of scans, one row each, in a run that no kill can spoil."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tumorlens.batch.options import BatchOptions, Engine
    from tumorlens.batch.run import Summary, run_batch

__all__ = ["BatchOptions", "Engine", "Summary", "run_batch"]

_WHERE = {"BatchOptions": "options", "Engine": "options", "Summary": "run", "run_batch": "run"}


def __getattr__(name: str) -> Any:
    """Load what needs the extra at first use, so that `tumorlens.batch.extras` can say that it is missing."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"tumorlens.batch.{_WHERE[name]}"), name)
