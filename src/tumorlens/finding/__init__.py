"""What goes out: a `Finding`, and writers that turn it into files."""

from tumorlens.finding.document import write_json
from tumorlens.finding.finding import Finding
from tumorlens.finding.picture import overlay_picture, write_mask, write_overlay

__all__ = ["Finding", "overlay_picture", "write_json", "write_mask", "write_overlay"]
