"""A script written for pycwt, with its import changed, and a user-defined wavelet.

It needs no server:

    python examples/from_pycwt.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import pycwt_mod as pycwt
from pycwt_mod.helpers import find
from pycwt_mod.sample.dataset import Dataset

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


@dataclass
class CompleteMorlet:
    """Morlet wavelet with the correction term that makes its mean zero.

    `Morlet` lacks that term, which matters for f0 below 5. A wavelet needs four methods, `psi_ft`,
    `psi`, `flambda` and `coi`, and the factors of what is computed with it: δj0 for coherence, γ
    for averages over time. The constant c normalises the energy to one.
    """

    f0: float = 3.0
    deltaj0: float = 0.6

    @property
    def c(self) -> float:
        """Normalisation, (1 + exp(-f0²) - 2 exp(-3f0²/4))^-1/2."""
        f0 = self.f0
        return 1 / math.sqrt(1 + math.exp(-(f0**2)) - 2 * math.exp(-0.75 * f0**2))

    def psi_ft(self, f: Real) -> Real:
        """Return the Fourier transform at s·ω."""
        gauss = np.exp(-0.5 * (f - self.f0) ** 2) - np.exp(-0.5 * (f**2 + self.f0**2))
        return np.asarray(self.c * math.pi**-0.25 * gauss)

    def psi(self, t: Real) -> Complex:
        """Return the wavelet at t/s."""
        wave = np.exp(1j * self.f0 * t) - math.exp(-0.5 * self.f0**2)
        return np.asarray(self.c * math.pi**-0.25 * wave * np.exp(-0.5 * t**2))

    def flambda(self) -> float:
        """Return the Fourier period of scale 1, approximated by that of `Morlet`."""
        return 4 * math.pi / (self.f0 + math.sqrt(2 + self.f0**2))

    def coi(self) -> float:
        """Return 1/√2, the inverse of the e-folding time."""
        return 1 / math.sqrt(2)


series = Dataset("NINO3", usetex=False)
sst = series.load()
sst = (sst - sst.mean()) / sst.std()
alpha = pycwt.ar1(sst)[0]

mothers: tuple[pycwt.WaveletLike, ...] = (pycwt.Morlet(6), CompleteMorlet(3.0))
for mother in mothers:
    wave, scales, freqs, *_ = pycwt.cwt(sst, series.dt, 1 / 12, wavelet=mother)
    threshold = pycwt.significance(1.0, series.dt, scales, 0, alpha, wavelet=mother)[0]
    period = 1 / freqs
    power = np.abs(wave) ** 2
    band = find((period >= 2) & (period < 8))
    significant = (power / threshold[:, None] > 1)[band].mean()
    print(f"{mother}: {significant:.0%} of the band from 2 to 8 years is significant")
