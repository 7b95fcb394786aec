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
    ``spacing_mm`` or null, ``model`` or null, ``tumor_type`` or null, ``probabilities`` or null,
    ``confidence`` or null (``word``, ``accuracy`` of slices with that word or null, ``slices`` measured),
    ``tumor_pixels`` or null, ``area_mm2`` or null, ``warnings`` (``kind``, ``message``, ``score``, ``limit``
    each), ``notice``.

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
        "model": finding.model,
        "tumor_type": named.title if named else None,
        "probabilities": _probabilities(finding),
        "confidence": _confidence(finding),
        "tumor_pixels": None if finding.mask is None else int(finding.mask.sum()),
        "area_mm2": None if finding.area_mm2 is None else round(finding.area_mm2, 1),
        "warnings": [
            {
                "kind": str(warning.kind),
                "message": warning.message,
                "score": round(warning.score, 6),
                "limit": round(warning.limit, 6),
            }
            for warning in finding.warnings
        ],
        "notice": "Research use only; not a diagnosis.",
    }
    atomic.write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _confidence(finding: Finding) -> dict[str, str | float | None] | None:
    confidence = finding.confidence
    if confidence is None:
        return None
    return {"word": confidence.word, "accuracy": confidence.accuracy, "slices": confidence.slices}


def _probabilities(finding: Finding) -> dict[str, float] | None:
    if finding.probabilities is None:
        return None
    return {tumor.title: round(value, 6) for tumor, value in finding.probabilities.items()}
