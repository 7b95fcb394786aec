"""tumorlens outlines and names brain tumors on contrast-enhanced T1 MRI. Research use only."""

from tumorlens.scan import Scan, read_scan
from tumorlens.version import __version__

__all__ = ["Scan", "__version__", "read_scan"]
