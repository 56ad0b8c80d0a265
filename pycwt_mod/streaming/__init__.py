"""Transforms of signals that are still being recorded: samples in, finished blocks out."""

from __future__ import annotations

from pycwt_mod.streaming.buffer import SampleBuffer
from pycwt_mod.streaming.tiling import Tile, Tiling
from pycwt_mod.streaming.windower import CutWindow, Windower

__all__ = ["CutWindow", "SampleBuffer", "Tile", "Tiling", "Windower"]
