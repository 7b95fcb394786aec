"""A server on this machine that answers as figshare does, and misbehaves on request."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Figshare:
    """What is published, and how the server treats those who ask.

    Attributes:
        files: Content by name.
        address: Where the server listens.
        listing: Replaces the JSON where set.
        urls: Replaces a file's download address.
        md5s: Replaces a file's checksum.
        honors_range: Whether a Range is heeded.
        break_after: Bytes after which a file's connection breaks, each once.
        failures: Status codes for the next requests, before any is served.
        requests: Path and Range of every request for a file.
        sent: Bytes of files that went out.
    """

    files: dict[str, bytes]
    address: str = ""
    listing: bytes | None = None
    urls: dict[str, str] = field(default_factory=dict)
    md5s: dict[str, str] = field(default_factory=dict)
    honors_range: bool = True
    break_after: dict[str, list[int]] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    sent: int = 0

    @property
    def api(self) -> str:
        """The address of the article's JSON."""
        return f"{self.address}/v2/articles/1512427"

    def article(self) -> bytes:
        """The JSON, with the fields that figshare has and we don't need."""
        if self.listing is not None:
            return self.listing
        files = [
            {
                "id": 7953679 + number,
                "name": name,
                "size": len(content),
                "is_link_only": False,
                "download_url": self.urls.get(name, f"{self.address}/files/{name}"),
                "supplied_md5": "",
                "computed_md5": self.md5s.get(name, hashlib.md5(content, usedforsecurity=False).hexdigest()),
            }
            for number, (name, content) in enumerate(self.files.items())
        ]
        return json.dumps({"id": 1512427, "title": "brain tumor dataset", "files": files}).encode()


@contextmanager
def serving(site: Figshare) -> Iterator[Figshare]:
    """Serve ``site`` on 127.0.0.1 until the context ends."""
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: Figshare

    def do_GET(self) -> None:
        if self.site.failures:
            self._answer(self.site.failures.pop(0), b"busy")
        elif self.path.startswith("/v2/"):
            self._answer(200, self.site.article())
        elif self.path.startswith("/moved/"):
            self._answer(302, b"", Location=self.path.removeprefix("/moved/"))
        else:
            self._file(self.path.removeprefix("/files/"))

    def _file(self, name: str) -> None:
        asked = self.headers.get("Range")
        self.site.requests.append((name, asked))
        content = self.site.files[name]
        if asked is None or not self.site.honors_range:
            self._answer(200, content, name)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206, content[start:], name, **{"Content-Range": place})

    def _answer(self, status: int, body: bytes, name: str = "", **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        breaks = self.site.break_after.get(name)
        body = body[: breaks.pop(0)] if breaks else body
        self.wfile.write(body)
        self.site.sent += len(body) if name else 0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
