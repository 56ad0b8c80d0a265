"""The Paul wavelet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.wavelets.builtin import BuiltinWavelet, Factors, checked_order
from pycwt_mod.wavelets.protocol import Array, outermost

_PAUL_4 = Factors(cdelta=1.132, gamma=1.17, deltaj0=1.5)


@dataclass(unsafe_hash=True, repr=False)
class Paul(BuiltinWavelet):
    """Paul wavelet of order m, 2^m i^m m! / √(π (2m)!) (1 - i t)^-(m+1).

    As in the paper's table 1, ψ̂0 is real: the constant phase i^m of ψ0 isn't in the transforms.

    Parameters
    ----------
    m : int
        Order, from 1 to 40.
    given_gamma, given_deltaj0, given_cdelta : float, optional
        Factors to use instead of the published ones, which exist only for `m` = 4; C_δ is
        computed for any other `m`.

    References
    ----------
    Torrence & Compo (1998), tables 1 and 2, doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2

    Examples
    --------
    >>> round(Paul(4).psi0, 3)
    1.079
    """

    m: int = 4
    given_gamma: float | None = None
    given_deltaj0: float | None = None
    given_cdelta: float | None = None

    name = "Paul"
    analytic = True
    dofmin = 2

    def _checked(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any attribute
        return checked_order(value) if name == "m" else value

    @property
    def published(self) -> Factors:
        """1.132, 1.17 and 1.5 for m = 4 (TC98 table 2)."""
        return _PAUL_4 if self.m == 4 else Factors()

    @property
    def fourier_factor(self) -> float:
        """4π / (2m + 1)."""
        return 4 * math.pi / (2 * self.m + 1)

    @property
    def efolding(self) -> float:
        """1/√2."""
        return 1 / math.sqrt(2)

    @property
    def psi0(self) -> float:
        """|ψ0(0)| = 2^m m! / √(π (2m)!)."""
        m = self.m
        return float(2**m * math.factorial(m) / math.sqrt(math.pi * math.factorial(2 * m)))

    def psi_ft(self, f: ArrayLike) -> Array:
        """Fourier transform at s·ω: 2^m / √(m (2m-1)!) f^m exp(-f) for f > 0, else 0."""
        # Negative frequencies are cut before the exponential, which would overflow there.
        positive = np.maximum(np.asarray(f), 0)
        factor = 2**self.m / math.sqrt(self.m * math.factorial(2 * self.m - 1))
        return np.asarray(factor * positive**self.m * np.exp(-positive))

    def psi(self, t: ArrayLike) -> Array:
        """Return the wavelet at t/s."""
        return np.asarray(self.psi0 * 1j**self.m * (1 - 1j * np.asarray(t)) ** -(self.m + 1.0))

    def time_radius(self, tol: float) -> float:
        """√(tol^(-2/(m+1)) - 1)."""
        return math.sqrt(tol ** (-2 / (self.m + 1)) - 1)

    def frequency_band(self, tol: float) -> tuple[float, float]:
        """Positive s·ω outside which f^m exp(-f) stays below `tol` of its maximum."""
        return outermost(self.psi_ft, tol, far=4 * self.m + 60.0 - 2 * math.log(tol))
