"""Streams that belong to a connection and end with it.

A stream has the name ``ws-<id of the gateway>-<random>``, and is removed when its connection ends.
If a gateway could not remove it, because it was killed or the bus was unreachable until it ended,
the next gateway that starts removes it once the owner does not reply to pings.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
from anyio.abc import TaskGroup

from cwt_gateway.service import SERVICE
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError, BusTimeoutError, NoRespondersError
from cwt_runtime.rpc.micro import ping_subject
from cwt_schemas import storage, subjects
from cwt_schemas.errors import ContractError, Forbidden, NotFound, Unprocessable
from cwt_schemas.stream import StreamDefinition, StreamStatus
from pycwt_client import Client

__all__ = ["new_stream_name", "owned_stream", "remove_orphans"]

#: Time that the task of the connection waits until the stream is deleted.
REMOVE_S: Final = 2.0
#: Pause before retrying a removal.
RETRY_S: Final = 5.0
#: Time within which a gateway that lost its connection reconnects.
RECONNECT_S: Final = 10.0
PING_TIMEOUT_S: Final = 2.0

_OWNED = re.compile(r"ws-(gateway-[0-9]+-[0-9a-f]+)-[0-9a-f]+")


def new_stream_name(gateway_id: str) -> str:
    """Return a name for a stream that belongs to a connection of this gateway."""
    return f"ws-{gateway_id}-{secrets.token_hex(6)}"


@asynccontextmanager
async def owned_stream(
    client: Client, definition: StreamDefinition, background: TaskGroup
) -> AsyncIterator[StreamStatus]:
    """Define a stream while the context is open; leaving it removes the stream and its data.

    Raises
    ------
    ContractError
        The stream is refused, or ingest does not reply.
    """
    is_defined = True
    try:
        try:
            status = await client.put_stream(definition)
        except (Forbidden, Unprocessable):
            is_defined = False
            raise
        yield status
    finally:
        if is_defined:  # or may be defined: the reply can be lost
            await _remove(client, definition.name, background)


async def _remove(client: Client, name: str, background: TaskGroup) -> None:
    """Delete a stream, and remove its data in the background."""
    with anyio.move_on_after(REMOVE_S, shield=True), suppress(BusError, ContractError):
        await client.delete_stream(name)  # retried below
    with suppress(RuntimeError):  # the gateway has ended: the next one removes the rest
        background.start_soon(_until_removed, client, name)


async def _until_removed(client: Client, name: str) -> None:
    while True:
        try:
            await remove_stream(client, name)
        except (BusError, ContractError):
            await anyio.sleep(RETRY_S)
        else:
            return


async def remove_stream(client: Client, name: str) -> None:
    """Delete a stream, and remove its data once no worker stores any.

    Raises
    ------
    BusError, ContractError
        Some of it may remain.
    """
    with suppress(NotFound):  # it was already deleted
        await client.delete_stream(name)
    await client.purge_stream(name, cached_replies=False)


async def remove_orphans(client: Client, *, patience_s: float = RECONNECT_S) -> None:
    """Remove the streams of dead gateways.

    A gateway is dead if it does not reply to a ping now nor to one after `patience_s`.
    """
    while True:
        try:
            gone = await _orphans(client)
            if gone:
                await anyio.sleep(patience_s)
            for name in gone & await _orphans(client):
                await remove_stream(client, name)
        except (BusError, ContractError):
            await anyio.sleep(RETRY_S)
        else:
            return


async def _orphans(client: Client) -> set[str]:
    """Return the names of streams, or of their remains, whose gateway does not reply."""
    names = {status.definition.name for status in await client.list_streams()}
    for stream, pattern in (
        (storage.SIGNALS, subjects.SIGNALS),
        (storage.RESULTS, subjects.RESULTS),
        (storage.RESULTS, subjects.EVENTS),
        (storage.RESULTS, subjects.MARKERS),
    ):
        counts = await client.bus.log.subject_counts(stream, pattern)
        # cwt.<kind>.<stream>[.<analysis>]
        names.update(subject.split(".")[2] for subject in counts)
    owners = {name: owned[1] for name in names if (owned := _OWNED.fullmatch(name))}
    alive = {owner for owner in set(owners.values()) if await _answers(client.bus, owner)}
    return {name for name, owner in owners.items() if owner not in alive}


async def _answers(bus: Bus, gateway_id: str) -> bool:
    try:
        await bus.request(ping_subject(SERVICE, gateway_id), b"", timeout_s=PING_TIMEOUT_S)
    except NoRespondersError:
        return False
    except BusTimeoutError:
        pass  # the gateway is alive, and busy
    return True
