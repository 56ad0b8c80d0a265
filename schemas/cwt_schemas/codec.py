"""Encoding and decoding of messages in JSON and msgpack; `chunk_codec` adds raw chunks.

Rules
-----
- An empty body stands for an empty object, so a request without fields needs no body.
- Decoding raises only ``ContractError``: ``BadRequest`` for a body that cannot be decoded,
  ``Unprocessable`` for invalid fields, ``PayloadTooLarge`` above a limit.
- An error names every invalid field, and the first invalid element of a list. It repeats no values.
- The elements of a body are counted before it is parsed, see `structure`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgpack  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import orjson
from pydantic import ValidationError

from cwt_schemas import headers as header
from cwt_schemas.arrays import from_numpy, from_packed, to_json, to_packed
from cwt_schemas.errors import BadRequest, PayloadTooLarge, Unprocessable
from cwt_schemas.limits import (
    MAX_JSON_BYTES,
    MAX_LISTED_PROBLEMS,
    MAX_MAP_KEYS,
    MAX_MESSAGE_BYTES,
    MAX_PACKED_ITEMS,
    MAX_PAYLOAD_BYTES,
    SCAN_FROM_BYTES,
)
from cwt_schemas.message import WRONG_FIELD, Message, PersistedMessage, schema_of
from cwt_schemas.structure import check_tree, structure_of_json, structure_of_msgpack

M = TypeVar("M", bound=Message)
Headers = Mapping[str, str]

#: Initial buffer for everything except the arrays, bytes; growing it only costs time.
_PACK_ROOM: Final = 64 * 1024

#: Characters of a field's name in an error; the name of an unknown field is arbitrary.
_FIELD_TEXT: Final = 80


class ContentType(StrEnum):
    """Encoding of a body."""

    JSON = "application/json"
    MSGPACK = "application/msgpack"
    #: Only for raw signal chunks.
    OCTETS = "application/octet-stream"


def content_type_of(headers: Headers | None) -> ContentType:
    """Return the encoding that the headers of a message name, JSON by default.

    Raises
    ------
    BadRequest
        The type is not one of the three.
    """
    given = (headers or {}).get(header.CONTENT_TYPE)
    if not given:
        return ContentType.JSON
    known = _known_type(given)
    if known is None:
        raise BadRequest(f"{header.CONTENT_TYPE} must be one of {', '.join(ContentType)}")
    return known


def reply_type(headers: Headers | None) -> ContentType:
    """Return the encoding of the reply: as in `Accept`, or as the request, or JSON.

    It never raises, because errors are encoded with it too.
    """
    given = headers or {}
    wishes = given.get(header.ACCEPT, "").split(",")
    for candidate in (*wishes, given.get(header.CONTENT_TYPE, "")):
        known = _known_type(candidate)
        if known in {ContentType.JSON, ContentType.MSGPACK}:
            return known
    return ContentType.JSON


def encode(
    message: Message,
    content_type: ContentType,
    *,
    max_bytes: int | None = MAX_MESSAGE_BYTES,
    without: frozenset[str] = frozenset(),
) -> bytes:
    """Return the body of a message.

    Parameters
    ----------
    without
        Fields to omit, which the reader already has.
    max_bytes
        Largest size of the body; None for the object store, which has no such limit.

    Raises
    ------
    PayloadTooLarge
        The body is larger than `max_bytes`; the error has the size and the limit.
    """
    tree = message.model_dump(by_alias=True, exclude=set(without) or None)
    if content_type is ContentType.JSON:
        body = orjson.dumps(_for_json(tree), option=orjson.OPT_SERIALIZE_NUMPY)
    elif content_type is ContentType.MSGPACK:
        body = _packed(tree)
    else:
        raise BadRequest(f"{content_type} is only for raw signal chunks")
    if max_bytes is not None and len(body) > max_bytes:
        raise _too_large(len(body), max_bytes, content_type)
    return body


def encode_fields(fields: Mapping[str, npt.NDArray[np.inexact[Any]]]) -> bytes:
    """Return some fields of a message in msgpack, for the argument `early` of `decode`."""
    return _packed({name: from_numpy(value) for name, value in fields.items()})


def decode(
    model: type[M],
    data: bytes,
    content_type: ContentType = ContentType.JSON,
    *,
    max_bytes: int | None = MAX_PAYLOAD_BYTES,
    early: bytes = b"",
    ignore_unknown: bool = False,
    trusted: bool = False,
) -> M:
    """Return the message in a body.

    Parameters
    ----------
    max_bytes
        Largest size of the body; None for no limit.
    early
        Fields of the message that arrived before, see `encode_fields`.
    ignore_unknown
        Accept fields that the model does not have. Readers of replies, results and events need
        this, because a newer service may have sent them; in a request, such a field is an error.
    trusted
        A service wrote the body, as a reply or into a bucket: in JSON, it may have `max_bytes` too,
        and its structure is not limited.

    Raises
    ------
    BadRequest
        The body cannot be decoded.
    Unprocessable
        Fields are invalid.
    PayloadTooLarge
        The body is above a limit.
    """
    if max_bytes is not None and len(data) > max_bytes:
        raise _too_large(len(data), max_bytes, content_type)
    tree = parsed(data, content_type, trusted=trusted)
    if early:
        tree |= parsed(early, ContentType.MSGPACK, trusted=trusted)
    return message_of(model, tree, ignore_unknown=ignore_unknown)


def message_of(model: type[M], tree: Mapping[str, Any], *, ignore_unknown: bool = False) -> M:
    """Return the message in the tree of a body; raise ``Unprocessable`` for invalid fields."""
    if issubclass(model, PersistedMessage) and model.schema_required and "schema" not in tree:
        raise Unprocessable.of({"schema": f"missing; expected {schema_of(model)!r}"})
    return validated(model, tree, ignore_unknown=ignore_unknown)


def decode_tree(
    data: bytes, content_type: ContentType = ContentType.MSGPACK, *, trusted: bool = False
) -> dict[str, Any]:
    """Return the tree in a body, with packed arrays as numpy arrays; `trusted` as in `decode`.

    For readers that forward a message and must preserve unknown fields.
    """
    try:
        tree = parsed(data, content_type, trusted=trusted)
        if not trusted:  # no model limits its depth
            check_tree(tree)
        with_arrays = _with_arrays(tree)
    except ValueError as error:
        raise BadRequest(f"cannot read an array: {error}") from error
    assert isinstance(with_arrays, dict)  # noqa: S101 - parsed returns nothing else
    return with_arrays


def encode_tree(tree: Mapping[str, Any]) -> bytes:
    """Return the tree of `decode_tree` in msgpack."""
    return _packed(tree)


def _with_arrays(value: object) -> object:
    match value:
        case dict() if value.keys() == {"dtype", "shape", "data"}:
            return from_packed(value)
        case dict():
            return {key: _with_arrays(item) for key, item in value.items()}
        case list():
            return [_with_arrays(item) for item in value]
        case _:
            return value


def _known_type(given: str) -> ContentType | None:
    bare = given.partition(";")[0].strip().lower()
    return next((kind for kind in ContentType if kind == bare), None)


def parsed(data: bytes, content_type: ContentType, *, trusted: bool = False) -> dict[str, Any]:
    """Return the object in a body, with arrays in wire form, for `validated`."""
    if trusted or len(data) < SCAN_FROM_BYTES:
        tree = _parse(data, content_type)
    else:
        tree = _scanned(data, content_type)
    if not isinstance(tree, dict):
        raise BadRequest(f"cannot read the body: expected an object, as {content_type}")
    return tree


def _scanned(data: bytes, content_type: ContentType) -> object:
    """Return the content of a body whose structure is within the limits."""
    if content_type is ContentType.JSON:
        if len(data) > MAX_JSON_BYTES:
            raise _too_large(len(data), MAX_JSON_BYTES, content_type)
        structure = structure_of_json(data)
    else:
        structure = structure_of_msgpack(data)
    structure.check(len(data))
    tree = _parse(data, content_type)
    if isinstance(tree, dict) and structure.texts > MAX_MAP_KEYS:
        check_tree(tree)
    return tree


def _parse(data: bytes, content_type: ContentType) -> object:
    if content_type is ContentType.OCTETS:
        raise BadRequest(f"{content_type} is only for raw signal chunks")
    if len(data) == 0:
        return {}
    try:
        if content_type is ContentType.JSON:
            return orjson.loads(data)
        # The keys of a map must be strings; extensions, including timestamps, are refused.
        return msgpack.unpackb(
            data,
            strict_map_key=True,
            max_array_len=MAX_PACKED_ITEMS,
            max_map_len=MAX_PACKED_ITEMS,
            max_ext_len=0,
            ext_hook=_no_extension,
        )
    except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        raise BadRequest(f"cannot read the body as {content_type}") from error


def _no_extension(code: int, _data: bytes) -> object:
    raise ValueError(f"extension {code}")


def validated(model: type[M], tree: Mapping[str, Any], *, ignore_unknown: bool = False) -> M:
    """Return the message; raise ``Unprocessable`` with every invalid field."""
    known = len(model.model_fields)
    if not ignore_unknown and len(tree) > known + MAX_LISTED_PROBLEMS:
        raise Unprocessable.of({"body": f"{len(tree)} fields, but the message has {known}"})
    try:
        return model.model_validate(tree, extra="ignore" if ignore_unknown else None)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> Unprocessable:
    found = error.errors(include_url=False, include_input=False)
    # pydantic also reports a list as too short if all its elements are invalid; name only those.
    inner = {each["loc"][:depth] for each in found for depth in range(len(each["loc"]))}
    found = [each for each in found if each["type"] != "too_short" or each["loc"] not in inner]
    problems: dict[str, str] = {}
    reason: str | None = None
    for each in found[:MAX_LISTED_PROBLEMS]:
        path = [str(part)[:_FIELD_TEXT] for part in each["loc"]]
        problem = each["msg"].removeprefix("Value error, ")
        if each["type"] == WRONG_FIELD:
            path.append(each["ctx"]["field"])
            problem = each["ctx"]["problem"]
            reason = each["ctx"].get("reason", reason)
        field = ".".join(path) or "body"
        problems[field] = f"{problems[field]}, or {problem}" if field in problems else problem
    more = len(found) - MAX_LISTED_PROBLEMS
    if more > 0:
        problems["more"] = f"{more} more problems"
    return Unprocessable.of(problems, reason)


def _too_large(size: int, limit: int, content_type: ContentType) -> PayloadTooLarge:
    advice = "send smaller messages"
    if content_type is ContentType.JSON:
        advice += f", or use {ContentType.MSGPACK.value}, which is smaller"
    message = f"{size} bytes exceed the limit of {limit}; {advice}"
    return PayloadTooLarge(message, {"size": size, "limit": limit})


def _for_json(value: object) -> object:
    match value:
        case dict():
            return {key: _for_json(item) for key, item in value.items()}
        case list() | tuple():
            return [_for_json(item) for item in value]
        case np.ndarray():
            return to_json(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case _:
            return value


def _packed(tree: Mapping[str, Any]) -> bytes:
    """Return the tree in msgpack, written into a buffer that is large enough from the start."""
    arrays = sum(value.nbytes for value in tree.values() if isinstance(value, np.ndarray))
    packer = msgpack.Packer(default=_for_msgpack, buf_size=arrays + _PACK_ROOM)
    return bytes(packer.pack(tree))


def _for_msgpack(value: object) -> object:
    if isinstance(value, np.ndarray):
        return to_packed(value)
    raise TypeError(f"cannot encode {type(value).__name__} in msgpack")
