"""Effect of the ends of a record on the threshold of coherence.

A row at scale s of a record of n samples has n/s - 2e scales outside the cone of influence (e is
the e-folding time), which the ends influence. Fewer independent terms reduce the magnitude of log(1
- R²) of the threshold by a factor that depends on n/s and hardly on anything else: R²_n = 1 - (1 -
R²)^h, where R² is the threshold of endless noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.significance.table.files import stored

__all__ = ["FILE", "OCTAVES", "VOICES", "ends_key", "record_exponents"]

FILE = "ends.npz"
#: Tabulated numbers of voices per octave; others are looked up at the nearest one.
VOICES = (1, 2, 4)
#: From n = s to n = 64 s, above which the ends have no effect.
OCTAVES = 6

Numbers = NDArray[np.float64]


def ends_key(name: str, voices: int) -> str:
    """Return the name of the exponents of a wavelet in the file."""
    return f"{name}/{voices}"


def record_exponents(name: str, voices: int, scales: Numbers, n: int) -> Numbers:
    """Return h for rows of a record of `n` samples, shape (scales, levels).

    Parameters
    ----------
    name : str
        Name of the wavelet, as in `pycwt_mod.significance.table.level_table.WAVELETS`.
    voices : int
        Per octave.
    scales : ndarray, shape (scales,)
        In samples.
    n : int
        Samples of the record. A scale above it has the exponents of a scale of `n`.
    """
    nearest = min(VOICES, key=lambda each: abs(math.log(each / voices)))
    grid = stored(FILE)[ends_key(name, nearest)]
    place = np.clip(np.log2(n / scales), 0, OCTAVES) * nearest
    low = np.minimum(place.astype(np.intp), OCTAVES * nearest - 1)
    weight = (place - low)[:, None]
    h = (1 - weight) * grid[low] + weight * grid[low + 1]
    h[np.log2(n / scales) >= OCTAVES] = 1
    return np.asarray(h, dtype=np.float64)
