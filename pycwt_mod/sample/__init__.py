"""Series to try wavelet analysis on, by the names of ``pycwt.sample``."""

from pycwt_mod.sample.dataset import Dataset

__all__ = ["Dataset"]
