"""What goes out: a `Finding`, and writers that turn it into files."""

from tumorlens.finding.document import write_json
from tumorlens.finding.finding import Confidence, Finding
from tumorlens.finding.maps import PackedMap, SliceMaps
from tumorlens.finding.measure import Diameters, largest_diameters
from tumorlens.finding.picture import overlay_picture, write_heatmap, write_mask, write_overlay
from tumorlens.finding.warning import FindingWarning, WarningKind

__all__ = [
    "Confidence",
    "Diameters",
    "Finding",
    "FindingWarning",
    "PackedMap",
    "SliceMaps",
    "WarningKind",
    "largest_diameters",
    "overlay_picture",
    "write_heatmap",
    "write_json",
    "write_mask",
    "write_overlay",
]
