"""What lies between the session and what executes."""

from __future__ import annotations

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CommandPort"]


class CommandPort(wiring.Signature):
    """Between the session and what executes, seen from the session.

    `go` is high, with `type`, `job` and `length` of the payload, until `answered` gives `code` (0:
    done). `data` is the payload's byte at `offset` of the clock before. Of what was done, `reply`
    then brings the payload's bytes; `done`, while `reply` is ready, says that there are no more.
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
