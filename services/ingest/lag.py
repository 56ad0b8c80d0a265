"""When a stream is told to be behind, and when to be up again: a decision on values."""

from __future__ import annotations

from schemas.stream import StreamLag

__all__ = ["LagWatch"]


class LagWatch:
    """Tells once that a stream has fallen behind, and once that it has caught up.

    Parameters
    ----------
    limit_s
        Behind is what has been waiting for longer; half of it is caught up.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._behind = False

    def told(self, lag: StreamLag) -> str | None:
        """Return what is to be told now, None for nothing."""
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
