"""Memory that was freed stays with the process, up to a bound.

glibc gives large blocks back to the kernel as soon as they are freed, and gets them back page by
page, zeroed. A worker that makes arrays and replies of 8 MB over and over spends 2 µs on each of
the 2000 pages of every one of them: see `docs/decisions/0024-large-messages.md`.
"""

from __future__ import annotations

import ctypes

__all__ = ["KEPT_BYTES", "keep_freed_memory"]

#: What a process may hold though nothing uses it.
KEPT_BYTES = 256 * 1024 * 1024
#: Blocks from here on are still mapped on their own; it is the most that glibc takes.
MAPPED_FROM_BYTES = 32 * 1024 * 1024
#: From glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> bool:
    """Set the bounds for this process; return whether its C library has them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc
        return False
    return bool(
        mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    )
