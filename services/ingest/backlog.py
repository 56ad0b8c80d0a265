"""A stream's windows on the queue: how many, how large, and since when."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["WindowBacklog"]


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
