"""A work queue inside one process: who has which message, until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import anyio
import anyio.lowlevel

from cwt_runtime.bus import Backlog, ConsumerSpec, Delivery, StoredMessage

__all__ = ["MemoryConsumer", "MemoryDelivery", "MemoryQueue", "QueuedStream"]


class QueuedStream(Protocol):
    """The stream below a queue."""

    messages: dict[int, StoredMessage]
    grown: anyio.Event

    def wake(self) -> None:
        """Tell everybody who waits that something changed."""


@dataclass
class Claim:
    """A message handed out: how often, and when it may be handed out again (loop time)."""

    deliveries: int
    free_at: float


class MemoryQueue:
    """The state of one durable consumer."""

    def __init__(self, stream: QueuedStream, spec: ConsumerSpec) -> None:
        self.stream = stream
        self.spec = spec
        self.claims: dict[int, Claim] = {}

    def take(self) -> tuple[StoredMessage, int] | None:
        """Claim the first message without an owner; return it and its delivery count."""
        now = anyio.current_time()
        for seq, stored in self.stream.messages.items():
            claim = self.claims.get(seq)
            if claim is None or claim.free_at <= now:
                deliveries = claim.deliveries + 1 if claim else 1
                self.claims[seq] = Claim(deliveries, now + self.spec.ack_wait_s)
                return stored, deliveries
        return None

    def next_free_at(self) -> float:
        """Return the loop time at which the next claim runs out."""
        return min((claim.free_at for claim in self.claims.values()), default=float("inf"))

    def extend(self, seq: int, delay_s: float) -> None:
        """Keep `seq` claimed for `delay_s` seconds from now."""
        if seq in self.claims:
            self.claims[seq].free_at = anyio.current_time() + delay_s
            self.stream.wake()

    def remove(self, seq: int) -> None:
        """Take `seq` off the queue."""
        self.claims.pop(seq, None)
        self.stream.messages.pop(seq, None)

    def backlog(self) -> Backlog:
        """Return the numbers of waiting and of delivered messages."""
        return Backlog(
            waiting=len(self.stream.messages) - len(self.claims), in_flight=len(self.claims)
        )


class MemoryDelivery:
    """Implements `cwt_runtime.bus.Delivery`."""

    def __init__(self, queue: MemoryQueue, stored: StoredMessage, deliveries: int) -> None:
        self._queue = queue
        self._stored = stored
        self._deliveries = deliveries

    @property
    def stored(self) -> StoredMessage:
        """The message and its place in the stream."""
        return self._stored

    @property
    def deliveries(self) -> int:
        """Number of deliveries, including this one."""
        return self._deliveries

    async def ack(self) -> None:
        """Done: take it off the queue."""
        self._queue.remove(self._stored.seq)

    async def nak(self, delay_s: float = 0.0) -> None:
        """Return the message to the queue after `delay_s` seconds, for any worker."""
        self._queue.extend(self._stored.seq, delay_s)

    async def term(self, reason: str) -> None:
        """Remove the message from the queue; this double does not store the reason."""
        del reason
        self._queue.remove(self._stored.seq)

    async def in_progress(self) -> None:
        """Still at it: start the acknowledgement deadline again."""
        self._queue.extend(self._stored.seq, self._queue.spec.ack_wait_s)


class MemoryConsumer:
    """Implements `cwt_runtime.bus.Consumer`."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue

    async def next(self) -> Delivery:
        """Wait for the next message."""
        await anyio.lowlevel.checkpoint()
        while True:
            grown = self._queue.stream.grown
            taken = self._queue.take()
            if taken is not None:
                return MemoryDelivery(self._queue, *taken)
            with anyio.CancelScope(deadline=self._queue.next_free_at()):
                await grown.wait()
