"""What the data path of this design can do."""

from __future__ import annotations

from typing import Any

from schemas.hwlink import Feature

__all__ = ["datapath", "features"]


def features() -> Feature:
    """Return the features of `datapath`."""
    return Feature(0)


def datapath() -> Any:
    """Return a new data path; None while there is none."""
    return None
