"""When a stream is reported to be behind, and when to have caught up: a pure decision."""

from __future__ import annotations

from schemas.stream import StreamLag

__all__ = ["LagMonitor"]


class LagMonitor:
    """Reports once that a stream has fallen behind, and once that it has caught up.

    Parameters
    ----------
    limit_s
        Behind is what has been waiting for longer; half of it is caught up.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._behind = False

    def update(self, lag: StreamLag) -> str | None:
        """Return the message to publish now, None for nothing."""
        if not self._behind and lag.seconds > self._limit_s:
            self._behind = True
            return (
                f"{lag.seconds:.1f} s behind, {lag.chunks} chunks and {lag.windows} windows wait: "
                "start more compute workers, or analyse less"
            )
        if self._behind and lag.seconds < self._limit_s / 2:
            self._behind = False
            return "caught up"
        return None
