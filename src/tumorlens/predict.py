"""Findings for many files: the main path, once a file."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tumorlens.analyze import Analyzer
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding, write_heatmap, write_json, write_mask, write_overlay
from tumorlens.parallel import in_order
from tumorlens.scan import read_scan


def predict_files(
    analyzer: Analyzer,
    paths: Sequence[Path],
    out: Path,
    report: Callable[[str], None],
    *,
    uncertainty: bool = False,
) -> list[str]:
    """Analyse files, several at a time; a bad one doesn't stop the rest.

    Writes ``NAME-mask.png`` (where a model outlines), ``NAME-overlay.png``, ``NAME-heatmap.png`` (where a
    model tells what spoke for the type) and ``NAME.json`` for a slice ``NAME.mat``, ``NAME.png`` or
    ``NAME.jpg``.

    Args:
        analyzer: What looks at them.
        paths: The files.
        out: The folder that gets the results; made if missing.
        report: Told in a line what was found on each.
        uncertainty: Whether overlays show the band of pixels that may or may not be tumor.

    Returns:
        What went wrong, a line a file that failed.

    Raises:
        TumorlensError: Two files would get the same results' names, or a result that of a given file.
        OSError: A result can't be written.
    """
    twice = [stem for stem, count in Counter(path.stem for path in paths).items() if count > 1]
    if twice:
        raise TumorlensError(
            f"expected slices of different names, got {twice[0]} twice; give them one --out each"
        )
    given = {path.resolve() for path in paths}
    lost = [
        path
        for stem in {path.stem for path in paths}
        for path in _results(out, stem)
        if path.resolve() in given
    ]
    if lost:
        raise TumorlensError(f"{lost[0]}: a result would replace this slice; give the results another --out")

    def predict(path: Path) -> str | TumorlensError:
        try:
            finding = analyzer.analyze(read_scan(path))
        except TumorlensError as error:
            return error
        write_finding(finding, out, path.stem, uncertainty=uncertainty)
        return f"{path.name}: {_words(finding)}"

    failures = []
    for outcome in in_order(predict, paths):
        if isinstance(outcome, TumorlensError):
            failures.append(str(outcome))
        else:
            report(outcome)
    return failures


def write_finding(finding: Finding, out: Path, stem: str, *, uncertainty: bool = False) -> None:
    """Write a finding's mask, overlay, heatmap and JSON under a name."""
    if finding.mask is not None:
        write_mask(finding, out / f"{stem}-mask.png")
    write_overlay(finding, out / f"{stem}-overlay.png", uncertainty=uncertainty)
    if finding.heatmap is not None:
        write_heatmap(finding, out / f"{stem}-heatmap.png")
    write_json(finding, out / f"{stem}.json")


def _results(out: Path, stem: str) -> list[Path]:
    return [out / f"{stem}{ending}" for ending in ("-mask.png", "-overlay.png", "-heatmap.png", ".json")]


def _words(finding: Finding) -> str:
    parts = []
    if finding.tumor_type is not None and finding.probabilities is not None:
        parts.append(f"{finding.tumor_type.title} ({finding.probabilities[finding.tumor_type]:.0%})")
        if finding.confidence is not None and finding.confidence.accuracy is not None:
            parts.append(str(finding.confidence))
    if finding.mask is not None and finding.mask.any():
        area = f", {finding.area_mm2:.0f} mm²" if finding.area_mm2 is not None else ""
        parts.append(f"{int(finding.mask.sum())} pixels outlined{area}")
    return "; ".join([*parts, *(f"warning: {warning}" for warning in finding.warnings)])
