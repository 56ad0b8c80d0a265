"""The derivatives of a Gaussian, the Mexican hat among them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import eval_hermitenorm

from pycwt_mod.wavelets.builtin import BuiltinWavelet, Factors, checked_order
from pycwt_mod.wavelets.protocol import Array, outermost

#: Published factors by order.
_TABLE = {
    2: Factors(cdelta=3.541, gamma=1.43, deltaj0=1.4),
    6: Factors(cdelta=1.966, gamma=1.37, deltaj0=0.97),
}


@dataclass(unsafe_hash=True, repr=False)
class DOG(BuiltinWavelet):
    """Derivative of a Gaussian, (-1)^(m+1)/√Γ(m+½) d^m/dt^m exp(-t²/2).

    In terms of Hermite polynomials this is -He_m(t) exp(-t²/2)/√Γ(m+½). For odd m, ψ0 and ψ̂0
    of the paper's table 1 have opposite signs; transforms follow ψ̂0.

    Parameters
    ----------
    m : int
        Order of the derivative, from 1 to 40.
    given_gamma, given_deltaj0, given_cdelta : float, optional
        Factors to use instead of the published ones, which exist only for `m` = 2 and 6; C_δ
        is computed for other even orders.

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
    given_cdelta: float | None = None

    name = "DOG"
    analytic = False
    dofmin = 1

    def _checked(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any attribute
        return checked_order(value) if name == "m" else value

    @property
    def published(self) -> Factors:
        """3.541, 1.43 and 1.4 for m = 2; 1.966, 1.37 and 0.97 for m = 6 (TC98 table 2)."""
        return _TABLE.get(self.m, Factors())

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


@dataclass(unsafe_hash=True, repr=False)
class MexicanHat(DOG):
    """The second derivative of a Gaussian, `DOG` of order 2."""

    m: int = field(default=2, init=False)

    name = "Mexican Hat"

    def _checked(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any attribute
        if name == "m" and value != 2:
            raise ValueError(f"cannot set m={value!r}: the Mexican hat has order 2; use DOG(m)")
        return super()._checked(name, value)
