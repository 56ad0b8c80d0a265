"""Requests about a service: its health, and the JSON Schemas of its endpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from cwt_schemas.message import Count, Items, Message, Text
from cwt_schemas.query import Seconds


class HealthRequest(Message):
    """Request the health of a service."""


class HealthReply(Message):
    """Health of a service."""

    status: Literal["ok", "degraded", "stopping"]
    version: Annotated[str, Field(max_length=64)]
    uptime_s: Seconds
    #: Messages that are waiting for this service; None if unknown.
    lag: Count | None = None
    #: Problems of the storage, the queues or missing services, one sentence each.
    problems: Items[Text] = ()


#: Name in the metadata of the NATS service, such as ``query.wct/1``, or subject of the endpoint.
SchemaName = Annotated[str, Field(min_length=1, max_length=256)]


class SchemaRequest(Message):
    """Request the JSON Schema of an endpoint."""

    name: SchemaName


class SchemaReply(Message):
    """Request and reply of an endpoint, as JSON Schema (2020-12)."""

    name: SchemaName
    subject: SchemaName
    request: dict[str, JsonValue]
    reply: dict[str, JsonValue]
    #: Schema of every error.
    error: dict[str, JsonValue]
    #: Schema of the message that replaces a reply that is too large.
    stored: dict[str, JsonValue]
