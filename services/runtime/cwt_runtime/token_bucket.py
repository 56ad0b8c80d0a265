"""Token buckets, which limit how much a client may use in a minute."""

from __future__ import annotations

from typing import Final

__all__ = ["WINDOW_S", "TokenBucket"]

#: Time in which an empty bucket is full again, seconds.
WINDOW_S: Final = 60.0


class TokenBucket:
    """A token bucket with a quota per `WINDOW_S`, refilled continuously.

    The level is min(q, v + (t - t0) q / w) with the quota q, the window w, and the level v after
    the last use at t0. It is negative if the bucket was overdrawn.
    """

    def __init__(self, quota: int, now_s: float) -> None:
        self._quota = quota
        self._level = float(quota)
        self._at_s = now_s

    def level(self, now_s: float) -> float:
        """Return the current level."""
        self._level = min(self._quota, self._level + (now_s - self._at_s) * self._quota / WINDOW_S)
        self._at_s = now_s
        return self._level

    def take(self, count: float, now_s: float) -> None:
        """Take `count` tokens; may overdraw the bucket."""
        self._level = self.level(now_s) - count

    def wait_s(self, count: float, now_s: float) -> float:
        """Return the time until `count` tokens are available, seconds; 0 if they are now."""
        return max(0.0, count - self.level(now_s)) * WINDOW_S / self._quota
