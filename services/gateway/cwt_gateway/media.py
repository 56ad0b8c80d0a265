"""Encodings of requests and replies: negotiate them, and encode replies.

The bus replies in msgpack. Such a reply is passed on unchanged, or converted to JSON or a NumPy
archive in a thread: ten thousand samples of a transform are 20 MB of JSON.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus

import anyio
import anyio.to_thread
from fastapi import Request
from fastapi.responses import Response

from cwt_gateway.contract import contract_of
from cwt_gateway.problems import ProblemDetails
from cwt_gateway.reply_budget import hold_reply
from cwt_schemas import http
from cwt_schemas.codec import ContentType, decode_tree, encode
from cwt_schemas.message import Message

__all__ = [
    "Media",
    "accepted",
    "accepts_gzip",
    "body_type",
    "check_accepts",
    "check_uncompressed",
    "respond",
    "respond_message",
]

#: Level 9 takes seven times as long for 7 % less.
GZIP_LEVEL = 1
#: Below this size, headers and time cost more than compression saves, bytes.
GZIP_FROM_BYTES = 1024
#: Below this size, encoding takes less time than switching to a thread, bytes.
THREAD_FROM_BYTES = 16 * 1024


class Media(StrEnum):
    """The encodings of a reply."""

    JSON = "application/json"
    MSGPACK = "application/msgpack"
    NPZ = "application/x-npz"


#: Memory of encoding, as a multiple of the reply's size on the bus, including the reply. Measured
#: for 30 MiB in double precision: 4.5 for JSON, with 20 bytes per number, and 3.5 for an archive.
ENCODING_FACTOR = {Media.MSGPACK: 1, Media.JSON: 5, Media.NPZ: 4}


def accepted(request: Request) -> Media:
    """Return the encoding that the header ``Accept`` selects, JSON by default.

    A route that changes state calls it first, so that a refused request has no effect.

    Raises
    ------
    ProblemDetails
        406: no supported encoding is acceptable.
    """
    contract = contract_of(request.scope.get("endpoint"))
    has_archive = contract is None or contract.archive
    possible = [each for each in Media if has_archive or each is not Media.NPZ]
    for each in _preferred(request, "accept", default="*/*"):
        if each in {"*/*", "application/*"}:
            return Media.JSON
        if each in possible:
            return Media(each)
    raise _not_acceptable(*possible)


def check_accepts(request: Request, media_type: str) -> None:
    """Raise `ProblemDetails` 406 if a request does not accept a reply of this type."""
    general = media_type.partition("/")[0] + "/*"
    if not {media_type, general, "*/*"} & set(_preferred(request, "accept", default="*/*")):
        raise _not_acceptable(media_type)


def _not_acceptable(*possible: str) -> ProblemDetails:
    detail = f"the reply is {' or '.join(possible)}: set Accept to that"
    return ProblemDetails(HTTPStatus.NOT_ACCEPTABLE, "not_acceptable", detail)


def accepts_gzip(request: Request) -> bool:
    """Return whether a response may be compressed with gzip."""
    return "gzip" in _preferred(request, "accept-encoding")


def body_type(request: Request, *others: ContentType) -> ContentType:
    """Return the encoding of a request's body: JSON, msgpack, or one of `others`.

    Raises
    ------
    ProblemDetails
        415: another type, or a compressed body.
    """
    check_uncompressed(request)
    possible = (ContentType.JSON, ContentType.MSGPACK, *others)
    name = request.headers.get("content-type", ContentType.JSON).partition(";")[0].strip().lower()
    for kind in possible:
        if kind == name:
            return kind
    raise ProblemDetails(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        f"set the header Content-Type to {' or '.join(possible)} (it is {name[:80]!r})",
    )


def check_uncompressed(request: Request) -> None:
    """Raise `ProblemDetails` 415 if the body of a request is compressed."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemDetails(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body is compressed; send it without Content-Encoding",
        )


async def respond(
    request: Request,
    packed: bytes,
    media: Media,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response in the encoding `media` whose body is a message in msgpack.

    Raises
    ------
    Unavailable
        Other replies use the memory that this one needs.
    """
    hold_reply(request, ENCODING_FACTOR[media] * len(packed))
    response = await _response(request, packed, media, status, headers)
    hold_reply(request, len(response.body))
    return response


async def respond_message(
    request: Request,
    message: Message,
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response with `message` as its body, in an encoding that the request accepts.

    It is never refused for lack of memory, since it may report a change of state.
    """
    packed = encode(message, ContentType.MSGPACK, max_bytes=None)
    return await _response(request, packed, accepted(request), status, headers)


async def _response(
    request: Request,
    packed: bytes,
    media: Media,
    status: int,
    headers: Mapping[str, str] | None,
) -> Response:
    own = dict(headers or {}) | {"Vary": "Accept, Accept-Encoding"}
    if media is Media.MSGPACK:
        return Response(packed, status, headers=own, media_type=media)
    zipped = media is Media.JSON and accepts_gzip(request)
    if len(packed) < THREAD_FROM_BYTES:
        body, zipped = _encoded(packed, media, zipped)
    else:
        body, zipped = await anyio.to_thread.run_sync(_encoded, packed, media, zipped)
    if zipped:
        own["Content-Encoding"] = "gzip"
    return Response(body, status, headers=own, media_type=media)


def _encoded(packed: bytes, media: Media, zipped: bool) -> tuple[bytes, bool]:
    tree = decode_tree(packed, trusted=True)
    body = http.to_npz(tree) if media is Media.NPZ else http.to_json(tree)
    if not zipped or len(body) < GZIP_FROM_BYTES:
        return body, False
    return gzip.compress(body, GZIP_LEVEL, mtime=0), True


def _preferred(request: Request, header: str, *, default: str = "") -> list[str]:
    """Return the items of a header such as ``Accept``, by preference."""
    weighted: list[tuple[float, str]] = []
    lines = ",".join(request.headers.getlist(header))
    for part in (lines or default).split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            quality = float(weight)
        except ValueError:
            continue
        if quality > 0:
            weighted.append((quality, name))
    return [name for _, name in sorted(weighted, key=lambda each: -each[0])]
