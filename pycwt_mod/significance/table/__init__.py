"""Thresholds of coherence that were simulated in advance.

`LevelTable` contains them; `block_level` looks up one octave of a live analysis, and
``wct_significance(..., method="table")`` the scales of a record.
"""

from __future__ import annotations

from pycwt_mod.significance.table.level_table import (
    CONVENTIONS,
    LEVELS,
    VOICES,
    WAVELETS,
    LevelTable,
    NotTabulated,
)

__all__ = [
    "CONVENTIONS",
    "LEVELS",
    "VOICES",
    "WAVELETS",
    "LevelTable",
    "NotTabulated",
]
