"""A finding as one HTML page that needs no other file, no network and no script."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import jinja2
import numpy as np

from tumorlens import atomic
from tumorlens.finding import report_text as text
from tumorlens.finding.document import NOTICE
from tumorlens.finding.finding import Finding
from tumorlens.finding.picture import HEAT_COLORS
from tumorlens.finding.privacy import encodable, told_name, told_text
from tumorlens.finding.report_picture import Picture, SlicePainter
from tumorlens.version import __version__

_KEY_SIDE = 720  # pixels; 300 a print inch
_FURTHER_SIDE = 360
_FURTHER = 8


@dataclass(frozen=True)
class Figure:
    """A picture with what is said of it.

    Attributes:
        picture: The picture.
        alt: What is to be seen, for who can't see it.
        title: What it is.
        caption: More of it; may be empty.
        kind: ``plain``, ``outline`` or ``heat``.
    """

    picture: Picture
    alt: str
    title: str
    caption: str = ""
    kind: str = "plain"


@dataclass(frozen=True)
class Bar:
    """A tumor type's probability.

    Attributes:
        name: Of the type.
        percent: From 0 to 100.
        named: Whether it is the likeliest.
    """

    name: str
    percent: float
    named: bool


def write_report(finding: Finding, path: Path, *, keep_identity: bool = False) -> None:
    """Write a finding as an HTML page, whole or not at all.

    Args:
        finding: What was found.
        path: The page.
        keep_identity: Whether to say whose scan it is and when the page was written.

    Raises:
        OSError: The page can't be written.
    """
    atomic.write_text(path, report_page(finding, keep_identity=keep_identity))


def report_page(finding: Finding, *, keep_identity: bool = False) -> str:
    """A finding as an HTML page; see `write_report`."""
    scan = finding.scan
    word, worth = text.confidence_words(finding)
    page = _template().render(
        notice=NOTICE,
        version=__version__,
        source=told_name(scan, keep_identity=keep_identity),
        series=told_text(scan.series, scan, keep_identity=keep_identity),
        is_volume=scan.is_volume,
        named=finding.tumor_type.title if finding.tumor_type else None,
        bars=_bars(finding),
        confidence=word,
        worth=worth,
        outlined=bool(finding.tumor_slices),
        warnings=text.advice(finding.warnings),
        measurements=text.measurements(finding),
        no_measurements=text.no_measurements(finding),
        key=_key_figures(finding),
        key_title=_key_title(finding),
        further=_further_figures(finding),
        notes=text.picture_notes(finding),
        scan=text.scan_lines(scan, keep_identity=keep_identity),
        model=finding.model,
        identity=text.identity_lines(scan) if keep_identity else None,
        written=datetime.now(UTC).strftime("%Y-%m-%d") if keep_identity else None,
        heat_colors=", ".join("rgb({} {} {})".format(*color) for color in HEAT_COLORS),
    )
    return encodable(page)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tumorlens.finding", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _bars(finding: Finding) -> list[Bar]:
    probabilities = finding.probabilities or {}
    return [
        Bar(tumor.title, 100 * value, tumor is finding.tumor_type)
        for tumor, value in sorted(probabilities.items(), key=lambda item: -item[1])
    ]


def _key_title(finding: Finding) -> str:
    if not finding.scan.is_volume:
        return "The slice"
    number = f"slice {finding.key_slice + 1} of {len(finding.scan.slices)}"
    if finding.tumor_slices:
        return f"Key slice: {number}, with the largest outline"
    return f"Key slice: {number}, in the middle"


def _key_figures(finding: Finding) -> list[Figure]:
    """The key slice alone, with its outline and with the heatmap, as far as there are these."""
    painter = SlicePainter(finding, _KEY_SIDE, marked=True)
    index = finding.key_slice
    which = _which(finding, index)
    figures = [Figure(painter.plain(index), f"{which} alone", "Slice")]
    if finding.tumor_slices:
        lengths = _lengths(finding, index)
        alt = f"{which} with the tumor's outline in orange. {lengths}".strip()
        figures.append(Figure(painter.outlined(index), alt, "Outline", lengths, "outline"))
    if finding.heatmap is not None and finding.tumor_type is not None:
        title = f"What spoke for {finding.tumor_type.title}"
        alt = f"{which} with a heatmap of what spoke for {finding.tumor_type.title}: most where it is yellow"
        figures.append(Figure(painter.heat(index), alt, title, kind="heat"))
    return figures


def _lengths(finding: Finding, index: int) -> str:
    """The diameters that are drawn on a slice; where they lie if on another."""
    found = finding.diameters
    if found is None:
        return ""
    if found.slice_index != index:
        return f"The longest diameter lies on slice {found.slice_index + 1}."
    return (
        f"Longest diameter {found.longest_mm:.1f} mm (solid line), "
        f"perpendicular {found.perpendicular_mm:.1f} mm (dashed)."
    )


def _further_figures(finding: Finding) -> list[Figure]:
    painter = SlicePainter(finding, _FURTHER_SIDE, marked=False)
    return [_further_figure(finding, painter, index) for index in _further_slices(finding)]


def _further_figure(finding: Finding, painter: SlicePainter, index: int) -> Figure:
    outlined = bool(finding.tumor_pixels and finding.tumor_pixels[index])
    alt = f"{_which(finding, index)} with the tumor's outline" if outlined else _which(finding, index)
    size = ""
    if outlined and finding.tumor_pixels and finding.scan.spacing:
        rows, columns = finding.scan.spacing
        size = f"{finding.tumor_pixels[index] * rows * columns:,.0f} mm²"
    found = finding.diameters
    if found is not None and found.slice_index == index:
        size += "; the longest diameter"
    return Figure(painter.outlined(index), alt, f"Slice {index + 1}", size, "outline")


def _further_slices(finding: Finding) -> list[int]:
    """Up to 8 besides the key slice: of those with an outline, or of all where there is none.

    Evenly chosen; the one that the diameters lie in is always among them.
    """
    if not finding.scan.is_volume:
        return []
    known = finding.tumor_slices or range(len(finding.scan.slices))
    others = [index for index in known if index != finding.key_slice]
    places = np.linspace(0, len(others) - 1, min(_FURTHER, len(others))).round().astype(int).tolist()
    chosen = [others[place] for place in places]
    found = finding.diameters
    if found is not None and found.slice_index in others and found.slice_index not in chosen:
        nearest = min(range(len(chosen)), key=lambda at: abs(chosen[at] - found.slice_index))
        chosen[nearest] = found.slice_index
    return chosen


def _which(finding: Finding, index: int) -> str:
    if not finding.scan.is_volume:
        return "The slice"
    return f"Slice {index + 1} of {len(finding.scan.slices)}"
