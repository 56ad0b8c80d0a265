"""Requests and replies of the endpoints as JSON Schema."""

from __future__ import annotations

from functools import cache
from typing import Any

from cwt_schemas.endpoints import ENDPOINTS, Endpoint
from cwt_schemas.errors import ErrorBody, NotFound
from cwt_schemas.message import Message, StoredReply
from cwt_schemas.service import SchemaReply

__all__ = ["answer_schema"]


def answer_schema(name: str) -> SchemaReply:
    """Return the schemas of the endpoint with this schema id or subject.

    Raises
    ------
    NotFound
        There is no such endpoint; the message lists all names.
    """
    for endpoint in ENDPOINTS.values():
        if name in {endpoint.schema_id, endpoint.subject}:
            return _described(endpoint)
    known = ", ".join(endpoint.schema_id for endpoint in ENDPOINTS.values())
    raise NotFound(f"there is no schema with that name; available: {known}")


def _described(endpoint: Endpoint) -> SchemaReply:
    return SchemaReply(
        name=endpoint.schema_id,
        subject=endpoint.subject,
        request=_json_schema(endpoint.request),
        reply=_json_schema(endpoint.reply),
        error=_json_schema(ErrorBody),
        stored=_json_schema(StoredReply),
    )


@cache
def _json_schema(model: type[Message]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
