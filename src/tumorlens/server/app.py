"""The application: routes, what guards them, and what runs as long as they do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from tumorlens.parallel import processors
from tumorlens.server import examples, metrics, problems, results, routes
from tumorlens.server.answers import Answers
from tumorlens.server.extras import Extras
from tumorlens.server.guard import Guard
from tumorlens.server.headers import SafeHeaders
from tumorlens.server.model import ServedModel, load
from tumorlens.server.page import add_page
from tumorlens.server.patience import Patience
from tumorlens.server.problems import Kind, Problem, ProblemError
from tumorlens.server.service import Service
from tumorlens.server.settings import Settings
from tumorlens.version import __version__

_ABOUT = (
    "Outlines and names brain tumors on contrast-enhanced T1 MRI. Research use only; not a diagnosis.\n\n"
    "Send a scan to `POST /v1/analyses`; follow a volume at `/v1/analyses/{id}/events`. Errors are problem "
    "details (RFC 9457)."
)


def create_app(settings: Settings | None = None, model: ServedModel | None = None) -> FastAPI:
    """The application.

    Args:
        settings: How it runs; by default for this machine alone.
        model: What looks at scans; by default the bundle that comes along.

    Raises:
        TumorlensError: The bundle is damaged, or the data folder can't be used.
    """
    settings = settings or Settings()
    service = Service(settings, model or load())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await run_in_threadpool(service.stop)
            await run_in_threadpool(app.state.extras.close)

    app = FastAPI(
        title="tumorlens",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # both would fetch scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        separate_input_output_schemas=False,
    )
    app.state.service = service
    app.state.extras = Extras(processors(), settings.bodies)
    problems.install(app)
    _add_open_routes(app)
    app.include_router(routes.router)
    app.include_router(results.router)
    add_page(app)
    _describe(app, needs_token=settings.token is not None)
    app.add_middleware(Patience, settings=settings)  # the innermost first
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Answers)
    app.add_middleware(SafeHeaders)
    return app


def _add_open_routes(app: FastAPI) -> None:
    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Whether the server is alive."""
        return "ok\n"

    @app.get("/readyz", response_class=PlainTextResponse, responses=examples.problems(429, 503, 507))
    def readyz(request: Request) -> str:
        """Whether it would take a scan now."""
        routes.service_of(request).check_room(0)
        return "ok\n"

    @app.get("/metrics", response_class=PlainTextResponse, responses=examples.problems())
    def numbers(request: Request) -> Response:
        """Numbers for Prometheus."""
        return Response(routes.service_of(request).metrics.text(), media_type=metrics.CONTENT_TYPE)

    @app.get("/problems/{kind}", include_in_schema=False)
    async def described(kind: str) -> Response:
        words = problems.describe(kind)
        if words is None:
            raise ProblemError(Kind.UNKNOWN, "There is no such kind of problem.")
        return PlainTextResponse(words)


def _describe(app: FastAPI, *, needs_token: bool) -> None:
    """Let OpenAPI know the problem's schema and, where there is one, the token."""
    made = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = examples.filled_in(made())
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            if needs_token:
                components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                schema["security"] = [{"token": []}]
        return app.openapi_schema or {}

    app.openapi = described  # type: ignore[method-assign]
