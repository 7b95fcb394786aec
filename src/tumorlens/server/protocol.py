"""Connections: a client has to say in time what it wants, and can't take all places by waiting."""

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_LARGEST_HEAD = 64 << 10  # bytes before a request's body

if TYPE_CHECKING:

    class _Base(asyncio.Protocol):
        """What uvicorn's protocols share, as far as it is used here."""

        transport: asyncio.Transport
        loop: asyncio.AbstractEventLoop
        cycle: Any
        access_log: bool

        def __init__(self, *args: Any, **options: Any) -> None: ...

else:
    _Base = AutoHTTPProtocol


class Waiting:
    """The connections on which no request is being answered, the one that waits longest first.

    Args:
        most: Connections that may be open, whatever they do.
        seconds: That a client may take from its first byte to the end of a request's headers.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self.open = 0
        self._waiting: OrderedDict[Connection, None] = OrderedDict()

    def add(self, connection: "Connection") -> None:
        """A connection waits from now on."""
        self._waiting[connection] = None
        self._waiting.move_to_end(connection)

    def remove(self, connection: "Connection") -> None:
        """A connection waits no more."""
        self._waiting.pop(connection, None)

    def make_room(self) -> bool:
        """Close the connection that waits longest where too many are open; false where none waits."""
        if self.open <= self.most:
            return True
        if not self._waiting:
            return False
        oldest = next(iter(self._waiting))
        self.remove(oldest)
        oldest.transport.abort()
        return True


class Connection(_Base):
    """A client's connection."""

    waiting: Waiting
    """Set on a class of its own for each server, see `protocol`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.access_log = False  # its lines have ids, with which anybody can ask for results
        self._head = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client comes."""
        super().connection_made(transport)
        self.waiting.open += 1
        if not self.waiting.make_room():
            self.transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client goes."""
        self.waiting.open -= 1
        self.waiting.remove(self)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a client come."""
        before = self.cycle
        idle = before is None or before.response_complete
        in_head = before is None or not before.more_body  # also while an answer is on its way
        if idle and self._timer is None:
            self._wait()  # the first bytes of a further request
        super().data_received(data)
        if self.cycle is not before:
            self._head = 0
            self._stop_timer()
            self.waiting.remove(self)
        elif in_head:
            self._head += len(data)
            if self._head > _LARGEST_HEAD:
                self.transport.abort()

    def on_response_complete(self) -> None:
        """A request is answered."""
        super().on_response_complete()  # type: ignore[misc]
        self.waiting.add(self)

    def _wait(self) -> None:
        self.waiting.add(self)
        self._timer = self.loop.call_later(self.waiting.seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def protocol(most: int, seconds: float) -> type[asyncio.Protocol]:
    """A class of connections for one server.

    Args:
        most: That may be open at the same time.
        seconds: That a client may take to say what it wants.
    """
    return type("ServerConnection", (Connection,), {"waiting": Waiting(most, seconds)})
