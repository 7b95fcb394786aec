"""The page's modules that compute something, asked in the browser."""

from typing import Any

from playwright.sync_api import Page


def asked(page: Page, module: str, script: str) -> Any:
    """What a module of the page answers; ``script`` gets it as ``m``."""
    return page.evaluate(f"import('/static/{module}').then(async (m) => {{ {script} }})")


def test_a_stream_of_events_is_read_however_it_is_cut(page: Page) -> None:
    told = asked(
        page,
        "watch.js",
        """
        const text = ": hello\\n\\nevent: analysis\\ndata: {\\"a\\":\\ndata: 1}\\n\\n"
          + "event: other\\ndata: 2\\n\\nevent: analysis\\r\\ndata: ü\\r\\n\\r\\nevent: analysis\\ndata: cut";
        const bytes = new TextEncoder().encode(text);
        const found = [];
        for (const size of [1, 3, 7, 1000]) {
          const parts = [];
          for (let at = 0; at < bytes.length; at += size) parts.push(bytes.slice(at, at + size));
          const body = new ReadableStream({ start(c) { parts.forEach((p) => c.enqueue(p)); c.close(); } });
          const events = [];
          for await (const data of m.events(body)) events.push(data);
          found.push(events);
        }
        return found;
        """,
    )
    assert told == [['{"a":\n1}', "ü"]] * 4


def test_numbers_are_written_as_the_report_writes_them(page: Page) -> None:
    told = asked(
        page,
        "format.js",
        "return [m.area(1407.4), m.area(48.2), m.volume(476044.8), m.volume(312), "
        "m.runs([3, 4, 5, 9, 11, 12]), m.percent(0.9843), m.percent(0.99999), m.percent(0.0001)];",
    )
    assert told == [
        "1,407 mm² (14.1 cm²)",
        "48 mm² (0.48 cm²)",
        "476.0 cm³",
        "0.31 cm³",
        "3–5, 9, 11–12",
        "98.4%",
        "> 99.9%",
        "< 0.1%",
    ]


def test_a_linked_look_keeps_its_share_of_slices_and_of_the_window(page: Page) -> None:
    told = asked(
        page,
        "link.js",
        """
        const view = (slices, low, high) => ({ shape: [slices, 8, 8], window: { low, high } });
        const look = { slice: 23, window: { low: 50, high: 250 }, zoom: 2, center: [0.5, 0.2, 0.3] };
        const carried = m.carriedOver(look, view(24, 0, 200), view(96, 1000, 3000));
        return [carried, m.sameShare(0, 24, 1), m.sameShare(5, 9, 9)];
        """,
    )
    look, single, same = told
    assert look == {
        "slice": 94,
        "window": {"low": 1500, "high": 3500},
        "zoom": 2,
        "center": [0.5, 0.2, 0.3],
    }
    assert (single, same) == (0, 5)
