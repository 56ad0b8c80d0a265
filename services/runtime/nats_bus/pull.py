"""Pulling from a JetStream consumer, message by message, as they come.

nats-py's `fetch` holds a batch back until it is full or the time is up; a live system cannot wait.
Here one pull request is outstanding at a time; messages are passed on as they arrive, and the next
request goes out when the last one is used up or answered with a status.

Rules. Every request has its own reply subject ``<inbox>.<number>``, and the server's status
messages arrive on it, so that a late status of an old request is not taken for the present one's.
While a request is outstanding the server sends a heartbeat; when none comes the request is lost
(server restart, connection loss) and is sent again. Delivered messages arrive under their own
subject.
"""

from __future__ import annotations

import json
import math

import anyio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from services.runtime.errors import BusClosedError

__all__ = ["ConsumerGoneError", "Pull"]

#: A pull request lives this long on the server.
EXPIRES_S = 30.0
#: The server says this often that it is still there.
HEARTBEAT_S = 0.5
#: After this long without any word the request is taken for lost.
SILENCE_S = 1.25
#: Pause after the server said that the consumer does not answer.
GONE_WAIT_S = 0.2

HEARTBEAT = "100"
NO_RESPONDERS = "503"
CONFLICT = "409"
NANOSECONDS = 1_000_000_000


class ConsumerGoneError(Exception):
    """The consumer does not exist (any more), or its stream is not up yet."""


class Pull:
    """One reader's share of a pull consumer."""

    def __init__(self, client: Client, stream: str, consumer: str, *, batch: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._batch = batch
        self._inbox = client.new_inbox()
        self._number = 0
        self._wanted = 0
        self._subscription: Subscription | None = None
        # Without limit: a pull request asks for no more than its batch.
        self._send, self._receive = anyio.create_memory_object_stream[Msg](math.inf)

    async def open(self) -> None:
        """Listen for what will be pulled."""
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._send.send)

    async def next(self) -> Msg:
        """Wait for the next message.

        Raises
        ------
        ConsumerGoneError
            The server says that nobody serves this consumer.
        BusClosedError
            The connection is closed for good.
        """
        while True:
            if self._client.is_closed:
                raise BusClosedError("the connection to NATS is closed")
            if self._wanted <= 0 and not self._receive.statistics().current_buffer_used:
                await self._request()
            msg: Msg | None = None
            with anyio.move_on_after(SILENCE_S):
                msg = await self._receive.receive()
            if msg is None:
                self._wanted = 0
                continue
            status = None if msg.reply else (msg.headers or {}).get("Status")
            if status is None:
                self._wanted -= 1
                return msg
            await self._take_status(msg, status)

    def take_buffered(self) -> list[Msg]:
        """Take out what has arrived and nobody has asked for yet."""
        messages = []
        while self._receive.statistics().current_buffer_used:
            msg = self._receive.receive_nowait()
            if msg.reply:
                messages.append(msg)
        return messages

    async def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()
        self._send.close()
        self._receive.close()

    async def _request(self) -> None:
        self._number += 1
        self._wanted = self._batch
        body = {
            "batch": self._batch,
            "expires": int(EXPIRES_S * NANOSECONDS),
            "idle_heartbeat": int(HEARTBEAT_S * NANOSECONDS),
        }
        await self._client.publish(
            self._subject, json.dumps(body).encode(), reply=f"{self._inbox}.{self._number}"
        )

    async def _take_status(self, msg: Msg, status: str) -> None:
        if status == HEARTBEAT or not msg.subject.endswith(f".{self._number}"):
            return
        self._wanted = 0
        detail = (msg.headers or {}).get("Description", "")
        if status == NO_RESPONDERS or (status == CONFLICT and "Deleted" in detail):
            await anyio.sleep(GONE_WAIT_S)
            raise ConsumerGoneError(detail or "no such consumer")
