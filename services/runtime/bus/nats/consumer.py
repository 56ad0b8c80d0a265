"""A share in a JetStream work queue, and one message of it."""

from __future__ import annotations

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.runtime.bus import Delivery, StoredMessage
from services.runtime.bus.nats.message import AckSubject, stored_message_of
from services.runtime.bus.nats.pull import ConsumerGoneError, Pull
from services.runtime.bus.nats.translate import driver_errors

__all__ = ["NatsConsumer", "NatsDelivery"]


class NatsDelivery:
    """Implements `services.runtime.bus.Delivery`."""

    def __init__(self, client: Client, msg: Msg) -> None:
        self._client = client
        self._msg = msg
        place = AckSubject.parse(msg.reply)
        self._stored = stored_message_of(msg, place)
        self._deliveries = place.deliveries

    @property
    def stored(self) -> StoredMessage:
        """The message and its place in the stream."""
        return self._stored

    @property
    def deliveries(self) -> int:
        """How often it was handed out, this time included."""
        return self._deliveries

    async def ack(self) -> None:
        """Done: take it off the queue."""
        with driver_errors():
            await self._msg.ack()

    async def nak(self, delay_s: float = 0.0) -> None:
        """Not done: hand it to anybody after `delay_s` seconds."""
        with driver_errors():
            await self._msg.nak(delay_s or None)

    async def term(self, reason: str) -> None:
        """Given up: take it off the queue, for the stated reason."""
        with driver_errors():
            # The driver's `term` has no place for the reason, which the server's advisory shows.
            await self._client.publish(self._msg.reply, f"+TERM {reason}".encode())

    async def in_progress(self) -> None:
        """Still at it: start the acknowledgement deadline again."""
        with driver_errors():
            await self._msg.in_progress()


class NatsConsumer:
    """Implements `services.runtime.bus.Consumer`."""

    def __init__(self, client: Client, pull: Pull) -> None:
        self._client = client
        self._pull = pull

    async def next(self) -> Delivery:
        """Wait for the next message, through outages of the server."""
        while True:
            try:
                with driver_errors():
                    return NatsDelivery(self._client, await self._pull.next())
            except ConsumerGoneError:
                continue  # the server is coming up: the queue is declared and kept on disk

    async def close(self) -> None:
        """Hand back what was prefetched and stop."""
        try:
            await self._pull.close()
            for msg in self._pull.take_buffered():
                await msg.nak()
        except nats.errors.Error:
            pass  # the connection is gone: the server hands it out again after the deadline
