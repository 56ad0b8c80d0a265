"""The frequencies of a live analysis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.arrays import check_count, check_positive
from pycwt_mod.wavelets import Wavelet, WaveletLike, as_wavelet

#: A row whose band is cut at Nyquist (or at zero) rings on; at this part of the wavelet's
#: maximum the ringing stays within the tolerance of blocks.
EDGE_TOL = 1e-5


def highest_freq_hz(fs_hz: float, wavelet: WaveletLike) -> float:
    """Return the highest frequency whose band ends below Nyquist; 0.28 `fs_hz` for Morlet 6.

    Above it, the transform rings for as long as the record, so a block, which is computed from a
    part of it, cannot equal the offline transform.
    """
    mother = as_wavelet(wavelet)
    top = mother.frequency_band(EDGE_TOL)[1]
    return math.pi * fs_hz / (top * mother.fourier_factor)


@dataclass(frozen=True, kw_only=True)
class VoiceGrid:
    """The frequencies of a live analysis, f_j = fmax 2^(-j/V) down to fmin, grouped in octaves.

    Attributes
    ----------
    fs_hz : float
        Sampling rate.
    fmin_hz, fmax_hz : float
        Lowest and highest frequency; `fmax_hz` at most `highest_freq_hz`.
    voices_per_octave : int
        V.
    wavelet : Wavelet
        Kept as it is when the grid is made; a later assignment to its parameters has no effect.

    Raises
    ------
    ValueError
        If a value is out of range, or the wavelet has a mean that isn't negligible.

    Examples
    --------
    >>> from pycwt_mod import Morlet
    >>> grid = VoiceGrid(
    ...     fs_hz=100, fmin_hz=1, fmax_hz=16, voices_per_octave=4, wavelet=Morlet()
    ... )
    >>> len(grid.freqs_hz), grid.n_octaves, grid.octave_slice(4)
    (17, 5, slice(16, 17, None))
    """

    fs_hz: float
    fmin_hz: float
    fmax_hz: float
    voices_per_octave: int
    wavelet: Wavelet

    def __post_init__(self) -> None:
        object.__setattr__(self, "wavelet", as_wavelet(self.wavelet))
        check_positive("fs_hz", self.fs_hz)
        check_positive("fmin_hz", self.fmin_hz)
        check_positive("fmax_hz", self.fmax_hz)
        check_count("voices_per_octave", self.voices_per_octave)
        if self.fmin_hz > self.fmax_hz:
            raise ValueError(f"fmin_hz={self.fmin_hz!r} must not exceed fmax_hz={self.fmax_hz!r}")
        highest = highest_freq_hz(self.fs_hz, self.wavelet)
        if self.fmax_hz > highest:
            raise ValueError(
                f"fmax_hz={self.fmax_hz!r} must be at most {highest:.6g} Hz "
                f"at fs_hz={self.fs_hz!r} with {self.wavelet!r}"
            )
        mean = float(np.abs(self.wavelet.psi_ft(0.0)))
        if mean > EDGE_TOL:
            raise ValueError(f"wavelet={self.wavelet!r} has a mean of {mean:.2g}, not near zero")

    @property
    def n_voices(self) -> int:
        """Number of frequencies."""
        octaves = math.log2(self.fmax_hz / self.fmin_hz)
        # fmax/fmin may fall short of a whole number of voices by rounding.
        return math.floor(octaves * self.voices_per_octave + 1e-9) + 1

    @property
    def freqs_hz(self) -> NDArray[np.float64]:
        """All frequencies, descending from `fmax_hz`; shape (voices,)."""
        return np.asarray(
            self.fmax_hz * 2.0 ** (-np.arange(self.n_voices) / self.voices_per_octave)
        )

    @property
    def scales_s(self) -> NDArray[np.float64]:
        """Their scales in seconds, ascending; shape (voices,)."""
        return np.asarray(1 / (self.wavelet.fourier_factor * self.freqs_hz))

    @property
    def n_octaves(self) -> int:
        """Number of octaves, a shorter last one included."""
        return math.ceil(self.n_voices / self.voices_per_octave)

    def octave_slice(self, k: int) -> slice:
        """Return the voices of octave `k`; the last octave may be shorter."""
        if not 0 <= k < self.n_octaves:
            raise ValueError(f"octave {k!r} must be from 0 to {self.n_octaves - 1}")
        first = k * self.voices_per_octave
        return slice(first, min(first + self.voices_per_octave, self.n_voices))
