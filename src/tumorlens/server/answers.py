"""The last word on every request: it is counted, and an error that nobody foresaw becomes a problem."""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tumorlens.server.problems import Kind, problem, response
from tumorlens.server.reading import where
from tumorlens.server.routes import service_in

_LOG = logging.getLogger("tumorlens.server")
_METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH")


class Answers:
    """Counts responses and tells unforeseen errors without their words, which may quote a scan.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except (ClientDisconnect, TimeoutError):
            status = status or 499  # nobody is there to be answered
        except Exception as error:
            _LOG.error("a request failed: %s", where(error))
            if status:
                raise _BrokenOffError from None  # the connection closes, so that nobody takes half for all
            told = problem(
                Kind.FAILED, "Something went wrong that wasn't foreseen; tell who runs this server."
            )
            await response(told, {"Connection": "close"})(scope, receive, counted)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            service_in(scope).metrics.requests.labels(method, status).inc()


class _BrokenOffError(Exception):
    """A response ended in its middle."""
