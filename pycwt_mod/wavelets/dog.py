"""The derivatives of a Gaussian, the Mexican hat among them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import eval_hermitenorm

from pycwt_mod.wavelets.protocol import Array, outermost, published, reconstruction_factor

#: order -> (C_δ, γ, δj0), Torrence & Compo (1998) table 2.
_TABLE = {2: (3.541, 1.43, 1.4), 6: (1.966, 1.37, 0.97)}


@dataclass(frozen=True)
class DOG:
    """Derivative of a Gaussian, (-1)^(m+1)/√Γ(m+½) d^m/dt^m exp(-t²/2).

    In terms of Hermite polynomials this is -He_m(t) exp(-t²/2)/√Γ(m+½). For odd m, ψ0 and ψ̂0
    of the paper's table 1 have opposite signs; transforms follow ψ̂0.

    Parameters
    ----------
    m : int
        Order of the derivative, from 1 to 40.
    given_gamma, given_deltaj0 : float, optional
        Decorrelation factors where none has been published (any `m` but 2 and 6).

    References
    ----------
    Torrence & Compo (1998), tables 1 and 2, doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2

    Examples
    --------
    >>> round(DOG(2).psi0, 3)
    0.867
    """

    m: int = 2
    given_gamma: float | None = None
    given_deltaj0: float | None = None

    analytic = False
    dofmin = 1

    def __post_init__(self) -> None:
        if int(self.m) != self.m or not 1 <= self.m <= 40:
            raise ValueError(f"m={self.m!r} must be a whole number from 1 to 40")

    @property
    def name(self) -> str:
        """Name for people."""
        return "DOG"

    @property
    def fourier_factor(self) -> float:
        """2π / √(m + ½)."""
        return 2 * math.pi / math.sqrt(self.m + 0.5)

    @property
    def efolding(self) -> float:
        """√2."""
        return math.sqrt(2)

    @property
    def psi0(self) -> float:
        """ψ0(0), zero for odd m."""
        return 0.0 if self.m % 2 else float(self.psi(0.0))

    @property
    def cdelta(self) -> float:
        """3.541 for m = 2, 1.966 for m = 6, computed for other even orders."""
        return _TABLE[self.m][0] if self.m in _TABLE else reconstruction_factor(self)

    @property
    def gamma(self) -> float:
        """1.43 for m = 2, 1.37 for m = 6."""
        value = _TABLE[self.m][1] if self.m in _TABLE else None
        return published(value, self.given_gamma, "gamma", self)

    @property
    def deltaj0(self) -> float:
        """1.4 for m = 2, 0.97 for m = 6."""
        value = _TABLE[self.m][2] if self.m in _TABLE else None
        return published(value, self.given_deltaj0, "deltaj0", self)

    def psi_ft(self, f: ArrayLike) -> Array:
        """Fourier transform at s·ω: -i^m / √Γ(m+½) f^m exp(-f²/2); real for even m."""
        x = np.asarray(f)
        shape = x**self.m * np.exp(-0.5 * x**2) / math.sqrt(math.gamma(self.m + 0.5))
        phase = (-1, -1j, 1, 1j)[self.m % 4]
        return np.asarray(phase * shape)

    def psi(self, t: ArrayLike) -> Array:
        """Return the wavelet at t/s."""
        x = np.asarray(t, dtype=np.float64)
        norm = math.sqrt(math.gamma(self.m + 0.5))
        return np.asarray(-eval_hermitenorm(self.m, x) * np.exp(-(x**2) / 2) / norm)

    def time_radius(self, tol: float) -> float:
        """Time beyond which |ψ| stays below `tol` of its maximum."""
        return outermost(self.psi, tol, far=self._far(tol))[1]

    def frequency_band(self, tol: float) -> tuple[float, float]:
        """Positive s·ω outside which f^m exp(-f²/2) stays below `tol` of its maximum."""
        return outermost(self.psi_ft, tol, far=self._far(tol))

    def _far(self, tol: float) -> float:
        return 3 * math.sqrt(self.m) + math.sqrt(-2 * math.log(tol)) + 5

    def flambda(self) -> float:
        """`fourier_factor` by pycwt's name."""
        return self.fourier_factor

    def coi(self) -> float:
        """1 / `efolding`, pycwt's factor of the cone of influence."""
        return 1 / self.efolding

    def sup(self) -> float:
        """`efolding` by pycwt's name."""
        return self.efolding


@dataclass(frozen=True)
class MexicanHat(DOG):
    """The second derivative of a Gaussian, `DOG` of order 2."""

    m: int = field(default=2, init=False)

    @property
    def name(self) -> str:
        """Name for people."""
        return "Mexican Hat"
