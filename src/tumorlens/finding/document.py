"""Findings as JSON."""

import json
from pathlib import Path

from tumorlens import atomic
from tumorlens.finding.finding import Finding
from tumorlens.version import __version__

SCHEMA_VERSION = 1


def write_json(finding: Finding, path: Path) -> None:
    """Write a finding's numbers as JSON, whole or not at all.

    Keys: ``schema_version``, ``tumorlens``, ``source`` (the file's name), ``shape`` (slices, rows, columns),
    ``spacing_mm`` or null, ``tumor_type`` or null, ``probabilities`` or null, ``tumor_pixels`` or null,
    ``area_mm2`` or null, ``warnings``, ``notice``.

    Raises:
        OSError: The file can't be written.
    """
    named = finding.tumor_type
    document = {
        "schema_version": SCHEMA_VERSION,
        "tumorlens": __version__,
        "source": finding.scan.source.name,
        "shape": list(finding.scan.pixels.shape),
        "spacing_mm": finding.scan.spacing,
        "tumor_type": named.title if named else None,
        "probabilities": _probabilities(finding),
        "tumor_pixels": None if finding.mask is None else int(finding.mask.sum()),
        "area_mm2": None if finding.area_mm2 is None else round(finding.area_mm2, 1),
        "warnings": finding.warnings,
        "notice": "Research use only; not a diagnosis.",
    }
    atomic.write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _probabilities(finding: Finding) -> dict[str, float] | None:
    if finding.probabilities is None:
        return None
    return {tumor.title: round(value, 6) for tumor, value in finding.probabilities.items()}
