"""Names of runs of a device."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["new_epoch"]


def new_epoch() -> str:
    """Return a name for a run that starts now; later ones sort behind it."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
