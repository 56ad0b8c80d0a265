"""Keys of HTTP clients, as they are stored: whom a key acts as, and how it is recognised."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, Strict

from cwt_schemas.message import Count, Name, PersistedMessage

__all__ = ["KeyRecord", "Role"]


class Role(StrEnum):
    """What kind of user of the bus a key acts as."""

    DEVICE = "device"
    READER = "reader"
    ANALYST = "analyst"
    OPERATOR = "operator"


class KeyRecord(PersistedMessage):
    """A key, without the key itself."""

    schema_id: Literal["access.key/1"] = Field(default="access.key/1", alias="schema")
    name: Name
    role: Annotated[Role, Strict(False)]
    #: The user of the bus whose permissions the key has.
    user: Name
    #: SHA-256 of the key, whose 256 random bits need neither a salt nor a work factor.
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    #: Nanoseconds UTC.
    created_ns: Count
    #: Nanoseconds UTC; None: it does not expire.
    expires_ns: Count | None = None
