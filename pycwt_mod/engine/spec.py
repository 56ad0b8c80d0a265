"""What all rows of an analysis have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pycwt_mod.arrays import Convention, Floats
from pycwt_mod.wavelets import Wavelet


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformSpec:
    """What the rows of a transform depend on: the analysis and the length of the record.

    Attributes
    ----------
    scales : ndarray, shape (scales,)
        In samples.
    n, length : int
        Samples of a record, and what it is padded to.
    """

    wavelet: Wavelet
    scales: Floats
    n: int
    length: int
    convention: Convention
    dtype: np.dtype[Any]
    rtol: float
