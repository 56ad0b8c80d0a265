"""The stateless half of streaming: from a self-contained window to one block of results."""

from __future__ import annotations

from pycwt_mod.blocks.compute import QUANTITIES, Block, Quantity, compute_block, compute_blocks
from pycwt_mod.blocks.grid import VoiceGrid, highest_freq_hz
from pycwt_mod.blocks.layout import BlockOp, OctaveLayout, octave_layouts
from pycwt_mod.blocks.significance import block_significance

__all__ = [
    "QUANTITIES",
    "Block",
    "BlockOp",
    "OctaveLayout",
    "Quantity",
    "VoiceGrid",
    "block_significance",
    "compute_block",
    "compute_blocks",
    "highest_freq_hz",
    "octave_layouts",
]
