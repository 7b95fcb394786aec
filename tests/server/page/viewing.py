"""A little page with nothing but the viewer on it, served with the real page's Content-Security-Policy."""

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tumorlens

VIEWER = Path(tumorlens.__file__).parent / "server" / "page" / "viewer"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Viewer</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/viewer/viewer.css"><link rel="stylesheet" href="/page.css">
<script type="module" src="/page.js"></script></head>
<body><main id="home"><h1 class="viewer-unseen">Viewer</h1></main></body></html>
"""
_STYLE = "html, body { margin: 0; height: 100%; } main { height: 100dvh; }"
_SCRIPT = """
import { Viewer } from "/viewer/viewer.js";
const viewer = new Viewer(document.getElementById("home"), { label: "Scan 1" });
const given = [];
let came = new Set();
let slices = 0;
viewer.addEventListener("change", ({ detail }) => given.push(detail));
async function open(name) {
  const view = await (await fetch(`/scans/${name}`)).json();
  const own = (came = new Set());
  slices = view.shape[0];
  const layers = async (n, signal) => {
    const answer = await fetch(`/scans/${name}/${n}`, { signal });
    if (!answer.ok) {
      own.add(n);
      throw new Error(`The server answered ${answer.status}.`);
    }
    const bytes = await answer.arrayBuffer();
    own.add(n);
    return bytes;
  };
  await viewer.show({ view, layers });
}
/** Until all slices are there. */
async function whole() {
  while (came.size < slices) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
}
/** Until the slice that is looked at is there, or told to be missing. */
async function shown() {
  while (!came.has(viewer.state.slice)) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
}
Object.assign(window, { viewer, given, open, shown, whole, ready: true });
"""


@dataclass
class Phantom:
    """A made-up scan.

    Attributes:
        pixels: (slices, rows, columns), stored values.
        mask: Of the same shape.
        heat: Of the same shape, 0 to 255.
        probability: Of the same shape, 0 to 255.
        spacing: Between slices, rows and columns in mm.
        more: Fields of the view that aren't as usual.
        missing: Slices that the server doesn't hand out.
    """

    pixels: NDArray[np.uint16]
    mask: NDArray[np.uint8] | None = None
    heat: NDArray[np.uint8] | None = None
    probability: NDArray[np.uint8] | None = None
    spacing: tuple[float | None, float | None, float | None] = (None, None, None)
    more: Mapping[str, object] = field(default_factory=dict)
    missing: frozenset[int] = frozenset()

    def view(self) -> dict[str, object]:
        outlined = [0] * len(self.pixels) if self.mask is None else [int(each.sum()) for each in self.mask]
        highest = float(self.pixels.max())
        return {
            "shape": self.pixels.shape,
            "spacing": self.spacing,
            "window": {"low": 0, "high": highest},
            "presets": [
                {"name": "Full range", "low": 0, "high": highest},
                {"name": "Bright", "low": 0, "high": highest / 2},
            ],
            "slope": 1.0,
            "intercept": 0.0,
            "plane": None,
            "directions": None,
            "affine": None,
            "key_slice": int(np.argmax(outlined)) if any(outlined) else len(self.pixels) // 2,
            "outlined": outlined,
            "outlines": self.mask is not None,
            "heatmap": self.heat is not None,
        } | dict(self.more)

    def layers(self, index: int) -> bytes:
        nothing = np.zeros(self.pixels.shape[1:], np.uint8)
        others = (
            nothing if each is None else each[index] for each in (self.mask, self.heat, self.probability)
        )
        return b"".join((self.pixels[index].astype("<u2").tobytes(), *(each.tobytes() for each in others)))


@contextmanager
def served(scans: dict[str, Phantom]) -> Iterator[str]:
    """The page's address, for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = _answer(self.path, scans)
            self.send_response(404 if body is None else 200)
            body = body or b""
            if len(body) > 10_000:
                body = gzip.compress(body, 1)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of a browser that hangs up; of what it misses the browser complains itself."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(path: str, scans: dict[str, Phantom]) -> tuple[bytes | None, str]:
    own = {"/": (_PAGE, ".html"), "/page.css": (_STYLE, ".css"), "/page.js": (_SCRIPT, ".js")}
    if path in own:
        text, kind = own[path]
        return text.encode(), _KINDS[kind]
    match path.strip("/").split("/"):
        case ["viewer", name] if (VIEWER / name).is_file():
            return (VIEWER / name).read_bytes(), _KINDS[Path(name).suffix]
        case ["scans", name] if name in scans:
            return json.dumps(scans[name].view()).encode(), "application/json"
        case ["scans", name, index] if name in scans and int(index) not in scans[name].missing:
            return scans[name].layers(int(index)), "application/octet-stream"
    return None, "text/plain"
