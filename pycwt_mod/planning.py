"""From arguments to plans, of which the last ones are cached."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pycwt_mod.arrays import (
    Convention,
    Floats,
    as_number,
    check_convention,
    check_count,
    check_positive,
    padded_length,
    positive_axis,
    warn_of_fast_rows,
    warn_of_small_scales,
)
from pycwt_mod.cwt_plan import CwtPlan
from pycwt_mod.engine.filter_bank import resolve_rtol
from pycwt_mod.engine.scale_axis import ScaleAxis
from pycwt_mod.wavelets import Wavelet, WaveletLike, as_wavelet

#: Tables of records up to this length are kept for the next call, of two analyses at most.
_KEPT_SAMPLES = 2**17


def plan(
    n: int,
    dt: float,
    dj: float = 1 / 12,
    s0: float = -1,
    J: float = -1,
    wavelet: WaveletLike = "morlet",
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
    return _plan(
        n, np.dtype(dtype), dt, dj, s0, J, wavelet, freqs,
        convention=convention, pad_to=pad_to, rtol=rtol, keep=False,
    )  # fmt: skip


def plan_for(
    values: Floats,
    dt: float | None,
    dj: float,
    s0: float,
    J: float,
    wavelet: WaveletLike,
    freqs: ArrayLike | None = None,
    *,
    convention: Convention = "standard",
    pad_to: int | None = None,
    rtol: float | None = None,
) -> CwtPlan:
    """Return a plan for `values`; equal arguments return the same cached plan."""
    if dt is None:
        raise TypeError("cannot use dt=None: give the sampling interval of the signals")
    n = values.shape[-1]
    return _plan(
        n, values.dtype, dt, dj, s0, J, wavelet, freqs,
        convention=convention, pad_to=pad_to, rtol=rtol, keep=n <= _KEPT_SAMPLES,
    )  # fmt: skip


def _plan(
    n: int,
    dtype: np.dtype[Any],
    dt: float,
    dj: float,
    s0: float,
    J: float,
    wavelet: WaveletLike,
    freqs: ArrayLike | None,
    *,
    convention: Convention,
    pad_to: int | None,
    rtol: float | None,
    keep: bool,
) -> CwtPlan:
    """Check the arguments, and return the plan."""
    n = check_count("n", n, least=2)
    check_convention(convention)
    kind = dtype.newbyteorder("=")
    if kind not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype} must be float32 or float64")
    dt = check_positive("dt", dt)
    own = None if freqs is None else tuple(positive_axis("freqs", freqs).tolist())
    build = _kept_plan if keep else _kept_plan.__wrapped__
    analysis = build(
        n, dt, check_positive("dj", dj), as_number("s0", s0), as_number("J", J),
        as_wavelet(wavelet), own, convention,
        None if pad_to is None else check_count("pad_to", pad_to, least=n),
        kind.char, resolve_rtol(rtol, kind),
    )  # fmt: skip
    if own is not None:
        warn_of_fast_rows(analysis.axis.freqs, dt, "freqs")
    else:
        warn_of_small_scales(analysis.axis.freqs, float(analysis.axis.scales[0]), dt)
    return analysis


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
    rtol: float,
) -> CwtPlan:
    return CwtPlan(
        n=n, dt=dt, wavelet=wavelet, convention=convention, dtype=np.dtype(dtype), rtol=rtol,
        length=pad_to or padded_length(n, convention), dj=dj if freqs is None else None,
        axis=ScaleAxis.make(n, dt, dj, s0, J, wavelet, freqs),
    )  # fmt: skip
