"""Findings as JSON. The schema is ``finding.schema.json`` beside this."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tumorlens import atomic
from tumorlens.finding.finding import Confidence, Finding
from tumorlens.finding.measure import Diameters
from tumorlens.finding.privacy import encodable, told_name, told_text
from tumorlens.finding.warning import FindingWarning, WarningKind
from tumorlens.scan.geometry import Plane, plane_of
from tumorlens.scan.origin import DicomOrigin
from tumorlens.version import __version__

SCHEMA_VERSION = 2
NOTICE = "Research use only; not a diagnosis."

Millimetres = Annotated[float, Field(gt=0)]
Size = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Row = tuple[float, float, float, float]
Point = tuple[float, float]
Type = Literal["meningioma", "glioma", "pituitary tumor"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ConfidencePart(_Part):
    """How sure the tumor type is."""

    word: str = Field(description="high, moderate or low.")
    accuracy: Fraction | None = Field(
        description="Share of slices with this word that were named rightly; null where it wasn't measured."
    )
    slices: Count = Field(description="On how many slices that was measured.")


class DiametersPart(_Part):
    """The longest diameter in any slice, and the longest perpendicular to it in the same slice."""

    longest_mm: Size = Field(description="Longest diameter, mm.")
    perpendicular_mm: Size = Field(description="Longest diameter perpendicular to it, mm.")
    slice: Count = Field(description="The slice they lie in, from 0.")
    longest_ends: tuple[Point, Point] = Field(
        description="Its ends as (row, column) in pixels; whole numbers are pixels' centers."
    )
    perpendicular_ends: tuple[Point, Point] = Field(description="Ends of the perpendicular one, likewise.")


class SlicePart(_Part):
    """What is outlined on one slice."""

    slice: Count = Field(description="Its number, from 0.")
    tumor_pixels: Annotated[int, Field(gt=0)] = Field(description="Outlined pixels.")
    area_mm2: Size | None = Field(description="Outlined area, mm²; null without a spacing.")


class WarningPart(_Part):
    """One reason to doubt the finding."""

    kind: WarningKind = Field(description="Which reason.")
    message: str = Field(description="For people.")
    score: float = Field(description="What was compared with the limit; its meaning depends on the kind.")
    limit: float = Field(description="From where on, or up to where, the warning is given.")


class IdentityPart(_Part):
    """What the source says of whose scan it is; texts may be empty."""

    patient_name: str = Field(description="Family^Given^Middle^Prefix^Suffix.")
    patient_id: str = Field(description="The hospital's number.")
    birth_date: str = Field(description="YYYYMMDD.")
    sex: str = Field(description="M, F or O.")
    study_date: str = Field(description="YYYYMMDD.")
    accession_number: str = Field(description="The order's number.")
    study_uid: str = Field(description="StudyInstanceUID.")
    series_uid: str = Field(description="SeriesInstanceUID.")


class FindingDocument(_Part):
    """What tumorlens found on a scan. Slices, rows and columns are counted from 0."""

    schema_version: Literal[2] = Field(description="Of this document.")
    tumorlens: str = Field(description="Version that wrote it.")
    source: str = Field(
        description="The file's or folder's name; a neutral one where it tells whose scan it is."
    )
    series: str | None = Field(description="What the scan is, without words that tell whose.")
    reason: str | None = Field(description="Why this series was taken of several; null without a choice.")
    shape: tuple[Count, Count, Count] = Field(description="Slices, rows, columns, turned to the usual view.")
    spacing_mm: tuple[Millimetres, Millimetres] | None = Field(
        description="Distance between pixel centers (rows, columns), mm."
    )
    slice_spacing_mm: Millimetres | None = Field(
        description="Distance between the centers of neighbouring slices, mm."
    )
    plane: Plane | None = Field(description="Along which plane of the patient the slices lie, or nearly so.")
    affine: tuple[Row, Row, Row, Row] | None = Field(
        description="Rows of the matrix that brings (slice, row, column, 1) to the patient's coordinates in "
        "mm: x to the left, y to posterior, z to superior (DICOM's LPS)."
    )
    model: str | None = Field(description="Name of what found it.")
    tumor_type: Type | None = Field(description="The likeliest; null where no model named.")
    probabilities: dict[Type, Fraction] | None = Field(
        description="Of each tumor type, calibrated, summing to 1; null where no model named."
    )
    confidence: ConfidencePart | None = Field(description="In the tumor type; null where no model named.")
    tumor_pixels: Count | None = Field(description="Outlined pixels of all slices; null without an outline.")
    key_slice: Count = Field(description="The slice with the largest outline; the middle one without any.")
    area_mm2: Size | None = Field(description="Largest outlined area of a slice, mm².")
    volume_mm3: Size | None = Field(description="Outlined volume, mm³; null for a single slice.")
    diameters: DiametersPart | None = Field(
        description="Null where nothing is outlined or without a spacing."
    )
    slices: tuple[SlicePart, ...] | None = Field(
        description="Of a stack, those with an outline; null for a single slice or where no model outlined."
    )
    warnings: tuple[WarningPart, ...] = Field(description="What to know before trusting it.")
    identity: IdentityPart | None = Field(description="Null unless it was asked for.")
    notice: str = Field(description="For whoever uses it.")


def json_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a finding's document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FindingDocument.model_json_schema(mode="serialization"),
    }


def document(finding: Finding, *, keep_identity: bool = False) -> dict[str, Any]:
    """A finding's numbers as `finding.schema.json` describes them.

    Args:
        finding: What was found.
        keep_identity: Whether to say whose scan it is, and to leave texts as they are.
    """
    scan, named = finding.scan, finding.tumor_type
    spacing = scan.spacing
    told = FindingDocument(
        schema_version=SCHEMA_VERSION,
        tumorlens=__version__,
        source=told_name(scan, keep_identity=keep_identity),
        series=told_text(scan.series, scan, keep_identity=keep_identity),
        reason=told_text(scan.reason, scan, keep_identity=keep_identity),
        shape=scan.shape,
        spacing_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        slice_spacing_mm=scan.slice_spacing,
        plane=None if scan.affine is None else plane_of(scan.affine),
        affine=None if scan.affine is None else scan.affine.tolist(),
        model=finding.model,
        tumor_type=named.title if named else None,
        probabilities=_probabilities(finding),
        confidence=_confidence(finding.confidence),
        tumor_pixels=None if finding.tumor_pixels is None else sum(finding.tumor_pixels),
        key_slice=finding.key_slice,
        area_mm2=_rounded(finding.area_mm2, 1),
        volume_mm3=_rounded(finding.volume_mm3, 1),
        diameters=_diameters(finding.diameters),
        slices=_slices(finding),
        warnings=tuple(map(_warning, finding.warnings)),
        identity=_identity(finding) if keep_identity else None,
        notice=NOTICE,
    )
    return told.model_dump(mode="json")


def write_json(finding: Finding, path: Path, *, keep_identity: bool = False) -> None:
    """Write a finding's numbers as JSON, whole or not at all; see `document`.

    Raises:
        OSError: The file can't be written.
    """
    values = document(finding, keep_identity=keep_identity)
    atomic.write_text(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def _rounded(value: float | None, digits: int) -> float | None:
    """JSON knows no infinity: what a source's absurd spacing makes infinite isn't known."""
    return round(value, digits) if value is not None and math.isfinite(value) else None


def _probabilities(finding: Finding) -> Any:
    if finding.probabilities is None:
        return None
    return {tumor.title: round(value, 6) for tumor, value in finding.probabilities.items()}


def _confidence(confidence: Confidence | None) -> ConfidencePart | None:
    if confidence is None:
        return None
    return ConfidencePart(word=confidence.word, accuracy=confidence.accuracy, slices=confidence.slices)


def _diameters(found: Diameters | None) -> DiametersPart | None:
    if found is None or not math.isfinite(found.longest_mm):
        return None
    return DiametersPart(
        longest_mm=round(found.longest_mm, 2),
        perpendicular_mm=round(found.perpendicular_mm, 2),
        slice=found.slice_index,
        longest_ends=_points(found.longest_ends),
        perpendicular_ends=_points(found.perpendicular_ends),
    )


def _points(ends: tuple[Point, Point]) -> tuple[Point, Point]:
    (row, column), (other_row, other_column) = ends
    return (round(row, 3), round(column, 3)), (round(other_row, 3), round(other_column, 3))


def _slices(finding: Finding) -> tuple[SlicePart, ...] | None:
    counts, spacing = finding.tumor_pixels, finding.scan.spacing
    if counts is None or not finding.scan.is_volume:
        return None
    pixel = None if spacing is None else spacing[0] * spacing[1]
    return tuple(
        SlicePart(
            slice=index,
            tumor_pixels=counts[index],
            area_mm2=None if pixel is None else _rounded(counts[index] * pixel, 1),
        )
        for index in finding.tumor_slices
    )


def _warning(warning: FindingWarning) -> WarningPart:
    return WarningPart(
        kind=warning.kind,
        message=warning.message,
        score=round(float(warning.score), 6),
        limit=round(float(warning.limit), 6),
    )


def _identity(finding: Finding) -> IdentityPart | None:
    origin = finding.scan.origin
    if not isinstance(origin, DicomOrigin):
        return None
    return IdentityPart(**{name: encodable(text) for name, text in vars(origin.identity).items()})
