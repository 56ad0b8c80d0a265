"""The names of ``pycwt.mothers``, for scripts that import them from there."""

from pycwt_mod.helpers import fft, fft_kwargs, rect
from pycwt_mod.wavelets import DOG, MexicanHat, Morlet, Paul

__all__ = ["DOG", "MexicanHat", "Morlet", "Paul", "fft", "fft_kwargs", "rect"]
