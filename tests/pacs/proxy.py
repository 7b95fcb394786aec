"""A way to Orthanc that goes wrong on request: busy, cut, down, encrypted."""

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class Answer:
    """What a client gets.

    Attributes:
        status: Of HTTP.
        body: Bytes; what is announced may be more.
        headers: Besides the length.
        announced: The length said; None for the body's, below 0 for none.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        method: Of HTTP.
        path: With the query.
        headers: As sent.
        body: Decoded.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def passed_on(asked: Asked) -> Answer | None:
    return None


def unchanged(asked: Asked, answer: Answer) -> Answer:
    return answer


@dataclass
class Proxy:
    """Passes requests on to a server on this machine.

    Attributes:
        port: Of that server; 0 where there is none.
        instead: May answer in the server's place.
        change: May change the server's answer before the client gets it.
        log: Every request.
        url: Of the DICOMweb service behind it.
    """

    port: int = 0
    instead: Callable[[Asked], Answer | None] = passed_on
    change: Callable[[Asked, Answer], Answer] = unchanged
    log: list[Asked] = field(default_factory=list)
    url: str = ""

    def asked(self, method: str, part: str = "") -> list[Asked]:
        """The requests so far of a method, with a part of their path."""
        return [each for each in self.log if each.method == method and part in each.path]

    def answer(self, asked: Asked) -> Answer:
        """What the client gets."""
        self.log.append(asked)
        return self.instead(asked) or self.change(asked, self._upstream(asked))

    def _upstream(self, asked: Asked) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        kept = {"authorization", "accept", "content-type"}
        headers = {name: value for name, value in asked.headers.items() if name.lower() in kept}
        try:
            connection.request(asked.method, asked.path, asked.body or None, headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        kind = response.getheader("Content-Type")
        return Answer(response.status, body, {"Content-Type": kind} if kind else {})


@contextmanager
def serving(proxy: Proxy, certificate: Path | None = None) -> Iterator[Proxy]:
    """Listen on 127.0.0.1 until the context ends, with TLS where there is a certificate and its key."""
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    scheme, host = "http", "127.0.0.1"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme, host = "https", "localhost"
    proxy.url = f"{scheme}://{host}:{server.server_port}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[Proxy]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        answer = self.proxy.answer(Asked(self.command, self.path, dict(self.headers), self._body()))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.announced is None else answer.announced
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client was killed, or doesn't trust us
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
