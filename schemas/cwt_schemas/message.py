"""The base class of messages, the types of their fields, stored objects and dead letters.

Messages are frozen, keyword-only, strict, and compared by content. A name is one token of a
subject, so it has no dot, blank or wildcard.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    Strict,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from cwt_schemas.limits import MAX_ID, MAX_INT64, MAX_TEXT, MAX_USER

T = TypeVar("T")

#: A position, a number of items, a time in nanoseconds UTC or a sequence number.
Count = Annotated[int, Field(ge=0, le=MAX_INT64)]
#: A number of items, at least one.
PositiveCount = Annotated[int, Field(ge=1, le=MAX_INT64)]
#: A position that may lie before the start of the epoch.
Position = Annotated[int, Field(ge=-MAX_INT64, le=MAX_INT64)]
PositiveReal = Annotated[float, Field(gt=0)]
#: A text for users.
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
#: The first 16 hexadecimal characters of a SHA-256.
ShortHash = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
#: Name of a stream, an analysis, a channel, a job or a device.
NAME_PATTERN: Final = "[A-Za-z0-9_-]{1,64}"
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
#: Run of the device; part of message ids and of a header, so without blanks.
Epoch = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:+-]{1,64}$")]
#: User of the bus, as reported by the server. Omitted if unknown: earlier versions do not know it.
UserName = Annotated[str | None, Field(max_length=MAX_USER, exclude_if=lambda name: name is None)]
#: A list on the wire, a tuple in Python; the elements are strict. Validation stops at the first
#: invalid element, because a list may have a million.
Items = Annotated[tuple[T, ...], Strict(False), Field(fail_fast=True)]

#: Largest array that the repr of a message shows in full.
MAX_REPR_NUMBERS = 8

#: Number of names that an error message lists; a stream may have a thousand channels.
MAX_LISTED_NAMES: Final = 32

#: Type of the validation errors that name the invalid field themselves.
WRONG_FIELD: Final = "wrong_field"

#: Reason code of a refusal: two signals of a pair differ in length.
UNEQUAL_LENGTHS: Final = "unequal_lengths"

_NAME: Final = re.compile(NAME_PATTERN)


class Message(BaseModel):
    """Base class of the messages on the bus.

    Unknown fields are an error, and so are values of another type: a string is not converted to a
    number, nor a number to a boolean. Arrays are equal if dtype, shape and values are equal; NaN
    equals NaN.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        # An error names the field; the value may be megabytes of a user's data.
        hide_input_in_errors=True,
    )

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        fields = type(self).model_fields
        return all(_same(getattr(self, name), getattr(other, name)) for name in fields)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield the fields of the repr; long arrays as dtype and shape only."""
        for name, value in super().__repr_args__():
            long = isinstance(value, np.ndarray) and value.size > MAX_REPR_NUMBERS
            yield name, _Outline(value.dtype, value.shape) if long else value


class _Outline(NamedTuple):
    """The repr of a long array in a message."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<{self.dtype} {self.shape}>"


class PersistedMessage(Message):
    """Base class of stored messages, which name the version of their schema.

    Subclasses have ``schema_id``, alias ``schema``, with its only valid value as the default.
    """

    #: Whether ``schema`` is required in received messages; sent messages always have it.
    schema_required: ClassVar[bool] = True

    @field_validator("schema_id", mode="before", check_fields=False)
    @classmethod
    def _version(cls, value: object) -> object:
        known = schema_of(cls)
        if value == known:
            return value
        if not isinstance(value, str):
            raise ValueError(f"must be {known!r}")
        name, _, version = known.partition("/")
        other, _, other_version = value[:MAX_ID].partition("/")
        if other == name:
            raise ValueError(
                f"cannot read {name} version {other_version[:32]!r}, only version {version!r}"
            )
        raise ValueError(f"got {value[:64]!r}, expected {known!r}")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        described = handler(core_schema)
        own = handler.resolve_ref_schema(described)
        if cls.schema_required:
            own["required"] = ["schema", *own.get("required", [])]
        return described


class StoredObject(Message):
    """Reference to an object in the object store."""

    bucket: Annotated[str, Field(max_length=128)]
    name: Annotated[str, Field(max_length=256)]
    #: Length in bytes.
    size: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StoredReply(Message):
    """Reference to a reply that is too large for a message, in the encoding of the reply."""

    object: StoredObject


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("must be base64") from error


#: Bytes in msgpack, base64 in JSON.
Payload = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


class DeadLetter(PersistedMessage):
    """A message that a service gave up, with the reason and all that a retry needs."""

    schema_id: Literal["dead.letter/1"] = Field(default="dead.letter/1", alias="schema")
    #: The service that gave up.
    where: Name
    #: Subject, id and headers of the original message.
    subject: Annotated[str, Field(max_length=256)]
    id: Annotated[str, Field(max_length=512)] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    reason: Text
    deliveries: Count
    t_ns: Count
    #: The body, or its beginning if the dead letter would otherwise be too large to send.
    payload: Payload
    #: Length of the whole body.
    payload_bytes: Count


def wrong_field(field: str, problem: str, *, reason: str | None = None) -> PydanticCustomError:
    """Return the exception for a validator that finds one field invalid.

    `reason` is a code for programs; it is sent as ``detail.reason`` of the error.
    """
    facts = {"field": field, "problem": problem, **({"reason": reason} if reason else {})}
    return PydanticCustomError(WRONG_FIELD, "{field}: {problem}", facts)


def is_name(value: object) -> bool:
    """Return whether the value is a valid name."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def content_digest(message: Message, *, without: frozenset[str] = frozenset()) -> bytes:
    """Return the SHA-256 of all fields except `without`; arrays are hashed bit by bit.

    It does not depend on the sender or the encoding of the message.
    """
    digest = hashlib.sha256()
    for name in sorted(type(message).model_fields.keys() - without):
        value = getattr(message, name)
        if isinstance(value, np.ndarray):
            digest.update(f"{name}={value.dtype.str}{value.shape}:".encode())
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        else:
            digest.update(f"{name}={value!r};".encode())
    return digest.digest()


def clipped(text: str) -> str:
    """Return `text`, shortened to the length limit of `Text`."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 4] + " ..."


def listed(names: Sequence[str], most: int = MAX_LISTED_NAMES) -> str:
    """Return the first `most` names, separated by commas, and the number of the others."""
    shown, more = ", ".join(names[:most]), len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def schema_of(model: type[PersistedMessage]) -> str:
    """Return the schema name and version of this message type, such as ``signal.chunk/1``."""
    return str(model.model_fields["schema_id"].default)


def _same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        nan = one.dtype.kind in "fc"
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=nan)
    return one is other or bool(type(one) is type(other) and one == other)


def check_unique(field: str, items: Iterable[object]) -> None:
    """Raise an error about `field` if an item occurs twice."""
    listed = list(items)
    if len(set(listed)) < len(listed):
        raise wrong_field(field, "contains duplicates")
