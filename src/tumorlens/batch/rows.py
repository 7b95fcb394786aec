"""The rows of a batch: one a scan, in Parquet."""

import io
import math
from collections.abc import Collection
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from tumorlens.finding import Finding
from tumorlens.finding.document import document
from tumorlens.finding.privacy import encodable
from tumorlens.tumor_type import TumorType
from tumorlens.version import __version__

Row = dict[str, Any]

OK, FAILED = "ok", "failed"
TIMES = ("fetch_seconds", "read_seconds", "analyse_seconds", "write_seconds")
"""The columns that differ from run to run."""


def _field(name: str, kind: Any, words: str) -> Any:
    return pa.field(name, kind, metadata={"description": words})


_FIELDS = [
    _field("unit", pa.string(), "32 hexadecimal digits: the input, by its path, size and time."),
    _field("source", pa.string(), "Its path below the source; neutral where that tells whose scan it is."),
    _field("scan", pa.int32(), "Number of the scan in its input, from 1: a folder may hold several studies."),
    _field("status", pa.string(), "ok or failed."),
    _field("error", pa.string(), "Why it failed."),
    _field("series", pa.string(), "What the scan is, without words that tell whose."),
    _field("slices", pa.int32(), "Slices."),
    _field("rows", pa.int32(), "Rows of a slice."),
    _field("columns", pa.int32(), "Columns of a slice."),
    _field("tumor_type", pa.string(), "The likeliest."),
    *(
        _field(f"probability_{each.name.lower()}", pa.float64(), f"Of {each.title}, calibrated, 0 to 1.")
        for each in TumorType
    ),
    _field("confidence", pa.string(), "high, moderate or low."),
    _field("tumor_slices", pa.int32(), "Slices with an outline."),
    _field(
        "key_slice", pa.int32(), "The slice with the largest outline, from 0; the middle one without any."
    ),
    _field("tumor_pixels", pa.int64(), "Outlined pixels of all slices."),
    _field("area_mm2", pa.float64(), "Largest outlined area of a slice, mm²; null without a spacing."),
    _field("volume_mm3", pa.float64(), "Outlined volume, mm³; null for a single slice."),
    _field("longest_mm", pa.float64(), "Longest diameter in a slice, mm."),
    _field("perpendicular_mm", pa.float64(), "Longest diameter perpendicular to it, mm."),
    _field("strangeness", pa.float64(), "How unlike the slices trained on it looks."),
    _field("warnings", pa.list_(pa.string()), "Kinds of warnings, such as unfamiliar."),
    _field("warning_texts", pa.list_(pa.string()), "The same for people."),
    _field(
        "fetch_seconds",
        pa.float64(),
        "Waited for its files; from elsewhere they come while others are worked on.",
    ),
    _field("read_seconds", pa.float64(), "To read them."),
    _field("analyse_seconds", pa.float64(), "To analyse it; of pictures looked at together, its share."),
    _field("write_seconds", pa.float64(), "To write the files asked for."),
    _field("model", pa.string(), "Name of what found it."),
    _field("tumorlens", pa.string(), "Version that wrote it."),
    _field("files", pa.list_(pa.string()), "What was written, below the destination."),
]
SCHEMA = pa.schema(_FIELDS, metadata={"notice": "Research use only; not a diagnosis.", "schema_version": "1"})
"""The columns, in order, each with a description in its metadata."""


def found_row(finding: Finding, *, keep_identity: bool) -> Row:
    """What a finding's row says of it; input, times and files are added by whoever knows them."""
    told = document(finding, keep_identity=keep_identity)
    probabilities = finding.probabilities or {}
    diameters = told["diameters"] or {}
    strange = finding.strangeness
    return {
        "status": OK,
        "series": told["series"],
        "slices": told["shape"][0],
        "rows": told["shape"][1],
        "columns": told["shape"][2],
        "tumor_type": told["tumor_type"],
        **{f"probability_{each.name.lower()}": round(value, 6) for each, value in probabilities.items()},
        "confidence": None if told["confidence"] is None else told["confidence"]["word"],
        "tumor_slices": None if finding.tumor_pixels is None else len(finding.tumor_slices),
        **{name: told[name] for name in ("key_slice", "tumor_pixels", "area_mm2", "volume_mm3", "model")},
        "longest_mm": diameters.get("longest_mm"),
        "perpendicular_mm": diameters.get("perpendicular_mm"),
        "strangeness": None if strange is None or not math.isfinite(strange) else round(strange, 6),
        "warnings": [warning["kind"] for warning in told["warnings"]],
        "warning_texts": [warning["message"] for warning in told["warnings"]],
        "tumorlens": told["tumorlens"],
        "files": [],
    }


def failed_row(error: str) -> Row:
    """The row of an input that can't be analysed."""
    return {
        "status": FAILED,
        "error": encodable(" ".join(error.split())),
        "warnings": [],
        "warning_texts": [],
        "tumorlens": __version__,
        "files": [],
    }


def to_parquet(rows: list[Row]) -> bytes:
    """Rows as a Parquet file; a column that a row doesn't have is null."""
    return _as_parquet(pa.Table.from_pylist(rows, SCHEMA))


def _as_parquet(table: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def load_libraries() -> None:
    """Load what Arrow loads at its first table (pandas, where it is installed), before the clock runs."""
    to_parquet([])


def keys_in(part: bytes) -> tuple[list[bytes], list[bytes]]:
    """The keys of the units of a part, a row each, and of those of which a scan has no finding."""
    table = pq.read_table(io.BytesIO(part), columns=["unit", "status"])
    units, status = (table.column(name).to_pylist() for name in ("unit", "status"))
    failed = {unit for unit, told in zip(units, status, strict=True) if told == FAILED}
    return [bytes.fromhex(unit) for unit in units], [bytes.fromhex(unit) for unit in failed]


def without_units(part: bytes, keys: Collection[bytes]) -> bytes | None:
    """A part without the rows of some units; None where no row is left."""
    table = pq.read_table(io.BytesIO(part))
    gone = {key.hex() for key in keys}
    kept = table.filter(pa.array([unit not in gone for unit in table.column("unit").to_pylist()], pa.bool_()))
    return _as_parquet(kept) if len(kept) else None


def rows_in(part: bytes) -> list[Row]:
    """The rows of a part."""
    rows: list[Row] = pq.read_table(io.BytesIO(part)).to_pylist()
    return rows
