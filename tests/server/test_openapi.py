"""What the API says of itself, and what schemathesis finds by it."""

from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.server.running import Running, picture, post
from tumorlens.server.app import create_app
from tumorlens.server.settings import Settings

FEW = 6  # examples of each route


@pytest.fixture(scope="module")
def described(real: Running) -> dict[str, Any]:
    """The server's OpenAPI."""
    told: dict[str, Any] = real.client.get("/openapi.json").json()
    return told


def test_every_route_tells_its_problems_and_examples(described: dict[str, Any]) -> None:
    routes = {
        (path, method): route
        for path, methods in described["paths"].items()
        for method, route in methods.items()
        if path.startswith("/v1")
    }
    assert len(routes) == 10
    for (path, method), route in routes.items():
        assert route["summary"], path
        assert route["description"], path
        for status, response in route["responses"].items():
            assert response["description"], (path, method, status)
            if int(status) >= 400:
                [content] = response["content"].items()
                assert content[0] == "application/problem+json"
    assert "HTTPValidationError" not in described["components"]["schemas"]
    assert {"Problem", "Analysis", "FindingDocument", "View", "ModelPart"} <= set(
        described["components"]["schemas"]
    )
    assert described["paths"]["/v1/analyses"]["post"]["requestBody"]["content"].keys() == {
        "multipart/form-data"
    }


def test_its_examples_are_what_it_says(described: dict[str, Any]) -> None:
    resolved = {"components": described["components"]}
    count = 0
    for methods in described["paths"].values():
        for route in methods.values():
            for response in route["responses"].values():
                content = response.get("content", {}).get("application/json", {})
                if "example" in content:
                    jsonschema.validate(content["example"], {**content["schema"], **resolved})
                    count += 1
    assert count >= 5


def test_it_asks_for_the_token_where_there_is_one(tmp_path: Path) -> None:
    app = create_app(Settings.model_validate({"data": tmp_path / "data", "token": "t" * 20}))
    try:
        told = app.openapi()
        assert told["security"] == [{"token": []}]
        assert told["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
    finally:
        app.state.service.store.close()


def test_there_is_no_page_that_fetches_scripts_from_elsewhere(client: httpx.Client) -> None:
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


def test_no_request_by_the_schema_ends_in_an_unforeseen_error(real: Running, tmp_path: Path) -> None:
    known = post(real.client, picture(tmp_path / "a.png")).json()["id"]
    schema = schemathesis.openapi.from_url(f"{real.client.base_url}openapi.json")
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
        schemathesis.specs.openapi.checks.response_schema_conformance,
    ]
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=FEW,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        def ask(case: Any) -> None:
            if "id" in (case.path_parameters or {}) and case.method != "DELETE":
                case.path_parameters["id"] = known  # or nothing but 404 would be seen
            case.call_and_validate(checks=checks)

        given(case=operation.as_strategy())(ask)()
