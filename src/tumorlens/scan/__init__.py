"""What comes in: a `Scan`, read by content from one of the formats that people have."""

from tumorlens.scan.reader import read_scan
from tumorlens.scan.scan import Scan

__all__ = ["Scan", "read_scan"]
