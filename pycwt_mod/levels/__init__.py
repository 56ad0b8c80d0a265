"""Levels of coherence that were simulated once and for all, and are looked up.

`LevelTable` is what there is; `block_level` is it for one octave of a live analysis, and
``wct_significance(..., method="table")`` for the scales of a record.
"""

from __future__ import annotations

from pycwt_mod.levels.block import block_level
from pycwt_mod.levels.table import CONVENTIONS, LEVELS, VOICES, WAVELETS, LevelTable, NotTabulated

__all__ = [
    "CONVENTIONS",
    "LEVELS",
    "VOICES",
    "WAVELETS",
    "LevelTable",
    "NotTabulated",
    "block_level",
]
