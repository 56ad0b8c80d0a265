"""Transforms of signals that are still being recorded: samples in, finished blocks out.

`StreamingCwt`, `StreamingXwt` and `StreamingWct` are what notebooks use. They are made of a
`Windower`, which the ingest service uses as well, and of `pycwt_mod.blocks`, which the workers use.
"""

from __future__ import annotations

from pycwt_mod.streaming.assembly import Assembled, AssembledOctave, assemble
from pycwt_mod.streaming.block import LiveBlock
from pycwt_mod.streaming.buffer import SampleBuffer
from pycwt_mod.streaming.level import LevelMethod, window_level
from pycwt_mod.streaming.tiling import Tile, Tiling
from pycwt_mod.streaming.transforms import StreamingCwt, StreamingWct, StreamingXwt
from pycwt_mod.streaming.windower import CutWindow, Windower

__all__ = [
    "Assembled",
    "AssembledOctave",
    "CutWindow",
    "LevelMethod",
    "LiveBlock",
    "SampleBuffer",
    "StreamingCwt",
    "StreamingWct",
    "StreamingXwt",
    "Tile",
    "Tiling",
    "Windower",
    "assemble",
    "window_level",
]
