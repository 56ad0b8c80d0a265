"""The OpenAPI document of FastAPI, extended by bodies that the models of the bus describe.

``python -m cwt_gateway.openapi`` prints it; ``docs/openapi.json`` is that output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Literal

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from cwt_gateway.authentication import KEY_HEADER, PUBLIC, SESSION_COOKIE
from cwt_gateway.contract import Contract, contract_of
from cwt_gateway.media import Media
from cwt_gateway.problems import PROBLEM_TYPE
from cwt_schemas.message import Message

__all__ = ["document"]

Mode = Literal["validation", "serialization"]
Described = tuple[type[Message], Mode]

#: A model of the bus has the name Problem.
PROBLEM_SCHEMA = "ProblemDetails"
PROBLEM = {
    "title": PROBLEM_SCHEMA,
    "description": "Problem details (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for users."},
        "code": {"type": "string", "description": "Error code; the same in every version."},
        "fields": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["type", "title", "status", "detail", "code"],
}
#: How a request identifies itself to a gateway that needs keys.
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key, which `pycwt-mod key add` makes, or a session.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "A key or a session.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A session, which `POST /api/v1/session` sets in a browser.",
    },
}


def document(app: FastAPI, routers: Iterable[APIRouter]) -> dict[str, Any]:
    """Return the document of `app`, which includes `routers`."""
    made: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    operations = [
        (route, each, made["paths"][route.path_format][method.lower()])
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        and route.include_in_schema
        and (each := contract_of(route.endpoint)) is not None
        for method in sorted(route.methods or ())
    ]
    described: list[Described] = [found for _, each, _ in operations for found in _models(each)]
    references, definitions = models_json_schema(
        described, ref_template="#/components/schemas/{model}"
    )
    for _, each, operation in operations:
        _describe(operation, each, references)
    for path in made["paths"].values():
        for operation in path.values():
            _describe_problems(operation)
    schemas = {**definitions.get("$defs", {}), PROBLEM_SCHEMA: PROBLEM}
    made["components"] = {
        "schemas": dict(sorted(schemas.items())),
        "securitySchemes": SECURITY_SCHEMES,
    }
    # {}: a gateway without keys needs none of them.
    made["security"] = [{}, *({name: []} for name in SECURITY_SCHEMES)]
    for path in PUBLIC & made["paths"].keys():
        for operation in made["paths"][path].values():
            operation["security"] = []
    return made


def _models(contract: Contract) -> list[Described]:
    found: list[Described] = []
    if contract.request is not None:
        found.append((contract.request, "validation"))
    if contract.reply is not None:
        found.append((contract.reply, "serialization"))
    return found


def _describe(
    operation: dict[str, Any], contract: Contract, references: dict[Any, dict[str, Any]]
) -> None:
    content: dict[str, Any] = {}
    if contract.request is not None:
        body = references[contract.request, "validation"]
        content = {Media.JSON.value: {"schema": body}, Media.MSGPACK.value: {"schema": body}}
    for kind in contract.raw:
        content[kind] = {"schema": {"type": "string", "format": "binary"}}
    if content:
        operation["requestBody"] = {"required": True, "content": content}
    if contract.headers:
        own = [_header(name, schema) for name, schema in contract.headers.items()]
        operation["parameters"] = [*operation.get("parameters", []), *own]
    operation["responses"].pop("200", None)
    response: dict[str, Any] = {}
    if contract.reply is not None:
        reply = references[contract.reply, "serialization"]
        response["content"] = {
            Media.JSON.value: {"schema": reply},
            Media.MSGPACK.value: {"schema": {"type": "string", "format": "binary"}},
        }
        if contract.archive:
            archive = {"schema": {"type": "string", "format": "binary"}}
            response["content"][Media.NPZ.value] = archive
    if contract.media_types:
        response["content"] = {kind: {} for kind in contract.media_types}
    for status in (contract.status, *contract.also):
        described = {**response, "description": HTTPStatus(status).phrase}
        operation["responses"][str(status)] = described


def _header(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in schema.items() if key != "description"}
    # Required only with a raw body, which the schema of a parameter cannot express.
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": f"For a raw body. {schema['description']}",
        "schema": own,
    }


def _describe_problems(operation: dict[str, Any]) -> None:
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = {
        "description": "Error",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": f"#/components/schemas/{PROBLEM_SCHEMA}"}}},
    }


if __name__ == "__main__":
    from cwt_gateway.app import documented_app

    sys.stdout.buffer.write(
        orjson.dumps(documented_app().openapi(), option=orjson.OPT_INDENT_2) + b"\n"
    )
