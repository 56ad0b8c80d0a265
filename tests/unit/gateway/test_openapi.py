"""The committed document is the one that routes and models make, and it hangs together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from fastapi.routing import APIRoute

from cwt_gateway.app import ROUTERS, documented_app
from cwt_gateway.contract import contract_of
from cwt_gateway.problems import problem_of
from cwt_schemas import headers
from cwt_schemas.errors import Unprocessable
from tests.unit.schemas.test_asyncapi import references

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return documented_app().openapi()


def operations(made: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_committed_document_is_up_to_date(made: dict[str, Any]) -> None:
    assert orjson.loads(COMMITTED.read_bytes()) == made, "run: make docs"


def test_the_document_is_made_once() -> None:
    """Each request for it, which needs no key, blocked the gateway for 100 ms."""
    app = documented_app()
    assert app.openapi() is app.openapi()


def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    found = set(references(made))
    assert len(found) > 10
    for reference in found:
        place: Any = made
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_schema_is_one(made: dict[str, Any]) -> None:
    for schema in made["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_route_says_what_it_takes_and_gives_or_is_not_in_the_document() -> None:
    routes = [route for router in ROUTERS for route in router.routes]
    silent = [
        route.path for route in routes
        if isinstance(route, APIRoute)
        and route.include_in_schema
        and contract_of(route.endpoint) is None
    ]  # fmt: skip
    assert silent == []


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(made: dict[str, Any]) -> None:
    found = [operation for *_, operation in operations(made)]
    names = [operation["operationId"] for operation in found]
    assert len(names) == len(set(names))
    assert all(operation["summary"] for operation in found)
    assert all("default" in operation["responses"] for operation in found)


def test_a_raw_chunk_is_described_with_all_its_headers(made: dict[str, Any]) -> None:
    operation = made["paths"]["/api/v1/streams/{name}/chunks"]["post"]
    found = [each["name"] for each in operation["parameters"] if each["in"] == "header"]
    assert found == list(headers.CHUNK)
    bus = orjson.loads((COMMITTED.parent / "asyncapi.json").read_bytes())
    described = bus["components"]["messages"]["RawSignalChunk"]["headers"]["properties"]
    assert {*described} == {"Content-Type", *found}


def test_a_problem_is_what_the_document_says(made: dict[str, Any]) -> None:
    problem = orjson.loads(problem_of(Unprocessable.of({"dt": "is missing"})).body)
    for _, _, operation in operations(made):
        (content,) = operation["responses"]["default"]["content"].values()
        # Nothing in it refers to other schemas.
        schema = made["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        jsonschema.validate(problem, schema)
