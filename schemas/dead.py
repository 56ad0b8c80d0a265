"""What a service gave up on."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from schemas.message import Count, PersistedMessage, Text
from schemas.names import Name


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("has to be base64") from error


#: Bytes in msgpack, base64 in JSON.
Payload = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


class DeadLetter(PersistedMessage):
    """A message that was given up on, with the reason and all that is needed to try it again."""

    schema_id: Literal["dead.letter/1"] = Field(default="dead.letter/1", alias="schema")
    #: Who gave up.
    where: Name
    #: The subject, id and headers of the message itself.
    subject: Annotated[str, Field(max_length=256)]
    id: Annotated[str, Field(max_length=512)] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    reason: Text
    deliveries: Count
    t_ns: Count
    #: The body, or its beginning where the whole would make this letter too large to send.
    payload: Payload
    #: Length of the whole body.
    payload_bytes: Count
