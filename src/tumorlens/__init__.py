"""tumorlens outlines and names brain tumors on contrast-enhanced T1 MRI. Research use only."""

import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime's builds come with telemetry switched on: a number for the user on the disk, and events about
# models and the machine sent to its maker. A hospital's computer must do neither. It looks at these variables
# when it is loaded; they have different names in different releases.
os.environ.update({"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"})

from tumorlens.scan import Scan, read_scan
from tumorlens.version import __version__

if TYPE_CHECKING:
    from tumorlens.analyze import Analyzer
    from tumorlens.finding import Finding

__all__ = ["Analyzer", "Finding", "Scan", "__version__", "read_scan"]


def __getattr__(name: str) -> Any:
    """Import what takes ONNX Runtime along only when it is asked for (PEP 562)."""
    if name == "Analyzer":
        from tumorlens.analyze import Analyzer

        return Analyzer
    if name == "Finding":
        from tumorlens.finding import Finding

        return Finding
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
