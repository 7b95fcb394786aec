"""What went wrong, as RFC 9457 tells it: ``application/problem+json``."""

import http
import json
from enum import StrEnum
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Kind(StrEnum):
    """Which problem; the last part of its ``type``."""

    NO_TOKEN = "no-token"  # noqa: S105 - a problem's name
    ELSEWHERE = "from-elsewhere"
    UNKNOWN = "unknown-analysis"
    NOT_FINISHED = "not-finished"
    NO_SUCH_FILE = "no-such-file"
    OTHER_MODEL = "other-model"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    NO_UPLOAD = "no-upload"
    NOT_A_SCAN = "not-a-scan"
    NOT_UNDERSTOOD = "not-understood"
    TOO_LONG = "took-too-long"
    INTERRUPTED = "interrupted"
    BUSY = "busy"
    STOPPING = "stopping"
    FULL = "disk-full"
    FAILED = "failed"


_KNOWN: dict[Kind, tuple[int, str]] = {
    Kind.NO_TOKEN: (401, "A token is needed"),
    Kind.ELSEWHERE: (403, "Asked from elsewhere"),
    Kind.UNKNOWN: (404, "No such analysis"),
    Kind.NOT_FINISHED: (409, "Not finished"),
    Kind.NO_SUCH_FILE: (409, "No such file of this finding"),
    Kind.OTHER_MODEL: (409, "Found by another model"),
    Kind.TOO_LARGE: (413, "Too large"),
    Kind.TOO_SLOW: (408, "Too slow"),
    Kind.NO_UPLOAD: (415, "Not an upload"),
    Kind.NOT_A_SCAN: (422, "Not a scan"),
    Kind.NOT_UNDERSTOOD: (422, "Not understood"),
    Kind.TOO_LONG: (422, "Took too long"),
    Kind.INTERRUPTED: (503, "Interrupted"),
    Kind.BUSY: (429, "Busy"),
    Kind.STOPPING: (503, "Stopping"),
    Kind.FULL: (507, "The disk is full"),
    Kind.FAILED: (500, "The analysis failed"),
}


class Problem(BaseModel):
    """A problem, RFC 9457."""

    model_config = ConfigDict(frozen=True)

    type: str = Field("about:blank", description="Which kind of problem.", examples=["/problems/not-a-scan"])
    title: str = Field(description="The kind in words.", examples=["Not a scan"])
    status: int = Field(description="The HTTP status.", examples=[422], ge=400, le=599)
    detail: str = Field(
        description="A sentence: what was expected, what came, what to do.",
        examples=["scan.txt: expected a MATLAB v7.3 slice, a PNG, … got something else"],
    )


class ProblemError(Exception):
    """Ends a request with a problem.

    Args:
        kind: Which.
        detail: A whole sentence for a person.
        retry_after: Seconds after which it may go better; None where that doesn't help.
    """

    def __init__(self, kind: Kind, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.problem = problem(kind, detail)
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


def problem(kind: Kind, detail: str) -> Problem:
    """A problem of a kind."""
    status, title = _KNOWN[kind]
    return Problem(type=f"/problems/{kind}", title=title, status=status, detail=detail)


def describe(name: str) -> str | None:
    """A kind of problem in a line; None for no such kind."""
    if name not in Kind.__members__.values():
        return None
    status, title = _KNOWN[Kind(name)]
    return f"{title} (HTTP {status}). The problem's detail says what to do.\n"


def response(told: Problem, headers: dict[str, str] | None = None) -> Response:
    """A problem as a response."""
    content = json.dumps(told.model_dump(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, told.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of an application be told as a problem."""
    app.add_exception_handler(ProblemError, _told)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _told(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, ProblemError)  # noqa: S101 - what it is installed for
    return response(error.problem, error.headers)


async def _http(request: Request, error: Exception) -> Response:
    """What routing refuses: no such path, another method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is installed for
    title = http.HTTPStatus(error.status_code).phrase
    detail = f"{request.method} {request.url.path[:200]}: {title.lower()}."
    headers = dict(error.headers) if error.headers else None
    return response(
        Problem(type="about:blank", title=title, status=error.status_code, detail=detail), headers
    )


async def _invalid(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is installed for
    first: Any = error.errors()[0] if error.errors() else {"loc": (), "msg": "invalid"}
    where = ".".join(map(str, first["loc"][1:])) or "request"
    return response(problem(Kind.NOT_UNDERSTOOD, f"{where}: {first['msg']}."[:400]))
