"""The API's routes: thin, each hands on to the service."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, cast

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from tumorlens.server import examples, uploads
from tumorlens.server.analysis import Analysis
from tumorlens.server.events import event, follow, wait
from tumorlens.server.job import Job
from tumorlens.server.model import Models
from tumorlens.server.problems import response
from tumorlens.server.service import Service

router = APIRouter(prefix="/v1")
PATH = "/analyses/{id}"
_FOR_VOLUMES = 0.5  # seconds until what may be a volume is known to be one, or waits for its turn


class SeriesWish(BaseModel):
    """Another series of an upload."""

    model_config = ConfigDict(extra="forbid")

    series: Annotated[
        str, Field(min_length=1, max_length=200, description="Place from 1, UID or description.")
    ]


def service_of(request: Request) -> Service:
    """The service behind a request."""
    return service_in(request.scope)


def service_in(scope: Scope) -> Service:
    """The service behind a request's scope."""
    return cast("Service", scope["app"].state.service)


@router.post(
    "/analyses",
    status_code=201,
    response_model=Analysis,
    openapi_extra=examples.UPLOAD,
    responses={
        201: examples.shown("done", "A slice, analysed.", headers=examples.LOCATION),
        202: {
            "model": Analysis,
            **examples.shown("running", "A volume, or a slice that waits.", headers=examples.LOCATION),
        },
        **examples.problems(408, 413, 415, 429, 503, 507),
    },
)
async def begin(request: Request) -> Response:
    """Send a scan. A slice is answered when it is done, a volume at once."""
    service = service_of(request)
    job = await _received(request, service)
    patience = service.settings.patience
    await wait(job.answered, min(patience, _FOR_VOLUMES) if job.is_volume else patience)
    analysis = job.analysis
    if not analysis.is_final:
        analysis = await run_in_threadpool(service.make_known, job)
    if analysis.is_final and not job.known:
        if analysis.problem is not None:
            return response(
                analysis.problem, {"Retry-After": "30"} if analysis.problem.status == 503 else None
            )
        return _told(analysis, 201)
    return _told(analysis, 202)


async def _received(request: Request, service: Service) -> Job:
    """Receive an upload and let it wait for its turn."""
    length = request.headers.get("content-length", "")
    service.admit(int(length) if length.isascii() and length.isdigit() else 0)
    service.uploads += 1
    id_ = service.store.new_id()
    try:
        upload = await uploads.receive(
            request.headers.get("content-type", ""),
            request.stream(),
            partial(service.store.begin, id_),
            most_files=service.settings.most_files,
        )
        service.metrics.received.inc(upload.size)
        return service.submit(id_, upload)
    except BaseException:
        await asyncio.shield(run_in_threadpool(service.store.erase, id_))
        raise
    finally:
        service.uploads -= 1


@router.get(
    PATH,
    response_model=Analysis,
    responses={200: examples.shown("done", "As it is now."), **examples.problems(404)},
)
def look(request: Request, id: str) -> Response:  # noqa: A002 - the path's own word
    """How far an analysis is, and what was found."""
    return _told(service_of(request).find(id), 200)


@router.get(
    PATH + "/events",
    response_class=StreamingResponse,
    responses={
        200: {"description": "Server-sent events: `event: analysis` with an Analysis, at each change.",
              "content": {"text/event-stream": {}}},
        **examples.problems(404, 429),
    },
)  # fmt: skip
async def events(request: Request, id: str) -> Response:  # noqa: A002
    """Follow an analysis until it ends."""
    service = service_of(request)
    job = service.job(id)
    if job is None:
        told = _once(await run_in_threadpool(service.find, id))
    else:
        service.check_followers()
        told = service.counted(follow(job))
    return StreamingResponse(told, media_type="text/event-stream")


async def _once(analysis: Analysis) -> AsyncIterator[bytes]:
    yield event(analysis)


@router.post(
    PATH + "/cancel",
    response_model=Analysis,
    responses={200: examples.shown("cancelled", "As it is now."), **examples.problems(404)},
)
def cancel(request: Request, id: str) -> Response:  # noqa: A002
    """Stop an analysis. One that ended already stays as it is."""
    return _told(service_of(request).cancel(id), 200)


@router.delete(PATH, status_code=204, responses=examples.problems(404))
def erase(request: Request, id: str) -> Response:  # noqa: A002
    """Stop an analysis and erase it, with all files."""
    service_of(request).erase(id)
    return Response(status_code=204)


@router.post(
    PATH + "/series",
    status_code=202,
    response_model=Analysis,
    responses={
        202: examples.shown("running", "The new analysis.", headers=examples.LOCATION),
        **examples.problems(404, 413, 429, 503, 507),
    },
)
async def other_series(
    request: Request,
    id: str,  # noqa: A002
    wish: Annotated[SeriesWish, Body(examples=[{"series": "2"}])],
) -> Response:
    """Analyse another series of the same upload: a new analysis."""
    service = service_of(request)
    kept = await run_in_threadpool(service.kept, id)
    service.admit(0)
    new, upload = await run_in_threadpool(service.again, kept, wish.series)
    try:
        job = service.submit(new, upload, known=True)
    except BaseException:
        await run_in_threadpool(service.store.erase, new)
        raise
    return _told(await run_in_threadpool(service.make_known, job), 202)


@router.get("/models", response_model=Models, responses=examples.problems())
def models(request: Request) -> Models:
    """The model that this server looks with, and what is known of it."""
    return Models(models=(service_of(request).model.facts,))


def _told(analysis: Analysis, status: int) -> Response:
    headers = {"Location": f"/v1/analyses/{analysis.id}"} if status in (201, 202) else None
    return Response(analysis.model_dump_json(), status, headers, "application/json")
