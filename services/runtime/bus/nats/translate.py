"""Driver errors as bus errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
import nats.js.errors

from services.runtime.bus.errors import (
    BusClosedError,
    BusError,
    BusTimeoutError,
    BusUnreachableError,
    NoRespondersError,
    NotStoredError,
    RevisionConflictError,
    StorageFullError,
)

__all__ = ["driver_errors"]

#: JetStream API error codes, from the server's errors.json.
INSUFFICIENT_RESOURCES = 10023
STREAM_STORE_FAILED = 10077
MAXIMUM_REACHED = {INSUFFICIENT_RESOURCES, 10047, STREAM_STORE_FAILED, 10122}

#: Another message than the expected one is the newest of its subject.
WRONG_LAST_SEQUENCE = {10071, 10164}

#: Driver class to bus class; the first that matches counts.
_TABLE: tuple[tuple[type[Exception], type[BusError]], ...] = (
    (nats.js.errors.KeyWrongLastSequenceError, RevisionConflictError),
    (nats.errors.NoRespondersError, NoRespondersError),
    (nats.errors.ConnectionClosedError, BusClosedError),
    (nats.errors.ConnectionDrainingError, BusClosedError),
    (nats.errors.TimeoutError, BusTimeoutError),
    (nats.errors.OutboundBufferLimitError, BusUnreachableError),
    (nats.errors.ConnectionReconnectingError, BusUnreachableError),
    (nats.errors.StaleConnectionError, BusUnreachableError),
    (nats.errors.MaxPayloadError, NotStoredError),
    # No stream answers: JetStream is starting, or has no leader at the moment.
    (nats.js.errors.NoStreamResponseError, BusUnreachableError),
    (nats.js.errors.ServiceUnavailableError, BusUnreachableError),
)

#: Where the driver's own words help nobody.
_SAID: dict[type[Exception], str] = {
    nats.js.errors.ServiceUnavailableError: (
        "no JetStream answers: it is starting, has no leader, or the server runs without it "
        "(nats-server -js starts one with it)"
    )
}


@contextmanager
def driver_errors() -> Iterator[None]:
    """Raise what the driver raises inside as the `BusError` that callers know."""
    try:
        yield
    except (nats.errors.Error, OSError) as error:
        raise translate(error) from error


def translate(error: Exception) -> BusError:
    """Return the bus error for a driver error."""
    # Some of the driver's errors are API errors that never got the API's fields.
    code = getattr(error, "err_code", None)
    description = getattr(error, "description", None)
    if code in MAXIMUM_REACHED:
        return StorageFullError(description or "the stream is full")
    if code in WRONG_LAST_SEQUENCE:
        return RevisionConflictError(description or "another message is the newest")
    for driver_class, bus_class in _TABLE:
        if isinstance(error, driver_class):
            return bus_class(_SAID.get(driver_class) or str(error) or driver_class.__name__)
    if isinstance(error, nats.js.errors.APIError):
        return NotStoredError(f"{description} (JetStream error {code})")
    return BusUnreachableError(str(error) or type(error).__name__)
