"""What became of a chunk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

from tumorlens.batch.rows import FAILED, Row


@dataclass(frozen=True)
class Failure:
    """An input that can't be analysed.

    Attributes:
        unit: Its key, 32 hexadecimal digits.
        source: Its path.
        error: Why.
    """

    unit: str
    source: str
    error: str

    def __str__(self) -> str:
        return self.error if self.error.startswith(self.source) else f"{self.source}: {self.error}"


@dataclass(frozen=True)
class ChunkReport:
    """What became of a chunk.

    Attributes:
        part: The name of its part.
        units: How many.
        scans: How many rows.
        slices: Analysed.
        failures: Rows without a finding.
        seconds: By stage, summed over threads.
        warned: Rows with a warning.
        span: When it began and ended, seconds since 1970; None where another worker had done it before.
    """

    part: str
    units: int
    scans: int
    slices: int
    failures: tuple[Failure, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    warned: int = 0
    span: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        part: str,
        units: int,
        rows: Sequence[Row],
        seconds: Mapping[str, float] | None = None,
        span: tuple[float, float] | None = None,
    ) -> Self:
        """The report of rows."""
        failures = tuple(
            Failure(row["unit"], row["source"], row["error"]) for row in rows if row["status"] == FAILED
        )
        slices = sum(row.get("slices") or 0 for row in rows)
        warned = sum(bool(row["warnings"]) for row in rows)
        return cls(part, units, len(rows), slices, failures, seconds or {}, warned, span)

    def to_json(self) -> str:
        """As a text that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        known = json.loads(text)
        known["failures"] = tuple(Failure(**each) for each in known["failures"])
        known["span"] = known["span"] and tuple(known["span"])
        return cls(**known)
