"""The Morlet wavelet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import check_positive
from pycwt_mod.wavelets.builtin import BuiltinWavelet, Factors
from pycwt_mod.wavelets.protocol import Array

_MORLET_6 = Factors(cdelta=0.776, gamma=2.32, deltaj0=0.60)


@dataclass(unsafe_hash=True, repr=False)
class Morlet(BuiltinWavelet):
    """Morlet wavelet ψ0(t) = π^-1/4 exp(i f0 t) exp(-t²/2), and ψ̂0(f) = π^-1/4 exp(-(f - f0)²/2).

    Parameters
    ----------
    f0 : float
        Central angular frequency ω0 at scale 1; at least 5 for a negligible mean.
    given_gamma, given_deltaj0, given_cdelta : float, optional
        Factors to use instead of the published ones, which exist only for `f0` = 6; C_δ is
        computed for any other `f0`.

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
    given_cdelta: float | None = None

    name = "Morlet"
    analytic = True
    dofmin = 2

    def _checked(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any attribute
        if name != "f0":
            return value
        f0 = check_positive("f0", value)
        if f0 <= 0.8:
            raise ValueError(f"f0={value!r} must be a finite number > 0.8")
        return f0

    @property
    def published(self) -> Factors:
        """0.776, 2.32 and 0.60 for f0 = 6 (TC98 table 2)."""
        return _MORLET_6 if self.f0 == 6 else Factors()

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
