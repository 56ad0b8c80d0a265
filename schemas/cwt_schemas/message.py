"""The base of everything that travels, the types of its fields, and what stands in for a message.

Messages are frozen, keyword-only, strict, and compared by content. A name is one token of a
subject, so it has no dot, blank or wildcard.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
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

from cwt_schemas.limits import MAX_ID, MAX_INT64, MAX_TEXT

T = TypeVar("T")

#: A position, a number of things, a time in nanoseconds UTC or a sequence number.
Count = Annotated[int, Field(ge=0, le=MAX_INT64)]
#: A number of things of which there has to be one.
PositiveCount = Annotated[int, Field(ge=1, le=MAX_INT64)]
#: A position that may lie before the start of the epoch.
Position = Annotated[int, Field(ge=-MAX_INT64, le=MAX_INT64)]
PositiveReal = Annotated[float, Field(gt=0)]
#: An explanation meant for people.
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
#: The first 16 hexadecimal characters of a SHA-256.
ShortHash = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
#: What a stream, an analysis, a channel, a job or a device may be called.
NAME_PATTERN: Final = "[A-Za-z0-9_-]{1,64}"
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
#: Which run of the device; it is part of message ids and of a header, so no blanks.
Epoch = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:+-]{1,64}$")]
#: A list on the wire, a tuple here; the elements stay strict. The first wrong one ends the check,
#: since a list may have a million.
Items = Annotated[tuple[T, ...], Strict(False), Field(fail_fast=True)]

#: Largest array that the repr of a message shows in full.
MAX_REPR_NUMBERS = 8

#: Names in a message for people; a stream may have a thousand channels.
MAX_LISTED_NAMES: Final = 32

#: The type of validation error that says itself which field is wrong.
WRONG_FIELD: Final = "wrong_field"

#: The reason of a refusal: two signals that belong together differ in length.
UNEQUAL_LENGTHS: Final = "unequal_lengths"

_NAME: Final = re.compile(NAME_PATTERN)


class Message(BaseModel):
    """A value that crosses the bus.

    Unknown fields are an error, and so is a value of another type: no number is read from a
    string, no boolean from a number. Arrays are equal when dtype, shape and values are, NaN
    counting as equal to NaN.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        # An error names the field; the value may be megabytes, and isn't ours to repeat.
        hide_input_in_errors=True,
    )

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        fields = type(self).model_fields
        return all(_same(getattr(self, name), getattr(other, name)) for name in fields)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield the fields of the repr; long arrays by dtype and shape alone."""
        for name, value in super().__repr_args__():
            long = isinstance(value, np.ndarray) and value.size > MAX_REPR_NUMBERS
            yield name, _Outline(value.dtype, value.shape) if long else value


class _Outline(NamedTuple):
    """What the repr of a message shows of an array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<{self.dtype} {self.shape}>"


class PersistedMessage(Message):
    """A message that is kept, and says which version of its schema it was written in.

    Subclasses have ``schema_id``, alias ``schema``, with its only possible value as the default.
    """

    #: Whether what arrives has to carry ``schema``; what leaves always does.
    schema_required: ClassVar[bool] = True

    @field_validator("schema_id", mode="before", check_fields=False)
    @classmethod
    def _version(cls, value: object) -> object:
        known = schema_of(cls)
        if value == known:
            return value
        if not isinstance(value, str):
            raise ValueError(f"has to be {known!r}")
        name, _, version = known.partition("/")
        other, _, other_version = value[:MAX_ID].partition("/")
        if other == name:
            raise ValueError(
                f"{name} version {other_version[:32]!r} is not understood, only version {version!r}"
            )
        raise ValueError(f"the message is {value[:64]!r}, expected {known!r}")

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
    """An object of the object store."""

    bucket: Annotated[str, Field(max_length=128)]
    name: Annotated[str, Field(max_length=256)]
    #: Length in bytes.
    size: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StoredReply(Message):
    """The reply in place of one too large: the object has the reply, encoded as was asked for."""

    object: StoredObject


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


def wrong_field(field: str, problem: str, *, reason: str | None = None) -> PydanticCustomError:
    """Return what to raise when a check across fields blames one of them.

    `reason` is a word for programs; it is sent as ``detail.reason`` of the refusal.
    """
    facts = {"field": field, "problem": problem, **({"reason": reason} if reason else {})}
    return PydanticCustomError(WRONG_FIELD, "{field}: {problem}", facts)


def is_name(value: object) -> bool:
    """Return whether the value can be used as a name."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def content_digest(message: Message, *, without: frozenset[str] = frozenset()) -> bytes:
    """Return the SHA-256 of all fields but those named, numbers in arrays bit by bit.

    It does not depend on who sent the message or in which encoding.
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
    """Return `text` cut to what a field of type `Text` takes."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 4] + " ..."


def listed(names: Sequence[str], most: int = MAX_LISTED_NAMES) -> str:
    """Return names for a person to read, those after the first `most` as a number."""
    shown, more = ", ".join(names[:most]), len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def schema_of(model: type[PersistedMessage]) -> str:
    """Return the name and version that messages of this type carry, such as ``signal.chunk/1``."""
    return str(model.model_fields["schema_id"].default)


def _same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        nan = one.dtype.kind in "fc"
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=nan)
    return one is other or bool(type(one) is type(other) and one == other)
