"""Room for the requests that a service holds at once, in bytes of their bodies."""

from __future__ import annotations

from schemas.errors import Overloaded

__all__ = ["RETRY_S", "ROOM_BYTES", "SMALL_BYTES", "Room"]

#: Thirty of the largest requests, or as many of 10,000 samples as may wait anyway.
ROOM_BYTES = 256 * 1024 * 1024

#: Requests up to here are not counted: their number is bounded, and a look at a service's health
#: has to be possible when it is full of others.
SMALL_BYTES = 64 * 1024
#: When to come again after `overloaded`: requests that wait to be read are read by then.
RETRY_S = 1.0
MIB = 1024 * 1024


class Room:
    """Counts the bytes held; what does not fit any more is refused at once.

    Parameters
    ----------
    max_bytes
        Of all bodies larger than `SMALL_BYTES` together. A single one always fits.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that are counted now."""
        return self._held

    def take(self, size: int) -> None:
        """Count a request of `size` bytes until it is given back.

        Raises
        ------
        Overloaded
            Too much is held already.
        """
        if size <= SMALL_BYTES:
            return
        if self._held and self._held + size > self._max_bytes:
            raise Overloaded(
                f"{self._held / MIB:.1f} MiB of requests are held already, "
                f"{self._max_bytes / MIB:.1f} MiB are possible: try again in {RETRY_S:g} s, start "
                "more workers, or raise CWT_REQUESTS_MAX_BYTES",
                {"retry_after_s": RETRY_S, "size": size, "limit": self._max_bytes},
            )
        self._held += size

    def give_back(self, size: int) -> None:
        """Count a request of `size` bytes no longer."""
        if size > SMALL_BYTES:
            self._held -= size
