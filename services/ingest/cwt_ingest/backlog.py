"""How far a stream is behind: its windows on the queue, and when that is reported. Pure."""

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
    """What of one stream waits for workers, as far as this process knows.

    Parameters
    ----------
    max_windows, max_bytes
        The stream's share of the queue. One window may always be there, however large it is.
    """

    def __init__(self, max_windows: int, max_bytes: int) -> None:
        self._max_windows = max_windows
        self._max_bytes = max_bytes
        self._published: deque[_Published] = deque()
        self._bytes = 0
        #: Those of another process, from before.
        self._others = 0

    @property
    def windows(self) -> int:
        """Number of windows not known to be done."""
        return len(self._published) + self._others

    @property
    def is_full(self) -> bool:
        """Whether the stream has its share."""
        return self.windows > 0 and (
            self.windows >= self._max_windows or self._bytes >= self._max_bytes
        )

    @property
    def since_ns(self) -> int | None:
        """When the oldest one was published that is not known to be done."""
        return self._published[0].at_ns if self._published else None

    def published(self, size: int, at_ns: int) -> None:
        """Count one more window."""
        self._published.append(_Published(size, at_ns))
        self._bytes += size

    def observed(self, remaining: int) -> None:
        """Take the server's word for how many there are; the oldest ones are done first."""
        while len(self._published) > remaining:
            self._bytes -= self._published.popleft().size
        self._others = remaining - len(self._published)


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
