"""Where a batch's time went, as one HTML picture that needs nothing from elsewhere."""

import math
import time
from collections.abc import Mapping
from pathlib import Path

from tumorlens import atomic
from tumorlens.batch.progress import Progress, duration
from tumorlens.batch.report import ChunkReport
from tumorlens.batch.stages import STAGES

_COLUMNS = 60
_WIDTH, _BAR, _HEIGHT = 900, 44, 180
_WORDS = {
    "list": "listing the source",
    "fetch": "bringing files here",
    "read": "reading and decoding",
    "analyse": "analysing",
    "write": "writing rows and files",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #59636e; --paper: #fff; --line: #d0d7de;
  --list: #6e7781; --fetch: #9a6700; --read: #0969da; --analyse: #1a7f37; --write: #8250df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9198a1; --paper: #0d1117;
  --line: #3d444d; --list: #9198a1; --fetch: #d29922; --read: #4493f8; --analyse: #3fb950; --write: #ab7df8; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; display: block; margin: .5rem 0 1.5rem; }
svg text { fill: var(--faint); font: 13px system-ui, sans-serif; }
table { border-collapse: collapse; } td, th { padding: .2rem 1.2rem .2rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; } th { color: var(--faint); font-weight: 400; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .5em; border-radius: 2px; }
.axis { stroke: var(--line); } p { color: var(--faint); }
""" + "\n".join(f".{name} {{ fill: var(--{name}); background: var(--{name}); }}" for name in STAGES)


class Timeline:
    """How many were at work at each stage over the run, in columns of equal time that grow with it."""

    def __init__(self) -> None:
        self.width = 0.25
        """Seconds of a column."""
        self.columns = [dict.fromkeys(STAGES, 0.0) for _ in range(_COLUMNS)]

    def add(self, begin: float, end: float, seconds: Mapping[str, float]) -> None:
        """Spread what a chunk took over its time.

        Args:
            begin: Seconds since the run's beginning.
            end: Likewise.
            seconds: By stage.
        """
        end = max(end, begin + 1e-6)
        while end >= self.width * _COLUMNS:
            self._halve()
        for number in range(max(0, int(begin / self.width)), int(end / self.width) + 1):
            shared = min(end, (number + 1) * self.width) - max(begin, number * self.width)
            for name, value in seconds.items():
                self.columns[number][name] += value * shared / (end - begin) / self.width

    def _halve(self) -> None:
        pairs = zip(self.columns[::2], self.columns[1::2], strict=True)
        merged = [{name: (one[name] + other[name]) / 2 for name in STAGES} for one, other in pairs]
        self.columns = [*merged, *(dict.fromkeys(STAGES, 0.0) for _ in merged)]
        self.width *= 2


class Profile:
    """See `Watcher`; the picture is written at the end, also of a run that was stopped.

    Args:
        path: Of the HTML file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._timeline = Timeline()

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        """See `Watcher`."""
        if report is not None and report.span is not None:
            beginning = time.time() - progress.seconds
            begin, end = (max(0.0, at - beginning) for at in report.span)
            self._timeline.add(begin, end, report.seconds)

    def ended(self, progress: Progress, words: str) -> None:
        """See `Watcher`."""
        atomic.write_text(self._path, page(progress, self._timeline, words))


def page(progress: Progress, timeline: Timeline, words: str) -> str:
    """The HTML page of a run.

    Args:
        progress: At its end.
        timeline: What was at work when.
        words: How it ended.
    """
    seconds, scans, stages = progress.seconds, progress.scans, progress.stages.seconds
    rate = f"{progress.rate:,.1f} scans a second"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>tumorlens batch: where the time went</title><style>{_STYLE}</style></head><body>
<h1>Where the time went</h1>
<p>{scans:,} scans in {duration(seconds)}, {rate}; {words}. The seconds below are summed over all that
works at once, so that they may come to more than the clock's.</p>
<h2>In all</h2>
{_bar(stages)}
{_table(stages, scans)}
<h2>Over the run</h2>
{_drawn(timeline, seconds)}
</body></html>
"""


def _bar(stages: Mapping[str, float]) -> str:
    whole = sum(stages.values()) or 1.0
    parts, at = [], 0.0
    for name in STAGES:
        width = _WIDTH * stages[name] / whole
        parts.append(
            f'<rect class="{name}" x="{at:.2f}" y="0" width="{width:.2f}" height="{_BAR}">'
            f"<title>{_WORDS[name]}: {stages[name]:.2f} s</title></rect>"
        )
        at += width
    label = ", ".join(f"{_WORDS[name]} {stages[name] / whole:.0%}" for name in STAGES)
    return f'<svg viewBox="0 0 {_WIDTH} {_BAR}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _table(stages: Mapping[str, float], scans: int) -> str:
    whole = sum(stages.values()) or 1.0
    lines = [
        f'<tr><td><span class="swatch {name}"></span>{_WORDS[name]}</td><td>{stages[name]:,.2f}</td>'
        f"<td>{stages[name] / whole:.1%}</td><td>{1000 * stages[name] / max(scans, 1):,.2f}</td></tr>"
        for name in STAGES
    ]
    head = "<tr><th>stage</th><th>seconds</th><th>share</th><th>ms a scan</th></tr>"
    return f"<table>{head}{''.join(lines)}</table>"


def _drawn(timeline: Timeline, end: float) -> str:
    """Columns of equal time, each as high as what was at work in it, on average."""
    columns = timeline.columns[: max(1, min(_COLUMNS, math.ceil(end / timeline.width)))]
    top = max(sum(column.values()) for column in columns) or 1.0
    width = _WIDTH / len(columns)
    parts = []
    for number, column in enumerate(columns):
        at = float(_HEIGHT)
        for name in STAGES:
            height = _HEIGHT * column[name] / top
            at -= height
            parts.append(
                f'<rect class="{name}" x="{number * width:.2f}" y="{at:.2f}" '
                f'width="{width - 1:.2f}" height="{height:.2f}"/>'
            )
    axis = f'<line class="axis" x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}"/>'
    begin = f'<text x="0" y="{_HEIGHT + 18}">0 s</text>'
    last = f'<text x="{_WIDTH}" y="{_HEIGHT + 18}" text-anchor="end">{duration(end)}</text>'
    high = f'<text x="0" y="-8">{top:.1f} at work at once</text>'
    label = "At work at once over the run, by stage"
    box = f"0 -24 {_WIDTH} {_HEIGHT + 50}"
    drawn = "".join([*parts, axis, begin, last, high])
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">{drawn}</svg>'
