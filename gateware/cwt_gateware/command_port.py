"""The interface between the session and the command executor."""

from __future__ import annotations

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CommandPort"]


class CommandPort(wiring.Signature):
    """The interface between the session and the command executor, from the session's side.

    `go` is high, with `type`, `job` and `length` of the payload, until `answered` gives `code` (0:
    executed). `data` is the byte of the payload at `offset` of the previous clock. After execution,
    `reply` streams the payload of the reply; `done`, while `reply` is ready, ends it.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "go": Out(1),
                "type": Out(8),
                "job": Out(16),
                "length": Out(8),
                "data": Out(8),
                "offset": In(8),
                "answered": In(1),
                "code": In(8),
                "reply": In(stream.Signature(8)),
                "done": In(1),
            }
        )
