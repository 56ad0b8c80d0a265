"""Backlog of a stream: its queued windows, and when to report a delay. Pure functions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from cwt_schemas.stream import StreamLag

__all__ = ["LagMonitor", "WindowBacklog"]


@dataclass(frozen=True)
class _Published:
    size: int
    at_ns: int


class WindowBacklog:
    """Windows of one stream that wait for workers, as known to this process.

    Parameters
    ----------
    max_windows, max_bytes
        The stream's share of the queue. One window of any size is always allowed.
    """

    def __init__(self, max_windows: int, max_bytes: int) -> None:
        self._max_windows = max_windows
        self._max_bytes = max_bytes
        self._published: deque[_Published] = deque()
        self._bytes = 0
        #: Windows that another process queued before.
        self._others = 0

    @property
    def windows(self) -> int:
        """Number of windows not known to be completed."""
        return len(self._published) + self._others

    @property
    def is_full(self) -> bool:
        """Whether the stream has used its share of the queue."""
        return self.windows > 0 and (
            self.windows >= self._max_windows or self._bytes >= self._max_bytes
        )

    @property
    def since_ns(self) -> int | None:
        """Publication time of the oldest window that is not known to be completed."""
        return self._published[0].at_ns if self._published else None

    def published(self, size: int, at_ns: int) -> None:
        """Add a window."""
        self._published.append(_Published(size, at_ns))
        self._bytes += size

    def observed(self, remaining: int) -> None:
        """Adopt the server's count of windows; the oldest ones complete first."""
        while len(self._published) > remaining:
            self._bytes -= self._published.popleft().size
        self._others = remaining - len(self._published)


class LagMonitor:
    """Report once when a stream falls behind, and once when it has caught up.

    Parameters
    ----------
    limit_s
        A stream is behind when a window has waited longer than this, and has caught up at half.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._behind = False

    def update(self, lag: StreamLag) -> str | None:
        """Return the message to publish now, or None."""
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
