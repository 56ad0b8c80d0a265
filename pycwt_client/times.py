"""Instants as nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["nanoseconds"]

#: Of the count of nanoseconds.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(time: datetime) -> int:
    """Return an instant as nanoseconds UTC.

    Raises
    ------
    ValueError
        `time` has no time zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone: use datetime.now(UTC), or .astimezone()")
    return (time - BEGINNING) // timedelta(microseconds=1) * 1000
