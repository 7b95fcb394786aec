"""A PACS for these tests, and ways to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pacs.orthanc import PASSWORD, USER, Orthanc
from tests.pacs.proxy import Proxy, serving
from tumorlens.pacs.access import Credentials
from tumorlens.pacs.server import PacsServer

KNOWN = Credentials(USER, PASSWORD)


@pytest.fixture(scope="session")
def running_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def orthanc(running_orthanc: Orthanc) -> Orthanc:
    """An empty PACS."""
    running_orthanc.clear()
    return running_orthanc


@pytest.fixture
def proxy(orthanc: Orthanc) -> Iterator[Proxy]:
    """A way to the empty PACS that goes wrong on request."""
    with serving(Proxy(orthanc.port)) as between:
        yield between


@pytest.fixture
def server(proxy: Proxy) -> PacsServer:
    """The client's side, by way of the proxy."""
    return PacsServer(proxy.url, KNOWN, retry_wait=0.01)


@pytest.fixture
def stub() -> Iterator[Proxy]:
    """A server with nothing behind it: what it answers is up to the test."""
    with serving(Proxy()) as alone:
        yield alone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of files to store."""
    return tmp_path / "study"
