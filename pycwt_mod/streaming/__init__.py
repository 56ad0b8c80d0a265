"""Transforms of signals that are still being recorded: samples in, finished blocks out.

`StreamingCwt`, `StreamingXwt`, `StreamingWct` and others are what notebooks use. They are made of a
`Windower`, which the ingest service uses as well, and of `compute_blocks`, which the workers use.
"""

from __future__ import annotations

from pycwt_mod.engine.flat_stretches import FlatStretches, flat_stretches
from pycwt_mod.engine.layout import (
    BlockOp,
    OctaveLayout,
    VoiceGrid,
    highest_freq_hz,
    octave_layouts,
)
from pycwt_mod.streaming.assembly import Assembled, AssembledOctave, assemble
from pycwt_mod.streaming.block import Block, LiveBlock
from pycwt_mod.streaming.compute import (
    QUANTITIES,
    Quantity,
    compute_block,
    compute_blocks,
    support_radii,
)
from pycwt_mod.streaming.level import (
    STATISTICS,
    LevelMethod,
    block_level_of,
    pair_levels,
    set_levels,
    window_level,
)
from pycwt_mod.streaming.pair_bands import band_means, band_rows
from pycwt_mod.streaming.pairs import PairsBlock, compute_pairs, compute_sets
from pycwt_mod.streaming.provisional import (
    Calibration,
    Estimate,
    OctaveState,
    PairEstimate,
    Provisional,
    ProvisionalPlan,
)
from pycwt_mod.streaming.stream import Pushed
from pycwt_mod.streaming.transforms import (
    StreamingCwt,
    StreamingMwct,
    StreamingPwct,
    StreamingWct,
    StreamingXwt,
)
from pycwt_mod.streaming.windower import CutWindow, SampleBuffer, Tile, Tiling, Windower

__all__ = [
    "QUANTITIES",
    "STATISTICS",
    "Assembled",
    "AssembledOctave",
    "Block",
    "BlockOp",
    "Calibration",
    "CutWindow",
    "Estimate",
    "FlatStretches",
    "LevelMethod",
    "LiveBlock",
    "OctaveLayout",
    "OctaveState",
    "PairEstimate",
    "PairsBlock",
    "Provisional",
    "ProvisionalPlan",
    "Pushed",
    "Quantity",
    "SampleBuffer",
    "StreamingCwt",
    "StreamingMwct",
    "StreamingPwct",
    "StreamingWct",
    "StreamingXwt",
    "Tile",
    "Tiling",
    "VoiceGrid",
    "Windower",
    "assemble",
    "band_means",
    "band_rows",
    "block_level_of",
    "compute_block",
    "compute_blocks",
    "compute_pairs",
    "compute_sets",
    "flat_stretches",
    "highest_freq_hz",
    "octave_layouts",
    "pair_levels",
    "set_levels",
    "support_radii",
    "window_level",
]
