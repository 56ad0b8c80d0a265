"""Results as they arrive, read with only nats-py and msgpack so that reading costs little."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgpack  # type: ignore[import-untyped]
import nats
from nats.aio.msg import Msg

__all__ = ["Arrival", "arrival_of", "arrivals"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One result, and its time of arrival; times are ns since the epoch."""

    #: End (exclusive) of the samples that it needed.
    needed: int
    #: When the last chunk was stored, the window cut, the result computed, and the result received.
    stored_ns: int
    windowed_ns: int
    computed_ns: int
    received_ns: int


def arrival_of(body: bytes, received_ns: int) -> Arrival:
    """Decode the required fields of a result."""
    tree: dict[str, Any] = msgpack.unpackb(body)
    times, span = tree["times_ns"], tree["input"]
    return Arrival(
        needed=span["first_sample"] + span["n_samples"],
        stored_ns=times["received"],
        windowed_ns=times["windowed"],
        computed_ns=times["computed"],
        received_ns=received_ns,
    )


@asynccontextmanager
async def arrivals(url: str, stream: str) -> AsyncIterator[list[Arrival]]:
    """Append the results of `stream` to the yielded list while the context is open."""
    found: list[Arrival] = []

    async def take(message: Msg) -> None:
        found.append(arrival_of(message.data, time.time_ns()))

    client = await nats.connect(url)
    try:
        await client.subscribe(
            f"cwt.result.{stream}.*", cb=take, pending_bytes_limit=2**30, pending_msgs_limit=2**20
        )
        await client.flush()
        yield found
    finally:
        await client.close()
