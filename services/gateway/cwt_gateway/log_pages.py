"""Pages of the log: stored results, events, markers and samples of a stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from cwt_gateway.caller import Caller, Calling
from cwt_gateway.contract import contract
from cwt_gateway.media import THREAD_FROM_BYTES, accepted, respond
from cwt_gateway.streams import known_name
from cwt_runtime.bus import DurableLog, StoredMessage
from cwt_schemas import storage, subjects
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.codec import content_type_of, decode_tree, encode_tree
from cwt_schemas.errors import ContractError, Timeout, Unprocessable
from cwt_schemas.http import ChunkPage, EventPage, MarkerPage, ResultPage
from cwt_schemas.limits import MAX_INT64
from cwt_schemas.message import listed
from cwt_schemas.stream import StreamDefinition
from pycwt_client.markers import read_marker
from pycwt_client.signals import nanoseconds

__all__ = ["Place", "chosen_channels", "place_of", "router", "sample_block"]

DEFAULT_ITEMS: Final = 100
MAX_ITEMS: Final = 1000
#: Size at which a page ends, bytes of messages; as JSON they are about three times as large.
MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
#: Deadline of a page. Reading takes milliseconds; the rest allows for an outage of the log.
READ_TIMEOUT_S: Final = 20.0

router = APIRouter(prefix="/api/v1/streams", tags=["log"])

Analysis = Annotated[str | None, Query(description="only results of this analysis")]
Channels = Annotated[str | None, Query(description="channels, such as `ecg,abp`; default: all")]
#: Returns the fields of an item in addition to `seq`; None skips the message.
Item = Callable[[StoredMessage], dict[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A position in the log: a sequence number, or the first message stored at or after a time."""

    seq: int = 1
    time_ns: int | None = None

    def is_after(self, stored: StoredMessage) -> bool:
        """Return whether a message is before this position."""
        if self.time_ns is None:
            return stored.seq < self.seq
        return stored.stored_ns < self.time_ns


@dataclass(frozen=True, kw_only=True)
class Span:
    """The part of the log to page through."""

    start: Place
    end: Place
    limit: int


def place_of(field: str, text: str) -> Place:
    """Return the position that a parameter specifies.

    Raises
    ------
    Unprocessable
        It is neither a sequence number nor a time with a time zone.
    """
    if re.fullmatch("[0-9]{1,18}", text):
        return Place(seq=max(int(text), 1))
    try:
        # In a query string, + means a blank.
        time = datetime.fromisoformat(text.replace(" ", "+"))
        time_ns = nanoseconds(time)
        time.astimezone(UTC)  # valid for the log
    except (ValueError, OverflowError):
        example = "such as 2026-01-31T08:00:00Z"
        raise Unprocessable.of(
            {field: f"must be a sequence number or a time with a zone, {example}"}
        ) from None
    return Place(time_ns=max(time_ns, 0))


async def page_span(
    start: Annotated[
        str | None, Query(alias="from", description="`seq` or time (RFC 3339) of the first item")
    ] = None,
    to: Annotated[
        str | None, Query(description="`seq` or time (RFC 3339) before which the items end")
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=MAX_ITEMS, description="maximum number of items on a page")
    ] = DEFAULT_ITEMS,
) -> Span:
    """Return the part of the log that a request specifies.

    Raises
    ------
    Unprocessable
        `from` or `to` is neither a sequence number nor a time with a time zone.
    """
    return Span(
        start=Place() if start is None else place_of("from", start),
        end=Place(seq=MAX_INT64) if to is None else place_of("to", to),
        limit=limit,
    )


#: Type of the parameter of a route that returns a page.
PageSpan = Annotated[Span, Depends(page_span)]


@router.get("/{name}/results", summary="Stored results", operation_id="results")
@contract(reply=ResultPage)
async def results(
    request: Request,
    caller: Calling,
    name: str,
    span: PageSpan,
    analysis: Analysis = None,
) -> Response:
    """Return results in the order in which they were stored."""
    stream = known_name(name)
    subject = subjects.results_of(stream) if analysis is None else subjects.result(stream, analysis)
    return await _respond(request, caller, name, storage.RESULTS, subject, span, _item("result"))


@router.get("/{name}/events", summary="Stored events", operation_id="events")
@contract(reply=EventPage)
async def events(request: Request, caller: Calling, name: str, span: PageSpan) -> Response:
    """Return events in the order in which they were stored."""
    subject = subjects.event(known_name(name))
    return await _respond(request, caller, name, storage.RESULTS, subject, span, _item("event"))


@router.get("/{name}/markers", summary="Stored markers", operation_id="markers")
@contract(reply=MarkerPage)
async def markers(request: Request, caller: Calling, name: str, span: PageSpan) -> Response:
    """Return markers in the order in which they were stored."""
    subject = subjects.marker(known_name(name))
    return await _respond(request, caller, name, storage.RESULTS, subject, span, _marker)


@router.get("/{name}/samples", summary="Stored samples", operation_id="samples")
@contract(reply=ChunkPage)
async def samples(
    request: Request,
    caller: Calling,
    name: str,
    span: PageSpan,
    channels: Channels = None,
) -> Response:
    """Return the chunks of some channels in the order in which they were stored."""
    definition = (await caller.client.get_stream(known_name(name))).definition
    columns = chosen_channels(definition, channels)

    def item(stored: StoredMessage) -> dict[str, Any] | None:
        block = sample_block(stored, definition, columns)
        return None if block is None else {"chunk": block}

    subject = subjects.signal(name)
    return await _respond(request, caller, name, storage.SIGNALS, subject, span, item)


def chosen_channels(
    definition: StreamDefinition, text: str | None, *, default: int | None = None
) -> tuple[int, ...]:
    """Return the columns of the listed channels; without a list, the first `default` or all.

    Raises
    ------
    Unprocessable
        The stream does not have the channel.
    """
    names = definition.channel_names
    if text is None:
        return tuple(range(len(names)))[:default]
    column = {name: index for index, name in enumerate(names)}
    chosen = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [name for name in chosen if name not in column]
    if unknown:
        problem = f"the stream has no channel {unknown[0][:64]!r}; it has {listed(names)}"
        raise Unprocessable.of({"channels": problem})
    return tuple(column[name] for name in chosen)


def sample_block(
    stored: StoredMessage, definition: StreamDefinition, columns: Sequence[int]
) -> dict[str, Any] | None:
    """Return the fields of a `SampleBlock`; None for a chunk that is empty or cannot be decoded."""
    message = stored.message
    try:
        chunk = decode_chunk(message.headers, message.data, len(definition.channels))
    except ContractError:
        return None
    if chunk.n_samples == 0:
        return None
    return {
        "epoch": chunk.epoch,
        "first_sample": chunk.first_sample,
        "t0_ns": chunk.t0_ns,
        "channels": [definition.channel_names[column] for column in columns],
        "samples": chunk.samples.reshape(chunk.n_samples, -1)[:, list(columns)],
    }


def _item(key: str) -> Item:
    def item(stored: StoredMessage) -> dict[str, Any] | None:
        message = stored.message
        try:
            return {key: decode_tree(message.data, content_type_of(message.headers))}
        except ContractError:
            return None

    return item


def _marker(stored: StoredMessage) -> dict[str, Any] | None:
    try:
        read_marker(stored.message)
    except ContractError:
        return None
    return _item("marker")(stored)


async def _respond(
    request: Request, caller: Caller, name: str, stream: str, subject: str, span: Span, item: Item
) -> Response:
    media = accepted(request)
    try:
        with anyio.fail_after(READ_TIMEOUT_S):
            page, size = await _page(caller.bus.log, stream, subject, span, item)
    except TimeoutError:
        raise Timeout(f"no reply from the log within {READ_TIMEOUT_S:g} s") from None
    if not page["items"]:
        await caller.client.get_stream(name)  # reports a name that no stream has
    if size < THREAD_FROM_BYTES:
        packed = encode_tree(page)
    else:
        packed = await anyio.to_thread.run_sync(encode_tree, page)
    return await respond(request, packed, media)


async def _page(
    log: DurableLog, stream: str, subject: str, span: Span, item: Item
) -> tuple[dict[str, Any], int]:
    """Return a page, and the size of its messages, bytes."""
    items: list[dict[str, Any]] = []
    size, following = 0, None
    async with log.read(
        stream, (subject,), start_seq=span.start.seq, start_time_ns=span.start.time_ns
    ) as messages:
        async for stored in messages:
            if not span.end.is_after(stored):
                break
            length = len(stored.message.data)
            if len(items) == span.limit or (items and size + length > MAX_PAGE_BYTES):
                following = stored.seq
                break
            fields = item(stored)
            if fields is not None:
                items.append({"seq": stored.seq, **fields})
                size += length
    return {"items": items, "next": following}, size
