"""The Morlet wavelet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.wavelets.protocol import Array, published, reconstruction_factor


@dataclass(frozen=True)
class Morlet:
    """Morlet wavelet ψ0(t) = π^-1/4 exp(i f0 t) exp(-t²/2), and ψ̂0(f) = π^-1/4 exp(-(f - f0)²/2).

    Parameters
    ----------
    f0 : float
        Central angular frequency ω0 at scale 1; at least 5 for a negligible mean.
    given_gamma, given_deltaj0 : float, optional
        Decorrelation factors where none has been published (any `f0` but 6).

    References
    ----------
    Torrence & Compo (1998), tables 1 and 2, doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2

    Examples
    --------
    >>> round(Morlet().fourier_factor, 3)
    1.033
    """

    f0: float = 6.0
    given_gamma: float | None = None
    given_deltaj0: float | None = None

    analytic = True
    dofmin = 2

    def __post_init__(self) -> None:
        if not (math.isfinite(self.f0) and self.f0 > 0.8):
            raise ValueError(f"f0={self.f0!r} must be a finite number > 0.8")

    @property
    def name(self) -> str:
        """Name for people."""
        return "Morlet"

    @property
    def fourier_factor(self) -> float:
        """4π / (f0 + √(2 + f0²))."""
        return 4 * math.pi / (self.f0 + math.sqrt(2 + self.f0**2))

    @property
    def efolding(self) -> float:
        """√2."""
        return math.sqrt(2)

    @property
    def psi0(self) -> float:
        """π^-1/4."""
        return float(math.pi**-0.25)

    @property
    def cdelta(self) -> float:
        """0.776 for f0 = 6, computed otherwise."""
        return 0.776 if self.f0 == 6 else reconstruction_factor(self)

    @property
    def gamma(self) -> float:
        """2.32 for f0 = 6."""
        return published(2.32 if self.f0 == 6 else None, self.given_gamma, "gamma", self)

    @property
    def deltaj0(self) -> float:
        """0.60 for f0 = 6."""
        return published(0.60 if self.f0 == 6 else None, self.given_deltaj0, "deltaj0", self)

    def psi_ft(self, f: ArrayLike) -> Array:
        """Fourier transform at s·ω, without the Heaviside step (`analytic` stands for it)."""
        return np.asarray(math.pi**-0.25 * np.exp(-0.5 * (np.asarray(f) - self.f0) ** 2))

    def psi(self, t: ArrayLike) -> Array:
        """Return the wavelet at t/s."""
        time = np.asarray(t)
        return np.asarray(math.pi**-0.25 * np.exp(1j * self.f0 * time - time**2 / 2))

    def time_radius(self, tol: float) -> float:
        """√(-2 ln tol)."""
        return math.sqrt(-2 * math.log(tol))

    def frequency_band(self, tol: float) -> tuple[float, float]:
        """F0 ± √(-2 ln tol), cut at zero."""
        radius = math.sqrt(-2 * math.log(tol))
        return max(0.0, self.f0 - radius), self.f0 + radius

    def flambda(self) -> float:
        """`fourier_factor` by pycwt's name."""
        return self.fourier_factor

    def coi(self) -> float:
        """1 / `efolding`, pycwt's factor of the cone of influence."""
        return 1 / self.efolding

    def sup(self) -> float:
        """`efolding` by pycwt's name."""
        return self.efolding
