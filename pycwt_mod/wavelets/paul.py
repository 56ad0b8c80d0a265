"""The Paul wavelet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.wavelets.protocol import Array, outermost, published, reconstruction_factor


@dataclass(frozen=True)
class Paul:
    """Paul wavelet of order m, 2^m i^m m! / √(π (2m)!) (1 - i t)^-(m+1).

    As in the paper's table 1, ψ̂0 is real: the constant phase i^m of ψ0 isn't in the transforms.

    Parameters
    ----------
    m : int
        Order, from 1 to 40.
    given_gamma, given_deltaj0 : float, optional
        Decorrelation factors where none has been published (any `m` but 4).

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

    analytic = True
    dofmin = 2

    def __post_init__(self) -> None:
        if int(self.m) != self.m or not 1 <= self.m <= 40:
            raise ValueError(f"m={self.m!r} must be a whole number from 1 to 40")

    @property
    def name(self) -> str:
        """Name for people."""
        return "Paul"

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

    @property
    def cdelta(self) -> float:
        """1.132 for m = 4, computed otherwise."""
        return 1.132 if self.m == 4 else reconstruction_factor(self)

    @property
    def gamma(self) -> float:
        """1.17 for m = 4."""
        return published(1.17 if self.m == 4 else None, self.given_gamma, "gamma", self)

    @property
    def deltaj0(self) -> float:
        """1.5 for m = 4."""
        return published(1.5 if self.m == 4 else None, self.given_deltaj0, "deltaj0", self)

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

    def flambda(self) -> float:
        """`fourier_factor` by pycwt's name."""
        return self.fourier_factor

    def coi(self) -> float:
        """1 / `efolding`, pycwt's factor of the cone of influence."""
        return 1 / self.efolding

    def sup(self) -> float:
        """`efolding` by pycwt's name."""
        return self.efolding
