"""Work that several WebSockets share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import anyio.to_thread

from cwt_gateway.caller import Caller
from cwt_gateway.media import THREAD_FROM_BYTES
from cwt_runtime.bus import StoredMessage
from cwt_schemas import http
from cwt_schemas.stream import StreamStatus

__all__ = ["STATUS_S", "Sharing"]

#: Time for which a status is cached, seconds.
STATUS_S: Final = 1.0
#: Memory for encoded messages, which other sockets of the same stream may send as well.
MAX_SHARED_BYTES: Final = 16 * 1024 * 1024
#: Maximum number of streams whose status is cached.
MAX_STATUSES: Final = 1024


class Sharing:
    """Work shared by several sockets: encoding a message, and requesting a status."""

    def __init__(self) -> None:
        #: Encoded messages by sequence number and time of storage.
        self._bodies: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._size = 0
        self._encoding: dict[tuple[int, int], anyio.Event] = {}
        self._statuses: dict[tuple[Caller, str], _CachedStatus] = {}

    async def json(self, stored: StoredMessage, tree: Mapping[str, Any]) -> bytes:
        """Return the JSON of a message of the result log with content `tree`."""
        key = stored.seq, stored.stored_ns
        while (other := self._encoding.get(key)) is not None:
            await other.wait()
        if (known := self._bodies.get(key)) is not None:
            return known
        if len(stored.message.data) < THREAD_FROM_BYTES:
            body = http.to_json(tree)
        else:
            done = self._encoding[key] = anyio.Event()
            try:
                body = await anyio.to_thread.run_sync(http.to_json, tree)
            finally:
                del self._encoding[key]
                done.set()
        self._bodies[key] = body
        self._size += len(body)
        while self._size > MAX_SHARED_BYTES:
            self._size -= len(self._bodies.popitem(last=False)[1])
        return body

    async def status(self, caller: Caller, name: str) -> StreamStatus:
        """Return the status of a stream, at most `STATUS_S` old.

        Raises
        ------
        ContractError
            The stream does not exist, or ingest does not reply.
        """
        if len(self._statuses) > MAX_STATUSES:
            self._statuses.clear()
        cached = self._statuses.setdefault((caller, name), _CachedStatus())
        async with cached.turn:
            now = anyio.current_time()
            if cached.status is None or now >= cached.until:
                cached.status = None
                cached.status = await caller.client.get_stream(name)
                cached.until = now + STATUS_S / 2
            return cached.status


@dataclass
class _CachedStatus:
    """A status, and its time of expiry."""

    status: StreamStatus | None = None
    until: float = 0.0
    turn: anyio.Lock = field(default_factory=anyio.Lock)
