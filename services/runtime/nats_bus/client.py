"""The driver's client, with a flush that waits for what was published before it.

nats-py 2.16 writes the PING of `flush` straight to the socket, ahead of the publishes and
unsubscriptions that still wait in its buffer. So `flush` can return before they were sent, and
`Subscription.drain`, which relies on it, drops messages that are on their way. Here the PING waits
its turn in the buffer. `tests/contract` shows the difference within a few runs.
"""

from __future__ import annotations

import asyncio

from nats.aio.client import PING_PROTO, Client

__all__ = ["OrderedClient"]


class OrderedClient(Client):
    """A NATS client whose `flush` is a barrier."""

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        self._pongs.append(asyncio.Future() if future is None else future)
        await self._send_command(PING_PROTO)
        await self._flush_pending()
