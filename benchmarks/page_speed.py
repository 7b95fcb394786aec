"""How soon the local page is ready, and how soon a dropped slice's outline is on the screen.

    python benchmarks/page_speed.py [--times 20]

A server and a headless Chromium of their own, both on this machine. Ready: the time of the page's load event
and of its first paint, as the browser tells them, nothing cached. On the screen: from a drop event with a
slice in it to the first drawn frame whose canvases have a pixel in the outline's colour. Prints medians, and
the slowest. Needs Chromium (Debian's package chromium) and Playwright.
"""

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

SLICE = Path(__file__).parents[1] / "tests" / "data" / "slices" / "104.mat"
READY = """() => {
  const [navigation] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return [navigation.loadEventEnd, paint.startTime];
}"""
DROPPED = """async (bytes) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], "slice.mat"));
  const outlined = (canvas) => {
    const context = canvas.width && canvas.getContext("2d");
    if (!context) return false;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
      const [red, green, blue, alpha] = data.subarray(at, at + 4);
      if (alpha > 200 && red > 200 && green > 120 && green < 190 && blue < 70) return true;
    }
    return false;
  };
  const viewing = () => [...document.querySelectorAll("canvas")].filter((each) => each.clientWidth > 200);
  const began = performance.now();
  for (const type of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
  }
  while (performance.now() - began < 20000) {
    await new Promise(requestAnimationFrame);
    if (viewing().some(outlined)) return performance.now() - began;
  }
  throw new Error("no outline appeared");
}"""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A server of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = ["-m", "tumorlens", "serve", "--port", port, "--data", str(folder / "data")]
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)  # noqa: S603
    address = f"http://127.0.0.1:{port}/"
    try:
        until = time.monotonic() + 30
        while not answers(f"{address}readyz"):
            assert time.monotonic() < until, "the server isn't ready after 30 s"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    """Whether something answers."""
    try:
        urllib.request.urlopen(address, timeout=1).close()  # noqa: S310 - an address of ours
    except (urllib.error.URLError, OSError):
        return False
    return True


def tell(name: str, seconds: list[float]) -> None:
    """Print a median and the slowest."""
    print(f"{name}: {statistics.median(seconds):.3f} s, slowest {max(seconds):.3f} s, of {len(seconds)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("expected chromium on the path, found none: apt-get install chromium")
    loaded, painted, outlined = [], [], []
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(times):
            page: Page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.goto(address, wait_until="networkidle")
            load, paint = page.evaluate(READY)
            loaded.append(load / 1e3)
            painted.append(paint / 1e3)
            outlined.append(page.evaluate(DROPPED, list(SLICE.read_bytes())) / 1e3)
            page.context.close()
        browser.close()
    tell("page loaded", loaded)
    tell("first paint", painted)
    tell("outline on the screen after a drop", outlined)


if __name__ == "__main__":
    main()
