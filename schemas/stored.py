"""Where to find what is too large for a message."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.message import Count, Message


class StoredObject(Message):
    """An object of the object store."""

    bucket: Annotated[str, Field(max_length=128)]
    name: Annotated[str, Field(max_length=256)]
    #: Length in bytes.
    size: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StoredReply(Message):
    """The reply in place of one too large: the object has the reply, encoded as was asked for."""

    object: StoredObject
