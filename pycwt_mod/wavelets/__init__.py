"""Mother wavelets, the protocol that they fit, and how an analysis takes one."""

from pycwt_mod.wavelets.dog import DOG, MexicanHat
from pycwt_mod.wavelets.morlet import Morlet
from pycwt_mod.wavelets.paul import Paul
from pycwt_mod.wavelets.protocol import OwnWavelet, Wavelet, WaveletLike
from pycwt_mod.wavelets.resolve import WAVELET_NAMES, as_wavelet, wavelet_from_name, with_deltaj0
from pycwt_mod.wavelets.snapshot import WaveletSnapshot

__all__ = [
    "DOG",
    "WAVELET_NAMES",
    "MexicanHat",
    "Morlet",
    "OwnWavelet",
    "Paul",
    "Wavelet",
    "WaveletLike",
    "WaveletSnapshot",
    "as_wavelet",
    "wavelet_from_name",
    "with_deltaj0",
]
