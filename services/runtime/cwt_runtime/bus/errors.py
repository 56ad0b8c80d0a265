"""Errors of the bus, and whether they are transient."""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessRefusedError",
    "BusClosedError",
    "BusError",
    "BusTimeoutError",
    "BusUnreachableError",
    "ForbiddenError",
    "NoRespondersError",
    "NotStoredError",
    "NotStoredYetError",
    "RevisionConflictError",
    "StorageFullError",
    "UnusableConnectionError",
]


class BusError(Exception):
    """An operation on the bus failed; `transient` is whether a retry can succeed."""

    transient: ClassVar[bool] = False


class BusUnreachableError(BusError):
    """The server is unreachable; the client is reconnecting."""

    transient = True


class BusTimeoutError(BusError):
    """No reply arrived in time; a message whose storing timed out may have been stored."""

    transient = True


class ForbiddenError(BusError):
    """The user of the connection may not publish or subscribe to a subject."""


class NoRespondersError(BusError):
    """The subject has no subscribers at the moment."""

    transient = True


class StorageFullError(BusError):
    """The stream has reached its size limit and refuses new messages."""

    transient = True


class NotStoredError(BusError):
    """The server refused to store the message; a retry would fail too."""


class NotStoredYetError(BusError):
    """The service that stores the message cannot do it now; retry later."""

    transient = True


class RevisionConflictError(BusError):
    """The key or subject was changed since it was read."""


class BusClosedError(BusError):
    """The connection is closed permanently; the process must be restarted."""


class AccessRefusedError(BusError):
    """The server refuses the user, or TLS fails, until a side's configuration is changed."""


class UnusableConnectionError(BusError):
    """The server URL or the credentials file is invalid; no connection was attempted."""
