"""A server that runs: its socket, its log, its beginning and end."""

import asyncio
import importlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from tumorlens.errors import TumorlensError
from tumorlens.server.app import create_app
from tumorlens.server.model import ServedModel, load
from tumorlens.server.protocol import protocol
from tumorlens.server.service import Service
from tumorlens.server.settings import Settings

_BACKLOG = 1024
_KEEP_ALIVE = 30  # seconds
_FORCED = 1.0  # seconds that everything may take where it is to end at once
_GRACE = 10  # seconds that responses under way may take at the end
_SWITCH = 0.001  # seconds after which Python lets another thread go on; answers wait less then
_FILES = 4096  # that may be open: connections and scans
_READERS_AND_WRITERS = (  # in this order: highdicom, loaded first, would meet a request's thread in pydicom
    "tumorlens.scan.dicom",
    "tumorlens.scan.nifti",
    "tumorlens.finding.dicom_sr",
    "tumorlens.finding.nifti",
    "tumorlens.finding.report",
)


class Server:
    """A server, ready to run.

    Args:
        settings: How it runs.
        model: What looks at scans; by default the bundle that comes along.

    Attributes:
        address: To open in a browser.
        service: Its analyses.

    Raises:
        TumorlensError: The port is taken, or the folder or the bundle can't be used.
    """

    def __init__(self, settings: Settings, model: ServedModel | None = None) -> None:
        self._socket = _bound(settings)
        try:
            self._app = create_app(settings, model or load())
        except BaseException:
            self._socket.close()
            raise
        port = self._socket.getsockname()[1]
        self.address = f"http://{_in_address(settings.host)}:{port}/"
        config = uvicorn.Config(
            self._app,
            http=protocol(settings.most_connections, settings.idle),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_GRACE,
            backlog=_BACKLOG,
        )
        self.service: Service = self._app.state.service
        self._server = _Uvicorn(config, self.service)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until Ctrl-C or SIGTERM.

        Args:
            ready: Called when requests are answered.
        """
        _allow_files()
        sys.setswitchinterval(_SWITCH)
        self._server.ready = ready
        threading.Thread(target=_load_readers, daemon=True).start()
        self._server.run(sockets=[self._socket])

    def end(self) -> None:
        """Let `run` end; from any thread."""
        self._server.should_exit = True


class _Uvicorn(uvicorn.Server):
    """uvicorn that tells when it is ready, and ends the analyses before it waits for responses."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self.ready: Callable[[], None] = lambda: None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End at Ctrl-C or SIGTERM, which is no failure; at a second one without waiting for anybody."""
        del sig, frame
        if self.should_exit and not self.force_exit:
            self.force_exit = True
            last = threading.Timer(_FORCED, os._exit, [0])  # where a thread hangs in what it works on
            last.daemon = True
            last.start()
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin."""
        await super().startup(sockets)
        self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; who follows an analysis is told that it was interrupted."""
        await asyncio.to_thread(self._service.stop)
        await super().shutdown(sockets)


def serve(settings: Settings, model: ServedModel, ready: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        settings: How.
        model: What looks at scans.
        ready: Called with the address when requests are answered.

    Raises:
        TumorlensError: The port is taken or the folder can't be used.
    """
    server = Server(settings, model)
    _tell_log()
    server.run(lambda: ready(server.address))


def _bound(settings: Settings) -> socket.socket:
    """A socket on the address."""
    host, port = settings.host, settings.port
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, proto)
        try:
            if sys.platform != "win32":  # there it would let two servers share a port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise TumorlensError(
            f"expected to listen on {host}, port {port}, but {words.lower()}; give another --port or --host"
        ) from error
    return bound


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _tell_log() -> None:
    """Send this server's own lines to stderr: audit lines as they are, others with their time."""
    for name, form in (("tumorlens.audit", "%(message)s"), ("tumorlens.server", "%(asctime)s %(message)s")):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(form))
        log = logging.getLogger(name)
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # its tracebacks may quote a scan


def _load_readers() -> None:
    """Load what reading and writing need before somebody waits for it."""
    for module in _READERS_AND_WRITERS:
        importlib.import_module(module)


def _allow_files() -> None:
    """Raise the number of files that may be open, where the system lets it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
