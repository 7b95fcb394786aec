"""tumorlens outlines and names brain tumors on contrast-enhanced T1 MRI. Research use only."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# ONNX Runtime's builds come with telemetry switched on: a number for the user on the disk, and events about
# models and the machine sent to its maker. A hospital's computer must do neither. It looks at these variables
# when it is loaded; they have different names in different releases.
os.environ.update({"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"})

from tumorlens.version import __version__

if TYPE_CHECKING:
    from tumorlens.analyze import Analyzer
    from tumorlens.finding import Finding
    from tumorlens.scan import Scan, read_scan

__all__ = ["Analyzer", "Finding", "Scan", "__version__", "read_scan"]


_WHERE = {"Analyzer": "analyze", "Finding": "finding", "Scan": "scan", "read_scan": "scan"}


def __dir__() -> list[str]:
    """Also what isn't imported yet."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import what takes numpy and ONNX Runtime along only when it is asked for (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"tumorlens.{_WHERE[name]}"), name)
