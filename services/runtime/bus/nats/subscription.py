"""A core subscription as an async iterator that can be drained."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import anyio
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as DriverSubscription

from services.runtime.bus import Message
from services.runtime.bus.nats.message import message_of

__all__ = ["NatsSubscription"]

#: Messages handed over and not yet read; behind it the driver's own queue fills, then drops.
BUFFER = 1024


class NatsSubscription:
    """Implements `services.runtime.bus.Subscription`."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Message](BUFFER)
        self._driver: DriverSubscription | None = None

    async def open(self, client: Client, subject: str, queue: str) -> None:
        """Tell the server."""
        self._driver = await client.subscribe(subject, queue=queue, cb=self._take)

    async def _take(self, msg: Msg) -> None:
        try:
            await self._send.send(message_of(msg))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody reads any more

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._receive.__aiter__()

    async def drain(self) -> None:
        """Take no more; the iteration ends after what had arrived already."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(nats.errors.Error):  # gone with the connection
                await driver.drain()  # type: ignore[no-untyped-call]
        self._send.close()

    async def close(self) -> None:
        """Stop listening now."""
        self._receive.close()
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(nats.errors.Error):  # gone with the connection
                await driver.unsubscribe()
        self._send.close()
