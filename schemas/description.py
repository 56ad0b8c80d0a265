"""What an endpoint takes and gives, for programs: its JSON Schema, asked for on the bus."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from schemas.message import Message

#: As in the metadata of a NATS service, such as ``query.wct/1``, or the endpoint's subject.
SchemaName = Annotated[str, Field(min_length=1, max_length=256)]


class SchemaRequest(Message):
    """Asks what an endpoint takes and gives."""

    name: SchemaName


class SchemaReply(Message):
    """What an endpoint takes and gives, as JSON Schema (2020-12)."""

    name: SchemaName
    subject: SchemaName
    request: dict[str, JsonValue]
    reply: dict[str, JsonValue]
    #: Of any refusal.
    error: dict[str, JsonValue]
    #: Of what comes in place of a reply that is too large for a message.
    stored: dict[str, JsonValue]
