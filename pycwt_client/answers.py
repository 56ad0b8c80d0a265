"""Replies to queries, as the results of the library with additional fields of the service.

Values affected by missing samples are NaN, and `mask` is true there. Axes and thresholds can be
modified in place; matrices are read-only views of the reply.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from cwt_schemas.query import CwtReply, JointReply, MwctReply, PwctReply, WctReply, XwtReply
from pycwt_mod import CwtResult, MwctResult, WctResult, XwtResult
from pycwt_mod.rednoise import Lag1

__all__ = ["CwtAnswer", "MwctAnswer", "PwctAnswer", "WctAnswer", "XwtAnswer"]


class CwtAnswer(CwtResult):
    """A `pycwt_mod.CwtResult`, with the worker's computation time in seconds and `cached`."""

    computation_time: float
    cached: bool

    @classmethod
    def of(cls, reply: CwtReply, dt: float | None = None) -> CwtAnswer:
        """Return the answer from a reply; `dt` is the sampling interval of the request."""
        axes = reply.scales.copy(), reply.freqs.copy(), reply.coi.copy()
        answer = cls(
            reply.wave, *axes, reply.fft, reply.fftfreqs.copy(),
            mask=np.isnan(reply.wave), dt=dt,
        )  # fmt: skip
        answer.computation_time = reply.computation_time
        answer.cached = reply.cached
        return answer


class XwtAnswer(XwtResult):
    """A `pycwt_mod.XwtResult`, with phase (radians), computation time (seconds) and `cached`."""

    phase: np.ndarray
    computation_time: float
    cached: bool

    @classmethod
    def of(cls, reply: XwtReply, dt: float | None = None) -> XwtAnswer:
        """Return the answer from a reply; `dt` is the sampling interval of the request."""
        levels = np.full(len(reply.freqs), np.nan) if reply.signif is None else reply.signif
        fields = (reply.xwt, reply.coi.copy(), reply.freqs.copy(), levels.copy())
        answer = cls(*fields, mask=np.isnan(reply.xwt), lag1=_lag1(reply), dt=dt)
        answer.phase = reply.phase
        answer.computation_time = reply.computation_time
        answer.cached = reply.cached
        return answer


class _Simulated:
    """Attributes of the answer to a query for a kind of coherence.

    Attributes
    ----------
    backend_used : str or None
        Backend that simulated the threshold; None if there was no simulation.
    seed : int or None
        Seed that reproduces the threshold.
    computation_time : float
        Computation time of the worker, seconds.
    cached : bool
        Whether the reply is that of an earlier identical request, with its `computation_time`.
    """

    backend_used: str | None
    seed: int | None
    computation_time: float
    cached: bool

    def _computed(self, reply: WctReply | JointReply) -> Self:
        """Set the attributes from the reply."""
        self.backend_used = reply.backend_used
        self.seed = reply.seed
        self.computation_time = reply.computation_time
        self.cached = reply.cached
        return self


class WctAnswer(WctResult, _Simulated):  # type: ignore[misc] # of a named tuple
    """A `pycwt_mod.WctResult` of `wct`; the smoothed spectrum is not in the reply (NaN)."""

    @classmethod
    def of(cls, reply: WctReply, dt: float | None = None) -> WctAnswer:
        """Return the answer from a reply; `dt` is the sampling interval of the request.

        Without a threshold `signif` is ``[0]``, as in the library.
        """
        levels = np.zeros(1) if reply.signif is None else reply.signif
        # Not in the reply. The library would compute it from the phase, which takes 10 ms.
        unknown = np.broadcast_to(np.nan, (2, *reply.WCT.shape))
        answer = cls(
            reply.WCT, reply.aWCT, reply.coi.copy(), reply.freqs.copy(), levels.copy(),
            smoothed=unknown, mask=np.isnan(reply.WCT), lag1=_lag1(reply), dt=dt,
        )  # fmt: skip
        return answer._computed(reply)


class PwctAnswer(WctResult, _Simulated):  # type: ignore[misc] # of a named tuple
    """A `pycwt_mod.WctResult` of `pwct`; the smoothed spectrum is not in the reply (NaN)."""

    @classmethod
    def of(cls, reply: PwctReply, dt: float | None = None) -> PwctAnswer:
        """Return the answer from a reply; `dt` is the sampling interval of the request."""
        levels = np.zeros(1) if reply.signif is None else reply.signif
        answer = cls(
            reply.PWCT, reply.aPWCT, reply.coi.copy(), reply.freqs.copy(), levels.copy(),
            smoothed=np.broadcast_to(np.nan, (2, *reply.PWCT.shape)), mask=np.isnan(reply.PWCT),
            lag1=_lag1_of_all(reply), dt=dt,
        )  # fmt: skip
        return answer._computed(reply)


class MwctAnswer(MwctResult, _Simulated):  # type: ignore[misc] # of a named tuple
    """A `pycwt_mod.MwctResult`."""

    @classmethod
    def of(cls, reply: MwctReply, dt: float | None = None) -> MwctAnswer:
        """Return the answer from a reply; `dt` is the sampling interval of the request."""
        levels = np.zeros(1) if reply.signif is None else reply.signif
        answer = cls(
            reply.MWCT, reply.coi.copy(), reply.freqs.copy(), levels.copy(),
            mask=np.isnan(reply.MWCT), lag1=_lag1_of_all(reply), dt=dt,
        )  # fmt: skip
        return answer._computed(reply)


def _lag1_of_all(reply: PwctReply | MwctReply) -> tuple[Lag1, ...] | None:
    if reply.lag1 is None:
        return None
    return tuple(Lag1(np.array(each.g), np.array(each.estimator)) for each in reply.lag1)


def _lag1(reply: WctReply | XwtReply) -> tuple[Lag1, Lag1] | None:
    if reply.lag1 is None:
        return None
    first, second = (Lag1(np.array(each.g), np.array(each.estimator)) for each in reply.lag1)
    return first, second
