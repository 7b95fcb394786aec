"""Who may ask: this machine's own page and programs, and whoever has the token."""

import hmac
import re
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tumorlens.loopback import is_loopback
from tumorlens.server.problems import Kind, Problem, problem, response
from tumorlens.server.settings import Settings

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d{1,5})?")


class Guard:
    """Refuses requests before anything is done for them.

    A web page elsewhere can make a browser on this machine send requests here, and can let its own name point
    to this machine. Such requests tell another host or origin than the server's own.

    Args:
        app: What answers the others.
        settings: How the server runs.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._is_local = settings.is_local
        self._hosts = frozenset(host.lower() for host in settings.hosts)
        token = settings.token
        self._token = None if token is None else token.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._elsewhere(headers, scope["path"])
        if refused is not None:
            await response(refused, {"Connection": "close"})(scope, receive, send)
            return
        if _is_guarded(scope["path"]) and not self._knows_token(headers):
            told = problem(
                Kind.NO_TOKEN, "This server asks for a token; send it as 'Authorization: Bearer TOKEN'."
            )
            more = {"WWW-Authenticate": 'Bearer realm="tumorlens"', "Connection": "close"}
            await response(told, more)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _elsewhere(self, headers: Headers, path: str) -> Problem | None:
        """Why a request isn't from this server's own page or a program; None where it may be."""
        host = headers.get("host", "")
        if self._is_local and not (_is_this_machine(host) or _name(host) in self._hosts):
            return problem(
                Kind.ELSEWHERE, "expected the address of this machine as the host, got another; use 127.0.0.1"
            )
        origin = headers.get("origin")
        if origin is not None and not self._is_own(origin, host):
            return problem(
                Kind.ELSEWHERE, "expected a request of this server's own page, got one of another site's"
            )
        if origin is None and headers.get("sec-fetch-site") == "cross-site" and _is_guarded(path):
            return problem(
                Kind.ELSEWHERE, "expected a request of this server's own page, got one of another site's"
            )
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether a browser's origin is the page of this server, whatever the way to it is."""
        try:
            place = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return bool(place) and (place == host.lower() or _name(place) in self._hosts)

    def _knows_token(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        given = _BEARER.fullmatch(headers.get("authorization", ""))
        told = b"" if given is None else given[1].encode("utf-8", "replace")
        return hmac.compare_digest(told, self._token)


def _is_guarded(path: str) -> bool:
    return path == "/metrics" or path == "/v1" or path.startswith("/v1/")


def _name(host: str) -> str:
    """A host without its port; empty for what is none."""
    told = _HOST.fullmatch(host)
    return "" if told is None else told[1].strip("[]").lower()


@lru_cache(64)
def _is_this_machine(host: str) -> bool:
    return is_loopback(_name(host))
