"""Wavelet analysis with pycwt's names: transforms, coherence, significance.

Arrays in, arrays out: nothing is printed, logged, cached on disk or kept between calls but
tables of pure functions. See `cwt` for the transform, `wct` for coherence, and
`StreamingCwt` for signals that are still being recorded.
"""

from pycwt_mod._version import __version__
from pycwt_mod.arrays import MEMORY_LIMIT_BYTES, Convention, NyquistWarning, SamplingWarning
from pycwt_mod.backends import (
    Backend,
    BackendInfo,
    backend_info,
    get_backend,
    list_backends,
    register_backend,
)
from pycwt_mod.coherence import wct
from pycwt_mod.cwt_plan import CwtPlan
from pycwt_mod.engine.layout import OctaveLayout, VoiceGrid, octave_layouts
from pycwt_mod.engine.octaves import MultirateResult, Octave
from pycwt_mod.joint_coherence import mwct, pwct
from pycwt_mod.pair_results import PairOctave, WctPairsResult
from pycwt_mod.pairs import wct_pairs
from pycwt_mod.planning import plan
from pycwt_mod.rednoise import AR1, ar1, ar1_spectrum, rednoise
from pycwt_mod.results import CwtResult, MwctResult, WctResult, XwtResult
from pycwt_mod.significance.chi_square import Significance, significance
from pycwt_mod.significance.coherence import MonteCarlo, wct_significance
from pycwt_mod.significance.octave import block_level, block_significance
from pycwt_mod.significance.simulation import MonteCarloLevels, MonteCarloPlan
from pycwt_mod.significance.table.level_table import NotTabulated
from pycwt_mod.spectra import global_spectrum, inside_cone, scale_average, wavelet_power
from pycwt_mod.streaming import (
    Estimate,
    LiveBlock,
    PairEstimate,
    Provisional,
    StreamingCwt,
    StreamingMwct,
    StreamingPwct,
    StreamingWct,
    StreamingXwt,
    assemble,
)
from pycwt_mod.streaming.block import Block
from pycwt_mod.streaming.compute import compute_block
from pycwt_mod.transform import cwt, icwt, multirate, xwt
from pycwt_mod.wavelets import (
    DOG,
    MexicanHat,
    Morlet,
    Paul,
    Wavelet,
    WaveletLike,
    wavelet_from_name,
)

# isort: split
# pycwt's modules, which import those above. As pycwt's does, ``import *`` leaves out names as
# common as fft and find.
from pycwt_mod import helpers as helpers
from pycwt_mod import mothers
from pycwt_mod import wavelet as wavelet
from pycwt_mod.helpers import fft as fft
from pycwt_mod.helpers import fft_kwargs as fft_kwargs
from pycwt_mod.helpers import find as find
from pycwt_mod.helpers import get_cache_dir as get_cache_dir

#: The version by pycwt's name.
version = __version__

__all__ = [
    "AR1",
    "DOG",
    "MEMORY_LIMIT_BYTES",
    "Backend",
    "BackendInfo",
    "Block",
    "Convention",
    "CwtPlan",
    "CwtResult",
    "Estimate",
    "LiveBlock",
    "MexicanHat",
    "MonteCarlo",
    "MonteCarloLevels",
    "MonteCarloPlan",
    "Morlet",
    "MultirateResult",
    "MwctResult",
    "NotTabulated",
    "NyquistWarning",
    "Octave",
    "OctaveLayout",
    "PairEstimate",
    "PairOctave",
    "Paul",
    "Provisional",
    "SamplingWarning",
    "Significance",
    "StreamingCwt",
    "StreamingMwct",
    "StreamingPwct",
    "StreamingWct",
    "StreamingXwt",
    "VoiceGrid",
    "Wavelet",
    "WaveletLike",
    "WctPairsResult",
    "WctResult",
    "XwtResult",
    "__version__",
    "ar1",
    "ar1_spectrum",
    "assemble",
    "backend_info",
    "block_level",
    "block_significance",
    "compute_block",
    "cwt",
    "get_backend",
    "global_spectrum",
    "icwt",
    "inside_cone",
    "list_backends",
    "mothers",
    "multirate",
    "mwct",
    "octave_layouts",
    "plan",
    "pwct",
    "rednoise",
    "register_backend",
    "scale_average",
    "significance",
    "wavelet_from_name",
    "wavelet_power",
    "wct",
    "wct_pairs",
    "wct_significance",
    "xwt",
]
