"""One server with the bundle that comes along, for all tests that only ask it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.server.running import Running, running


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the default bundle."""
    with running(tmp_path_factory.mktemp("real") / "data") as server:
        yield server


@pytest.fixture
def client(real: Running) -> httpx.Client:
    """A client of it."""
    return real.client
