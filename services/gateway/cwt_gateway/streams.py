"""Streams: their definitions, and chunks of samples into them."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import Response

from cwt_gateway.caller import Caller, Calling
from cwt_gateway.contract import contract
from cwt_gateway.media import accepted, body_type, respond_message
from cwt_gateway.relay import body_of
from cwt_runtime.bus import StoreAck
from cwt_runtime.bus.errors import StorageFullError
from cwt_runtime.reading import read_body
from cwt_schemas import headers, subjects
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.codec import ContentType, decode_tree, validated
from cwt_schemas.errors import NotFound, Unavailable, Unprocessable
from cwt_schemas.http import ChunkStored
from cwt_schemas.live import SignalChunk
from cwt_schemas.message import is_name
from cwt_schemas.stream import (
    StreamDefinition,
    StreamList,
    StreamListing,
    StreamPurged,
    StreamStatus,
)
from pycwt_client.chunk_messages import message_id
from pycwt_client.request import ASK_TIMEOUT_S

__all__ = ["ChannelCounts", "known_name", "router", "stream_status"]

#: Time for which the number of a stream's channels is cached, seconds.
CACHE_S: Final = 1.0
#: Maximum number of streams in the cache, since clients choose names.
CACHE_SIZE: Final = 1024
router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


@router.get("", summary="List streams with their status", operation_id="list_streams")
@contract(reply=StreamListing)
async def list_streams(request: Request, caller: Calling) -> Response:
    """Return the definitions and status of all streams."""
    listing = await caller.client.ask(
        subjects.stream("list"), StreamList(), StreamListing, timeout_s=ASK_TIMEOUT_S
    )
    return await respond_message(request, listing)


@router.put("/{name}", summary="Define a stream")
@contract(request=StreamDefinition, reply=StreamStatus)
async def put_stream(request: Request, caller: Calling, name: str) -> Response:
    """Define a stream, or replace its definition; the body may omit `name`."""
    accepted(request)
    kind = body_type(request)
    body = await body_of(request, caller)
    definition = await read_body(len(body), _named_definition, name, body, kind)
    status = await caller.client.put_stream(definition)
    _counts_of(request).forget(name)
    return await respond_message(request, status)


@router.get("/{name}", summary="Definition and status of a stream")
@contract(reply=StreamStatus)
async def get_stream(request: Request, caller: Calling, name: str) -> Response:
    """Return the definition and status of a stream."""
    return await respond_message(request, await stream_status(caller, name))


@router.delete("/{name}", summary="Delete a stream")
@contract(reply=StreamStatus)
async def delete_stream(request: Request, caller: Calling, name: str) -> Response:
    """Delete a stream's definition and stop uploads to it; samples and results stay."""
    accepted(request)
    status = await caller.client.delete_stream(known_name(name))
    request.app.state.uploads.cancel(name)
    _counts_of(request).forget(name)
    return await respond_message(request, status)


@router.delete("/{name}/data", summary="Remove the data of a stream")
@contract(reply=StreamPurged)
async def delete_stream_data(request: Request, caller: Calling, name: str) -> Response:
    """Remove all stored data of a deleted stream, and return the numbers of removed items.

    Samples, results, events and definitions of the stream are removed, and all cached replies to
    queries. They cannot be restored. The reply is sent once nothing more is being stored.
    """
    accepted(request)
    return await respond_message(request, await caller.client.purge_stream(known_name(name)))


@router.post("/{name}/chunks", summary="Publish samples", status_code=HTTPStatus.ACCEPTED)
@contract(
    request=SignalChunk,
    reply=ChunkStored,
    status=HTTPStatus.ACCEPTED,
    raw=(ContentType.OCTETS.value,),
    headers=headers.CHUNK,
)
async def post_chunk(request: Request, caller: Calling, name: str) -> Response:
    """Store a chunk: JSON, msgpack, or raw samples with the headers ``Cwt-*``."""
    accepted(request)
    kind = body_type(request, ContentType.OCTETS)
    body = await body_of(request, caller)
    # HTTP ignores the case of header names, NATS does not.
    own = {each: value for each in headers.CHUNK if (value := request.headers.get(each))}
    own[headers.CONTENT_TYPE] = kind.value
    channels = await _counts_of(request).of(caller, name)
    size = 0 if kind is ContentType.OCTETS else len(body)
    chunk = await read_body(size, decode_chunk, own, body, channels)
    msg_id = message_id(name, chunk, request.app.state.chunk_nonce)
    ack = await _stored(caller, subjects.signal(name), body, msg_id, own)
    return await respond_message(
        request, ChunkStored(seq=ack.seq, duplicate=ack.duplicate), status=HTTPStatus.ACCEPTED
    )


def _named_definition(name: str, body: bytes, kind: ContentType) -> StreamDefinition:
    tree = {"name": name, **decode_tree(body, kind)}
    if tree["name"] != name:
        raise Unprocessable.of({"name": f"differs from the path, which has {name[:64]}"})
    return validated(StreamDefinition, tree)


async def stream_status(caller: Caller, name: str) -> StreamStatus:
    """Return a stream and its status.

    Raises
    ------
    NotFound
        The stream does not exist.
    """
    return await caller.client.get_stream(known_name(name))


def known_name(name: str) -> str:
    """Return a valid stream name from a path.

    Raises
    ------
    NotFound
        The name is not valid, so there is no such stream.
    """
    if not is_name(name):
        raise NotFound("invalid stream name: use 1 to 64 letters, digits, - or _")
    return name


class ChannelCounts:
    """Numbers of channels of streams, cached for `CACHE_S`."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    async def of(self, caller: Caller, name: str) -> int:
        """Return the number of channels of a stream.

        Raises
        ------
        NotFound
            The stream does not exist.
        """
        now = anyio.current_time()
        known = self._known.get(name)
        if known is None or known.until < now:
            status = await stream_status(caller, name)
            known = _Known(len(status.definition.channels), now + CACHE_S)
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[name] = known
        return known.channels

    def forget(self, name: str) -> None:
        """Remove a stream that was changed here from the cache."""
        self._known.pop(name, None)


def _counts_of(request: Request) -> ChannelCounts:
    counts = request.app.state.channel_counts
    assert isinstance(counts, ChannelCounts)  # noqa: S101 - make_app puts it there
    return counts


@dataclass(frozen=True)
class _Known:
    channels: int
    until: float


async def _stored(
    caller: Caller, subject: str, body: bytes, msg_id: str, own: dict[str, str]
) -> StoreAck:
    try:
        return await caller.bus.log.store(subject, body, msg_id=msg_id, headers=own)
    except StorageFullError as error:
        raise Unavailable(
            "the signal log is full: delete streams, lower CWT_SIGNALS_MAX_AGE_S, or raise "
            "CWT_SIGNALS_MAX_BYTES"
        ) from error
