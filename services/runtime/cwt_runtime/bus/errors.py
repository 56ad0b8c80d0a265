"""What can go wrong on the bus, and whether it passes by itself."""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessRefusedError",
    "BusClosedError",
    "BusError",
    "BusTimeoutError",
    "BusUnreachableError",
    "NoRespondersError",
    "NotStoredError",
    "RevisionConflictError",
    "StorageFullError",
    "UnusableConnectionError",
]


class BusError(Exception):
    """Something went wrong on the bus; `transient` says whether trying again can help."""

    transient: ClassVar[bool] = False


class BusUnreachableError(BusError):
    """The server is away; the connection is being made again."""

    transient = True


class BusTimeoutError(BusError):
    """No answer came in time; a store that timed out may have happened all the same."""

    transient = True


class NoRespondersError(BusError):
    """Nobody serves this subject at the moment."""

    transient = True


class StorageFullError(BusError):
    """The stream has reached its size limit and takes nothing new."""

    transient = True


class NotStoredError(BusError):
    """The server refused to store the message, and would refuse it again."""


class RevisionConflictError(BusError):
    """Somebody else changed the key since it was read."""


class BusClosedError(BusError):
    """The connection is closed for good: the process has to be started again."""


class AccessRefusedError(BusError):
    """The server does not let this user in, or TLS fails, until either side is changed."""


class UnusableConnectionError(BusError):
    """The server URL or the credentials file is invalid; no connection was attempted."""
