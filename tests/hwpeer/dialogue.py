"""A link and a device on a made-up line, with a made-up clock: nothing waits, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

from cwt_hwbridge.protocol import Event, Link, SwitchRate
from tests.hwpeer.peer import DevicePeer
from tests.hwpeer.trouble import Trouble

Cut = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def single(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


class Dialogue:
    """Carries bytes between the two; `divisor` is the line's rate on the host's side."""

    def __init__(
        self, link: Link, peer: DevicePeer, *, trouble: Trouble | None = None, cut: Cut = whole
    ) -> None:
        self.link = link
        self.peer = peer
        self.now = 0.0
        self.divisor = peer.divisor
        #: Whether the device hears nothing.
        self.deaf = False
        self.trouble = trouble or Trouble(0.0)
        self._cut = cut

    def run(self, until: Callable[[Event], bool]) -> list[Event]:
        """Let both talk until an event is the one waited for, or nothing is waited for."""
        events: list[Event] = []
        while True:
            fresh = self.step()
            events += fresh
            if any(until(event) for event in fresh):
                return events
            if self.link.deadline is None:
                return events

    def step(self) -> list[Event]:
        """Transfer the pending bytes both ways; without any, advance the clock."""
        sent = self.link.data_to_send()
        events = []
        for piece in self._cut(self._carried(sent)):
            back = self.trouble.through(self._answer(piece))
            for part in self._cut(back):
                events += self.link.receive(part, self.now)
        if not sent and not events and self.link.deadline is not None:
            self.now = self.link.deadline
            events += self.link.tick(self.now)
        for event in events:
            if isinstance(event, SwitchRate):
                self.divisor = event.divisor
        return events

    def _carried(self, data: bytes) -> bytes:
        return b"" if self.deaf else self.trouble.through(data)

    def _answer(self, piece: bytes) -> bytes:
        if self.divisor != self.peer.divisor:
            piece = bytes(len(piece)) if self.divisor > self.peer.divisor else b"\xfe" * len(piece)
            self.peer.feed(piece, self.now)
            return b""
        return self.peer.feed(piece, self.now)
