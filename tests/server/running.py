"""Servers that run while a test talks to them."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.dicom_files import write_series
from tumorlens.analyze import Analyzer
from tumorlens.ensemble import Batch, Ensemble, Outputs
from tumorlens.server.extras import Extras
from tumorlens.server.model import ServedModel, of_analyzer
from tumorlens.server.run import Server
from tumorlens.server.service import Service
from tumorlens.server.settings import Settings

TOKEN = "correct-horse-battery-staple"  # noqa: S105 - of the tests
STARTS = 30  # seconds
NAMES = ("Muster", "Erika", "PID-4711", "ACC-99", "19640812")  # what `tests.dicom_files` says of the patient


@dataclass
class Gate:
    """A model that outlines what is bright, each time once it is let."""

    size: int = 32
    open: threading.Event = field(default_factory=threading.Event)
    came: threading.Event = field(default_factory=threading.Event)
    looked: int = 0

    def __call__(self, batch: Batch) -> Outputs:
        self.came.set()
        assert self.open.wait(30)
        self.looked += len(batch)
        logits = np.tile(np.float32([1, 3, 2]), (len(batch), 1))
        return Outputs(mask_logits=(40 * (batch[:, 0] - 0.5)).astype(np.float32), class_logits=logits)


def gated(gate: Gate) -> ServedModel:
    """A server's model that waits for a gate."""
    return of_analyzer(Analyzer(Ensemble([gate], name="gate")))


@dataclass
class Running:
    """A server that runs in a thread."""

    client: httpx.Client
    service: Service
    extras: Extras
    data: Path


@contextmanager
def running(data: Path, model: ServedModel | None = None, **settings: Any) -> Iterator[Running]:
    """A server of this process."""
    server = Server(Settings(**{"port": 0, "data": data, **settings}), model)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,), daemon=True)
    thread.start()
    assert ready.wait(STARTS)
    try:
        with httpx.Client(base_url=server.address, timeout=30) as client:
            yield Running(client, server.service, server._app.state.extras, data)
    finally:
        server.end()
        if model is not None:
            _let_go(server.service)
        thread.join(STARTS)
        assert not thread.is_alive()


def until(happened: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def _let_go(service: Service) -> None:
    """Open the gates of models that wait, once the server has begun to end."""
    for _ in range(200):
        if service.is_stopping:
            break
        time.sleep(0.01)
    until(lambda: all(job.is_claimed for job in list(service._live.values())))
    for each in service.model.analyzer._ensemble.models:
        getattr(each, "open", threading.Event()).set()


@contextmanager
def process(data: Path, *words: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server as `tumorlens serve` starts it, and its address."""
    command = [sys.executable, "-m", "tumorlens", "serve", "--port", "0", "--data", str(data), *words]
    log = (data.parent / f"{data.name}.log").open("a")
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **variables}
    )
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http"))
        yield started, address
    finally:
        started.kill()
        started.wait(10)
        assert started.stdout is not None
        started.stdout.close()
        log.close()


def picture(path: Path, side: int = 64, seed: int = 0) -> Path:
    """A gray PNG with something bright in it."""
    pixels = np.random.default_rng(seed).integers(0, 90, (side, side)).astype(np.uint8)
    pixels[side // 4 : side // 2, side // 4 : side // 2] = 250
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def series(folder: Path, slices: int = 6, **tags: object) -> list[Path]:
    """A DICOM series with something bright in the middle."""
    volume = np.random.default_rng(1).integers(0, 90, (slices, 48, 40)).astype(np.uint16)
    volume[slices // 3 : -slices // 3, 12:24, 10:26] = 400
    return write_series(folder, volume, **tags)


def parts(*paths: Path) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Files as httpx sends them."""
    return [("files", (path.name, path.read_bytes(), "application/octet-stream")) for path in paths]


def post(client: httpx.Client, *paths: Path, **fields: str) -> httpx.Response:
    """Send a scan."""
    return client.post("/v1/analyses", files=parts(*paths), data=fields)


def finished(client: httpx.Client, id_: str, heard: threading.Event | None = None) -> dict[str, Any]:
    """Follow an analysis to its end; gives what was told last."""
    told = events(client, id_, heard)[-1]
    assert told["status"] not in ("queued", "running"), told
    return told


def events(client: httpx.Client, id_: str, heard: threading.Event | None = None) -> list[dict[str, Any]]:
    """All that is told of an analysis until it ends; ``heard`` is set once there is something."""
    lines = []
    with client.stream("GET", f"/v1/analyses/{id_}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                lines.append(line)
                if heard is not None:
                    heard.set()
    return [json.loads(line[len("data: ") :]) for line in lines]


def assert_problem(response: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    """A problem as RFC 9457 has it, with a sentence."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert told["status"] == status
    assert told["title"]
    assert all(word in told["detail"] for word in words), told
    return told
