"""Core messaging inside one process."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from cwt_runtime.bus import Message, Subscription
from cwt_runtime.bus.errors import BusTimeoutError, NoRespondersError
from cwt_schemas.limits import MAX_MESSAGE_BYTES
from tests.memory_bus.log import MemoryLog
from tests.memory_bus.subject import matches

__all__ = ["MemoryBus"]


class MemorySubscription:
    """Implements `cwt_runtime.bus.Subscription`."""

    def __init__(self, subject: str, queue: str | None) -> None:
        self.subject = subject
        self.queue = queue
        self.open = True
        self.send, self.receive = anyio.create_memory_object_stream[Message](math.inf)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self.receive.__aiter__()

    async def drain(self) -> None:
        """Accept no more messages; the iteration ends after those that have arrived."""
        self.open = False
        self.send.close()


class MemoryBus:
    """Implements `cwt_runtime.bus.Bus`; everybody in the process shares one instance."""

    def __init__(self, log: MemoryLog | None = None) -> None:
        self._subscriptions: list[MemorySubscription] = []
        self._turn = itertools.count()
        self._inboxes = itertools.count(1)
        self._closed = anyio.Event()
        self._log = log or MemoryLog()
        self._log.deliver = self._deliver

    @property
    def is_connected(self) -> bool:
        """It is there while the process is, until `close`."""
        return not self._closed.is_set()

    @property
    def max_message_bytes(self) -> int:
        """As of a server that is configured as this project's is."""
        return MAX_MESSAGE_BYTES

    @property
    def log(self) -> MemoryLog:
        """The persisted half."""
        return self._log

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        reply: str | None = None,
    ) -> None:
        """Send to the current subscribers; replies go to the subject `reply`."""
        self._deliver(Message(subject=subject, data=data, headers=dict(headers or {}), reply=reply))
        await anyio.lowlevel.checkpoint()

    @asynccontextmanager
    async def subscribe(
        self, subject: str, queue: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Listen to `subject` while the context is open."""
        subscription = MemorySubscription(subject, queue)
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            subscription.send.close()
            subscription.receive.close()

    async def request(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
    ) -> Message:
        """Send and wait for one answer."""
        inbox = self.new_inbox()
        async with self.subscribe(inbox) as answers:
            message = Message(subject=subject, data=data, headers=dict(headers or {}), reply=inbox)
            if not self._deliver(message):
                raise NoRespondersError(f"no service is subscribed to {subject}")
            with anyio.move_on_after(timeout_s):
                async for answer in answers:
                    return answer
        raise BusTimeoutError(f"no reply from {subject} within {timeout_s} s")

    def new_inbox(self) -> str:
        """Return a new subject for answers to this connection, under its inbox prefix."""
        return f"_INBOX.{next(self._inboxes)}"

    async def closed(self) -> None:
        """Return when the connection is closed for good."""
        await self._closed.wait()

    def _deliver(self, message: Message) -> bool:
        """Hand `message` to every plain subscriber and one of each group; say if there was any."""
        groups: dict[str, list[MemorySubscription]] = {}
        chosen = []
        for subscription in self._subscriptions:
            if subscription.open and matches(subscription.subject, message.subject):
                if subscription.queue is None:
                    chosen.append(subscription)
                else:
                    groups.setdefault(subscription.queue, []).append(subscription)
        turn = next(self._turn)
        chosen.extend(members[turn % len(members)] for members in groups.values())
        for subscription in chosen:
            subscription.send.send_nowait(message)
        return bool(chosen)
