"""The names of ``pycwt.wavelet``, for scripts that import them from there."""

from pycwt_mod.coherence import wct
from pycwt_mod.helpers import (
    ar1,
    ar1_spectrum,
    fft,
    fft_kwargs,
    find,
    get_cache_dir,
    rednoise,
)
from pycwt_mod.significance.chi_square import significance
from pycwt_mod.significance.coherence import wct_significance
from pycwt_mod.transform import cwt, icwt, xwt
from pycwt_mod.wavelets import (
    DOG,
    MexicanHat,
    Morlet,
    OwnWavelet,
    Paul,
    WaveletLike,
    wavelet_from_name,
)

__all__ = [
    "DOG",
    "MexicanHat",
    "Morlet",
    "Paul",
    "ar1",
    "ar1_spectrum",
    "cwt",
    "fft",
    "fft_kwargs",
    "find",
    "get_cache_dir",
    "icwt",
    "rednoise",
    "significance",
    "wct",
    "wct_significance",
    "xwt",
]


def _check_parameter_wavelet(wavelet: WaveletLike) -> OwnWavelet:
    """Return the wavelet of that name, or `wavelet` itself; some scripts call pycwt's function."""
    return wavelet_from_name(wavelet) if isinstance(wavelet, str) else wavelet
