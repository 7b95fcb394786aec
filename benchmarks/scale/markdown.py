"""Numbers and tables as a reader of Markdown sees them."""

from collections.abc import Iterable, Sequence

_SPANS = ((1.0, "s", 100), (60.0, "min", 100), (3600.0, "h", 100), (86_400.0, "days", 1000))
_YEAR = 365.25 * 86_400


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """With two digits at least, and commas."""
    if value and abs(value) < 0.095:
        return f"{value:.2g}"
    return f"{value:.1f}" if abs(value) < 99.5 and value != int(value) else f"{value:,.0f}"


def span(seconds: float) -> str:
    """Such as ``12 s``, ``3.5 h`` or ``210 days``."""
    for size, unit, most in _SPANS:
        if seconds / size < most:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds / _YEAR)} years"


def short(seconds: float) -> str:
    """In milliseconds."""
    return f"{number(1000 * seconds)} ms"


def amount(many: float) -> str:
    """Bytes, such as ``9.2 GB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if many < 999.5:
            return f"{number(many)} {unit}"
        many /= 1000
    return f"{number(many)} PB"
