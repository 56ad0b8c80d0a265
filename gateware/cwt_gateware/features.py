"""The features of this design."""

from __future__ import annotations

from cwt_gateware.datapath.datapath import Datapath
from cwt_schemas.hwlink import Feature

__all__ = ["FEATURES", "datapath"]

#: Features of `datapath`.
FEATURES = Feature.FIR | Feature.SELFTEST | Feature.MC


def datapath() -> Datapath:
    """Return a new data path."""
    return Datapath()
