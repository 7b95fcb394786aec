"""What comes in: a `Scan`, read by content from one of the formats that people have."""

from tumorlens.scan.reader import list_series, read_scan
from tumorlens.scan.scan import Scan

__all__ = ["Scan", "list_series", "read_scan"]
