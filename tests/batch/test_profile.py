"""The picture of where the time went adds up."""

import re

import pytest

from tumorlens.batch.profile import Timeline, page
from tumorlens.batch.progress import Progress, duration
from tumorlens.batch.stages import STAGES


def test_bars_are_as_long_as_their_stages() -> None:
    progress = Progress()
    progress.scans = 40
    progress.stages.add(dict(zip(STAGES, (1.0, 0.0, 2.0, 6.0, 1.0), strict=True)))
    text = page(progress, Timeline(), "done")
    bar = text[text.index("<svg") : text.index("</svg>")]
    widths = [float(each) for each in re.findall(r'width="([\d.]+)"', bar)]
    assert widths == pytest.approx([90, 0, 180, 540, 90])
    assert "<td>150.00</td>" in text, "milliseconds a scan: 6 s for 40 scans"


def test_a_run_without_a_scan_has_a_picture_as_well() -> None:
    assert "0 scans" in page(Progress(), Timeline(), "stopped")


@pytest.mark.parametrize("length", [1.0, 100.0, 5000.0])
def test_what_took_half_the_run_fills_half_of_its_columns(length: float) -> None:
    timeline = Timeline()
    for second in range(10):
        begin = length * (0.5 + second / 20)
        timeline.add(begin, begin + length / 20, {"read": 2 * length / 20})
    heights = [column["read"] for column in timeline.columns]
    assert sum(heights) * timeline.width == pytest.approx(length)
    first, last = length / 2 / timeline.width, length / timeline.width
    assert not any(heights[: int(first)])
    assert heights[int(first) + 1 : int(last)] == pytest.approx([2.0] * (int(last) - int(first) - 1))
    assert len(timeline.columns) == 60


@pytest.mark.parametrize(
    ("seconds", "words"), [(45, "45 s"), (60, "1 min"), (750, "12 min"), (12_000, "3 h 20 min")]
)
def test_durations_are_told_in_the_words_of_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words
