"""The queue of a device, fair between clients: round-robin over clients, FIFO for each of them.

A client that queues a hundred operations delays the first operation of another client by at most
one of them. The number of waiting operations is limited per client and in total. All methods run on
the event loop.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

import anyio

from cwt_schemas.errors import Overloaded

__all__ = ["MAX_WAITING", "MAX_WAITING_OF_ONE", "FairQueue", "QueueEntry"]

#: Limit on waiting operations of one client; at some seconds each, the last one waits a minute.
MAX_WAITING_OF_ONE = 16
#: Limit on all waiting operations; each holds a request of up to a megabyte.
MAX_WAITING = 128


@dataclass(eq=False)
class QueueEntry:
    """A place in the queue; `turn` is set when it becomes the first."""

    client_id: str
    turn: anyio.Event = field(default_factory=anyio.Event)


class FairQueue:
    """The queue of one device."""

    def __init__(self) -> None:
        self.waiting = 0
        self._current: QueueEntry | None = None
        #: Clients with waiting operations, the next one first.
        self._round: OrderedDict[str, deque[QueueEntry]] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether an operation has the turn."""
        return self._current is not None

    def enter(self, client_id: str) -> QueueEntry:
        """Enter the queue; the caller must always `leave` it.

        Raises
        ------
        Overloaded
            Too many operations wait already.
        """
        own = len(self._round.get(client_id, ()))
        if own >= MAX_WAITING_OF_ONE:
            raise Overloaded(
                f"{own} of your operations are already queued for the device: send the next one "
                "when one of them is answered"
            )
        if self.waiting >= MAX_WAITING:
            raise Overloaded(f"{self.waiting} operations are queued for the device: retry later")
        entry = QueueEntry(client_id)
        self._round.setdefault(client_id, deque()).append(entry)
        self.waiting += 1
        self._next()
        return entry

    def leave(self, entry: QueueEntry) -> None:
        """Release the turn, or the place in the queue."""
        if entry is self._current:
            self._current = None
            self._next()
        else:
            self._take_out(entry)

    def _next(self) -> None:
        if self._current is not None or not self._round:
            return
        client_id, entries = next(iter(self._round.items()))
        self._current = entries[0]
        self._take_out(self._current)
        if entries:
            self._round.move_to_end(client_id)
        self._current.turn.set()

    def _take_out(self, entry: QueueEntry) -> None:
        entries = self._round[entry.client_id]
        entries.remove(entry)
        self.waiting -= 1
        if not entries:
            del self._round[entry.client_id]
