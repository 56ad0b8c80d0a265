"""A limit on the bytes of the requests that a service holds concurrently."""

from __future__ import annotations

from schemas.errors import Overloaded

__all__ = ["RETRY_S", "SMALL_BYTES", "ByteBudget"]

#: Requests of at most this size are not counted: their number is limited, and a health check must
#: be possible while the budget is used up.
SMALL_BYTES = 64 * 1024
#: When to retry after `overloaded`: the requests that wait to be decoded are decoded by then.
RETRY_S = 1.0
MIB = 1024 * 1024


class ByteBudget:
    """Counts the bytes held; a request that does not fit is refused immediately.

    Parameters
    ----------
    max_bytes
        Limit for all bodies larger than `SMALL_BYTES` together. A single one always fits.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that are counted now."""
        return self._held

    def reserve(self, size: int) -> None:
        """Count a request of `size` bytes until it is released.

        Raises
        ------
        Overloaded
            The budget is used up.
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

    def release(self, size: int) -> None:
        """Stop counting a request of `size` bytes."""
        if size > SMALL_BYTES:
            self._held -= size
