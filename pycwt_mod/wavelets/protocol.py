"""The interface of a mother wavelet, and the measurement of its support without a formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]


class Wavelet(Protocol):
    """A mother wavelet.

    Arguments are dimensionless: ``f`` is s·ω and ``t`` is t/s. Any object that fits this
    protocol works everywhere in the library, mutable or not: an analysis takes a copy of it when
    it starts (`as_wavelet`). Of these members `psi_ft` and `psi` are indispensable, and either
    `fourier_factor` and `efolding` or pycwt's `flambda()` and `coi()`; `WaveletSnapshot` derives
    the others from them.
    """

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def analytic(self) -> bool:
        """Whether only positive frequencies count; if not, the wavelet is real."""

    @property
    def dofmin(self) -> int:
        """Degrees of freedom of one coefficient: 2 if complex, 1 if real."""

    @property
    def fourier_factor(self) -> float:
        """Fourier period of scale 1 (TC98 table 1)."""

    @property
    def efolding(self) -> float:
        """Time in which the response to a step falls by e, at scale 1 (TC98 table 1)."""

    @property
    def psi0(self) -> float:
        """Value at t = 0, without the constant phase (TC98 table 2)."""

    @property
    def cdelta(self) -> float:
        """Reconstruction factor (TC98 table 2, or eq. 13)."""

    @property
    def gamma(self) -> float:
        """Decorrelation factor for averages over time (TC98 table 2)."""

    @property
    def deltaj0(self) -> float:
        """Decorrelation width in octaves for averages over scales (TC98 table 2)."""

    def __hash__(self) -> int:
        """Equal wavelets hash alike; `as_wavelet` makes a hashable copy of one that has no hash."""
        return object.__hash__(self)

    def psi_ft(self, f: ArrayLike) -> Array:
        """Fourier transform at s·ω."""

    def psi(self, t: ArrayLike) -> Array:
        """Return the wavelet at t/s."""

    def time_radius(self, tol: float) -> float:
        """Time beyond which |ψ| stays below `tol` of its maximum, at scale 1."""

    def frequency_band(self, tol: float) -> tuple[float, float]:
        """Positive s·ω outside which the transform stays below `tol` of its maximum."""


class OwnWavelet(Protocol):
    """What a caller's wavelet must have at least; see `Wavelet` for what can be derived."""

    def psi_ft(self, f: Any, /) -> Any:  # noqa: ANN401 - arrays of any library's typing
        """Fourier transform at s·ω."""

    def psi(self, t: Any, /) -> Any:  # noqa: ANN401 - arrays of any library's typing
        """Return the wavelet at t/s."""


#: What functions take as a wavelet: an object of the caller's, or a name.
WaveletLike: TypeAlias = OwnWavelet | str


def outermost(shape: Callable[[Array], Array], tol: float, *, far: float) -> tuple[float, float]:
    """Return the first and last x in [0, far] where `shape` exceeds `tol` of its maximum.

    The grid has 20,000 points; one step is added outwards, so the answer is never too small.
    """
    x = np.linspace(0.0, far, 20_001)
    values = np.abs(shape(x))
    above = np.flatnonzero(values > tol * values.max())
    step = far / 20_000
    return max(0.0, float(x[above[0]] - step)), float(x[above[-1]] + step)


def reconstruction_factor(wavelet: Wavelet) -> float:
    """C_δ by TC98 eq. 13 with the sum over scales and frequencies taken to its limit.

    With A = ∫ Re ψ̂0(x)/x dx over x > 0, C_δ = √(π/2) A / (ψ0(0) ln 2), twice that for a
    real wavelet, which has negative frequencies too.

    Raises
    ------
    ValueError
        If ψ0(0) = 0: a series can't be rebuilt with a delta function from such a wavelet.
    """
    if wavelet.psi0 == 0:
        raise ValueError(f"{wavelet!r} is zero at t = 0, so it has no reconstruction factor")
    return _reconstruction_integral(wavelet)


@lru_cache(maxsize=64)
def _reconstruction_integral(wavelet: Wavelet) -> float:
    low, high = 1e-6, wavelet.frequency_band(1e-15)[1]
    log_x = np.linspace(math.log(low), math.log(high), 40_001)
    integral = float(np.trapezoid(np.real(wavelet.psi_ft(np.exp(log_x))), log_x))
    sides = 1.0 if wavelet.analytic else 2.0
    return sides * math.sqrt(math.pi / 2) * integral / (wavelet.psi0 * math.log(2))
