"""What the services answer, as the library returns it, with what only a service knows.

Values that rest on missing samples are NaN here, and `mask` is true. Axes and levels may be changed
in place; matrices are read-only views of the reply.
"""

from __future__ import annotations

import numpy as np

from pycwt_mod import CwtResult, WctResult, XwtResult
from pycwt_mod.rednoise import Lag1
from schemas.query import CwtReply, WctReply, XwtReply

__all__ = ["CwtAnswer", "WctAnswer", "XwtAnswer"]


class CwtAnswer(CwtResult):
    """A `pycwt_mod.CwtResult`, the seconds a worker took for it, and whether that was before."""

    computation_time: float
    cached: bool

    @classmethod
    def of(cls, reply: CwtReply, dt: float | None = None) -> CwtAnswer:
        """Return the answer in a reply; `dt` is the sampling interval of the request."""
        axes = reply.scales.copy(), reply.freqs.copy(), reply.coi.copy()
        found = cls(
            reply.wave, *axes, reply.fft, reply.fftfreqs.copy(),
            mask=np.isnan(reply.wave), dt=dt,
        )  # fmt: skip
        found.computation_time = reply.computation_time
        found.cached = reply.cached
        return found


class XwtAnswer(XwtResult):
    """A `pycwt_mod.XwtResult`, its phase in radians, seconds taken, and whether that was before."""

    phase: np.ndarray
    computation_time: float
    cached: bool

    @classmethod
    def of(cls, reply: XwtReply, dt: float | None = None) -> XwtAnswer:
        """Return the answer in a reply; `dt` is the sampling interval of the request."""
        levels = np.full(len(reply.freqs), np.nan) if reply.signif is None else reply.signif
        fields = (reply.xwt, reply.coi.copy(), reply.freqs.copy(), levels.copy())
        found = cls(*fields, mask=np.isnan(reply.xwt), lag1=_lag1(reply), dt=dt)
        found.phase = reply.phase
        found.computation_time = reply.computation_time
        found.cached = reply.cached
        return found


class WctAnswer(WctResult):
    """A `pycwt_mod.WctResult` and how it came about; the smoothed spectrum is not told (NaN).

    Attributes
    ----------
    backend_used : str or None
        Where the level was simulated; None if it was not.
    seed : int or None
        Gives the same level again.
    computation_time : float
        Seconds that the worker took.
    cached : bool
        Whether it was computed for somebody who asked the same, and `computation_time` is of then.
    """

    backend_used: str | None
    seed: int | None
    computation_time: float
    cached: bool

    @classmethod
    def of(cls, reply: WctReply, dt: float | None = None) -> WctAnswer:
        """Return the answer in a reply; `dt` is the sampling interval of the request.

        Without a level `signif` is ``[0]``, as in the library.
        """
        levels = np.zeros(1) if reply.signif is None else reply.signif
        # Not in the reply: the library would make one of the phase, in ten milliseconds.
        unknown = np.broadcast_to(np.nan, (2, *reply.WCT.shape))
        found = cls(
            reply.WCT, reply.aWCT, reply.coi.copy(), reply.freqs.copy(), levels.copy(),
            smoothed=unknown, mask=np.isnan(reply.WCT), lag1=_lag1(reply), dt=dt,
        )  # fmt: skip
        found.backend_used = reply.backend_used
        found.seed = reply.seed
        found.computation_time = reply.computation_time
        found.cached = reply.cached
        return found


def _lag1(reply: WctReply | XwtReply) -> tuple[Lag1, Lag1] | None:
    if reply.lag1 is None:
        return None
    first, second = (Lag1(np.array(each.g), np.array(each.estimator)) for each in reply.lag1)
    return first, second
