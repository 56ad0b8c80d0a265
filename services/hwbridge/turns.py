"""Whose turn it is at a device: one client after the other, whichever has more requests.

Of one client, operations run in the order in which they came; between clients turns go round. So
someone who queues a hundred operations delays another's first one by one of his own, and no more.
What waits is bounded for each client, and in all. Everything here runs on the event loop.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

import anyio

from schemas.errors import Overloaded

__all__ = ["MAX_WAITING", "MAX_WAITING_OF_ONE", "Ticket", "Turns"]

#: Operations of one client that may wait; at some seconds each, the last one waits a minute.
MAX_WAITING_OF_ONE = 16
#: Operations that may wait in all: each holds a request of up to a megabyte.
MAX_WAITING = 128


@dataclass(eq=False)
class Ticket:
    """A place in the queue; `turn` is set when it is the first."""

    client_id: str
    turn: anyio.Event = field(default_factory=anyio.Event)


class Turns:
    """The queue of one device."""

    def __init__(self) -> None:
        self.waiting = 0
        self._current: Ticket | None = None
        #: The clients that wait for something, the next one first.
        self._round: OrderedDict[str, deque[Ticket]] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether it is somebody's turn."""
        return self._current is not None

    def enter(self, client_id: str) -> Ticket:
        """Queue up; whoever does has to `leave`, however it goes on.

        Raises
        ------
        Overloaded
            Too many wait already.
        """
        own = len(self._round.get(client_id, ()))
        if own >= MAX_WAITING_OF_ONE:
            raise Overloaded(
                f"{own} operations of yours wait for the device already: send the next one when "
                "one of them is answered"
            )
        if self.waiting >= MAX_WAITING:
            raise Overloaded(f"{self.waiting} operations wait for the device: try again later")
        ticket = Ticket(client_id)
        self._round.setdefault(client_id, deque()).append(ticket)
        self.waiting += 1
        self._next()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give back the turn, or the place in the queue."""
        if ticket is self._current:
            self._current = None
            self._next()
        else:
            self._take_out(ticket)

    def _next(self) -> None:
        if self._current is not None or not self._round:
            return
        client_id, tickets = next(iter(self._round.items()))
        self._current = tickets[0]
        self._take_out(self._current)
        if tickets:
            self._round.move_to_end(client_id)
        self._current.turn.set()

    def _take_out(self, ticket: Ticket) -> None:
        tickets = self._round[ticket.client_id]
        tickets.remove(ticket)
        self.waiting -= 1
        if not tickets:
            del self._round[ticket.client_id]
