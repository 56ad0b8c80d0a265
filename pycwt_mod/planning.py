"""From the arguments of an analysis to its plan."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import Convention, Floats, check_convention, check_count
from pycwt_mod.bands import resolve_rtol
from pycwt_mod.cwt_plan import CwtPlan
from pycwt_mod.scale_axis import ScaleAxis
from pycwt_mod.wavelets import Wavelet, as_wavelet

#: Tables of records up to this length are kept for the next call, of two analyses at most.
_KEPT_SAMPLES = 2**17


def padded_length(n: int, convention: Convention) -> int:
    """Return the FFT length: TC98's, at least 1.4 n, or pycwt's next power of two."""
    if convention == "pycwt":
        return int(2 ** math.ceil(math.log2(n)))
    return int(2 ** (int(math.log2(n) + 0.4999) + 1))


def plan(
    n: int,
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    wavelet: Wavelet | str = "morlet",
    freqs: ArrayLike | None = None,
    *,
    convention: Convention = "standard",
    pad_to: int | None = None,
    dtype: np.dtype[Any] | type[np.floating[Any]] = np.float64,
    rtol: float | None = None,
) -> CwtPlan:
    """Plan the analysis of records of `n` samples.

    Parameters
    ----------
    n : int
        Samples of a record, at least 2.
    dt, dj, s0, J, wavelet, freqs, convention, pad_to, rtol
        As in `cwt`.
    dtype : {numpy.float64, numpy.float32}
        Precision of the computation.

    Returns
    -------
    CwtPlan

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> analysis = plan(256, 0.5, dtype=np.float32)
    >>> analysis.cwt(np.sin(np.arange(256.0))).coefs.dtype
    dtype('complex64')
    """
    check_count("n", n, least=2)
    check_convention(convention)
    mother = as_wavelet(wavelet)
    grid = ScaleAxis.make(n, dt, dj, s0, J, mother, freqs)
    if pad_to is not None:
        check_count("pad_to", pad_to, least=n)
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise ValueError(f"dtype={kind} must be float32 or float64")
    return CwtPlan(
        n=n, dt=dt, wavelet=mother, convention=convention, dtype=kind,
        rtol=resolve_rtol(rtol, kind), length=pad_to or padded_length(n, convention),
        dj=dj if freqs is None else None, axis=grid,
    )  # fmt: skip


def plan_for(
    values: Floats,
    dt: float,
    dj: float,
    s0: float,
    J: float,
    wavelet: Wavelet | str,
    freqs: ArrayLike | None = None,
    *,
    convention: Convention = "standard",
    pad_to: int | None = None,
    rtol: float | None = None,
) -> CwtPlan:
    """Return a plan for `values`, the same one for the same question while it is kept."""
    n = values.shape[-1]
    wanted = None if freqs is None else np.atleast_1d(np.asarray(freqs))
    if wanted is not None and wanted.ndim != 1:
        raise ValueError(f"{freqs=} must be a list of numbers")
    key = None if wanted is None else tuple(wanted.tolist())
    mother = as_wavelet(wavelet)
    make = _kept_plan if n <= _KEPT_SAMPLES else _kept_plan.__wrapped__
    return make(n, dt, dj, s0, J, mother, key, convention, pad_to, values.dtype.char, rtol)


@lru_cache(maxsize=2)
def _kept_plan(
    n: int,
    dt: float,
    dj: float,
    s0: float,
    J: float,
    wavelet: Wavelet,
    freqs: tuple[float, ...] | None,
    convention: Convention,
    pad_to: int | None,
    dtype: str,
    rtol: float | None,
) -> CwtPlan:
    return plan(
        n, dt, dj, s0, J, wavelet, freqs,
        convention=convention, pad_to=pad_to, dtype=np.dtype(dtype), rtol=rtol,
    )  # fmt: skip
