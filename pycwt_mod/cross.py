"""The cross wavelet transform."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from pycwt_mod.arrays import MEMORY_LIMIT_BYTES, Convention, check_convention
from pycwt_mod.engine.gaps import MASK_THRESHOLD, GapFill
from pycwt_mod.pairs import check_pair
from pycwt_mod.planning import plan_for
from pycwt_mod.results import XwtResult
from pycwt_mod.wavelets import WaveletLike


def xwt(
    y1: ArrayLike | Sequence[float],
    y2: ArrayLike | Sequence[float],
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    significance_level: float = 0.95,
    wavelet: WaveletLike = "morlet",
    normalize: bool = True,
    *,
    freqs: ArrayLike | None = None,
    convention: Convention = "standard",
    al1: float | None = None,
    al2: float | None = None,
    axis: int | None = None,
    gap_fill: GapFill = None,
    max_gap: float | None = None,
    mask_threshold: float | None = MASK_THRESHOLD,
    workers: int = 1,
    max_bytes: int = MEMORY_LIMIT_BYTES,
    rtol: float | None = None,
) -> XwtResult:
    """Cross wavelet transform W1(s, n) W2*(s, n).

    Parameters
    ----------
    y1, y2 : array_like, shape (n,) or batches along `axis`
        Signals sampled together. Missing samples and data frames as in `cwt`; two pandas
        objects must have the same index.
    dt, dj, s0, J, wavelet, freqs, axis, gap_fill, max_gap, workers, max_bytes, rtol
        As in `cwt`.
    significance_level : float
        p, between 0 and 1.
    normalize : bool
        Divide by the standard deviations; if not, the result is in the product of the units.
    convention : {"standard", "pycwt"}
        Also decides the level: Z_ν(p)/ν of the product of two χ² (eq. 31), or pycwt's χ²_ν/ν,
        which is 1.5 times too high.
    mask_threshold : float or None
        As in `cwt`; a sample is missing if it is missing in either signal.
    al1, al2 : float, optional
        AR(1) coefficients; estimated if not given.

    Returns
    -------
    XwtResult
        ``(cross, coi, freqs, signif)``; for batches all but `coi` and `freqs` have their axes.

    Raises
    ------
    ValueError
        If an argument is out of range, the lengths differ, or a signal is constant.

    References
    ----------
    Torrence & Compo (1998), eq. 30-31. Grinsted et al. (2004), doi:10.5194/npg-11-561-2004
    """
    check_convention(convention)
    first, second = check_pair(y1, y2, axis)
    analysis = plan_for(first, dt, dj, s0, J, wavelet, freqs, convention=convention, rtol=rtol)
    return analysis.xwt(
        first, second, significance_level, normalize=normalize, al1=al1, al2=al2,
        gap_fill=gap_fill, max_gap=max_gap, mask_threshold=mask_threshold,
        workers=workers, max_bytes=max_bytes,
    )  # fmt: skip
