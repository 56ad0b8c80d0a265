"""Queries to the workers: one method for each query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from numpy.typing import ArrayLike

from cwt_runtime.bus import Bus
from cwt_schemas import subjects
from cwt_schemas.analysis import Convention, Wavelet
from cwt_schemas.codec import validated
from cwt_schemas.hardware import HardwareReply, HardwareRequest
from cwt_schemas.message import Message
from cwt_schemas.query import (
    BackendInfo,
    BackendsReply,
    BackendsRequest,
    BenchmarkReply,
    BenchmarkRequest,
    CwtReply,
    CwtRequest,
    LevelMethod,
    MwctReply,
    MwctRequest,
    Precision,
    PwctReply,
    PwctRequest,
    SignificanceReply,
    SignificanceRequest,
    TransformRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from cwt_schemas.service import HealthReply, HealthRequest
from cwt_schemas.subjects import QueryOp
from pycwt_client.answers import CwtAnswer, MwctAnswer, PwctAnswer, WctAnswer, XwtAnswer
from pycwt_client.request import ASK_TIMEOUT_S, COMPUTE_TIMEOUT_S, Reply, ask
from pycwt_client.signals import (
    as_signal,
    as_signals,
    check_pair,
    level_fields,
    precision_of,
    with_plain_numbers,
)
from pycwt_mod import MonteCarlo
from pycwt_mod.arrays import warn_of_small_scales

__all__ = ["Queries"]

TransformReply = TypeVar("TransformReply", CwtReply, XwtReply, WctReply, PwctReply, MwctReply)

#: Number of samples from which a coherence is sent ahead of its threshold, during the simulation.
LONG = 1000


class Queries:
    """Queries to the workers; `pycwt_client.Client` inherits them.

    Every method raises `ContractError` with `code` and `detail`: the refusal of the service,
    `Unavailable` if no service is subscribed, or `Timeout` after `timeout_s`. A timeout or a
    cancellation only ends the wait; the worker completes the computation.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def bus(self) -> Bus:
        """The underlying connection, for operations that have no method here."""
        return self._bus

    async def ask(
        self,
        subject: str,
        request: Message,
        reply: type[Reply],
        *,
        timeout_s: float = ASK_TIMEOUT_S,
        early: bool = False,
    ) -> Reply:
        """Send one request, encoded in msgpack, and return its reply, also from the object store.

        With `early`, the service may send fields that are ready before the rest of the reply.
        """
        return await ask(self._bus, subject, request, reply, timeout_s=timeout_s, early=early)

    async def _transform(
        self,
        op: QueryOp,
        kind: type[TransformRequest],
        reply: type[TransformReply],
        fields: Mapping[str, Any],
        timeout_s: float,
        *,
        early: bool = False,
    ) -> TransformReply:
        """Request a transform, and warn if its smallest scales are below two samples."""
        request = validated(kind, with_plain_numbers(fields))
        where = subjects.query(op)
        found = await self.ask(where, request, reply, timeout_s=timeout_s, early=early)
        warn_of_small_scales(found.freqs, request.s0, request.dt)
        return found

    async def cwt(
        self,
        x: ArrayLike,
        dt: float,
        dj: float = 1 / 12,
        s0: float = -1,
        J: float = -1,
        wavelet: Wavelet = "morlet",
        param: float = -1,
        *,
        convention: Convention = "standard",
        dtype: Precision | None = None,
        timeout_s: float = COMPUTE_TIMEOUT_S,
    ) -> CwtAnswer:
        """Return the wavelet transform of a signal (time,); arguments as in `pycwt_mod.cwt`.

        `dtype` is the precision; the default is that of the signal.
        """
        signal = as_signal("data", x)
        fields = {
            "data": signal, "dt": dt, "dj": dj, "s0": s0, "J": J, "mother": wavelet,
            "param": param, "convention": convention, "dtype": dtype or precision_of(signal),
        }  # fmt: skip
        reply = await self._transform("cwt", CwtRequest, CwtReply, fields, timeout_s)
        return CwtAnswer.of(reply, dt)

    async def xwt(
        self,
        y1: ArrayLike,
        y2: ArrayLike,
        dt: float,
        dj: float = 1 / 12,
        s0: float = -1,
        J: float = -1,
        significance_level: float = 0.95,
        wavelet: Wavelet = "morlet",
        param: float = -1,
        *,
        convention: Convention = "standard",
        dtype: Precision | None = None,
        timeout_s: float = COMPUTE_TIMEOUT_S,
    ) -> XwtAnswer:
        """Return the cross-wavelet transform of two signals (time,), like `pycwt_mod.xwt`."""
        check_pair(y1, y2)
        first, second = as_signal("signal1", y1), as_signal("signal2", y2)
        fields = {
            "signal1": first, "signal2": second, "dt": dt, "dj": dj, "s0": s0, "J": J,
            "significance_level": significance_level, "mother": wavelet, "param": param,
            "convention": convention, "dtype": dtype or precision_of(first, second),
        }  # fmt: skip
        reply = await self._transform("xwt", XwtRequest, XwtReply, fields, timeout_s)
        return XwtAnswer.of(reply, dt)

    async def wct(
        self,
        y1: ArrayLike,
        y2: ArrayLike,
        dt: float,
        dj: float = 1 / 12,
        s0: float = -1,
        J: float = -1,
        significance_level: float | None = 0.95,
        wavelet: Wavelet = "morlet",
        param: float = -1,
        *,
        significance: MonteCarlo | Literal["table"] | None = None,
        method: LevelMethod = "montecarlo",
        mc_count: int = 300,
        seed: int | None = None,
        backend: str = "sequential",
        fallback: bool = False,
        convention: Convention = "standard",
        dtype: Precision | None = None,
        timeout_s: float = COMPUTE_TIMEOUT_S,
    ) -> WctAnswer:
        """Return the coherence of two signals (time,), like `pycwt_mod.wct`.

        `significance_level=None` omits the threshold. With `fallback` another backend replaces one
        that is not available. `significance` is an alternative to `method`, `mc_count`, `seed` and
        `backend`. Without a seed the service derives one from the request.
        """
        level = {"method": method, "mc_count": mc_count, "seed": seed, "backend": backend}
        check_pair(y1, y2)
        first, second = as_signal("signal1", y1), as_signal("signal2", y2)
        fields = {
            "signal1": first, "signal2": second, "dt": dt, "dj": dj, "s0": s0, "J": J,
            "significance_level": significance_level, "mother": wavelet, "param": param,
            "fallback": fallback, "convention": convention,
            "dtype": dtype or precision_of(first, second), **level_fields(significance, level),
        }  # fmt: skip
        # Subscribing to early fields takes a round trip, which would slow down short signals.
        simulated = significance_level is not None and fields.get("method") != "table"
        early = simulated and len(first) >= LONG
        reply = await self._transform("wct", WctRequest, WctReply, fields, timeout_s, early=early)
        return WctAnswer.of(reply, dt)

    async def pwct(
        self,
        y1: ArrayLike,
        y2: ArrayLike,
        given: ArrayLike,
        dt: float,
        dj: float = 1 / 12,
        s0: float = -1,
        J: float = -1,
        significance_level: float | None = 0.95,
        wavelet: Wavelet = "morlet",
        param: float = -1,
        *,
        deltaj0: float | None = None,
        mc_count: int = 300,
        seed: int | None = None,
        backend: str = "sequential",
        fallback: bool = False,
        convention: Convention = "standard",
        dtype: Precision | None = None,
        timeout_s: float = COMPUTE_TIMEOUT_S,
    ) -> PwctAnswer:
        """Return the partial coherence of two signals (time,), like `pycwt_mod.pwct`.

        `given` is one signal or several (signal, time). `significance_level=None` omits the
        threshold. Other arguments as in `wct`.
        """
        check_pair(y1, y2)
        first, second = as_signal("signal1", y1), as_signal("signal2", y2)
        others = as_signals("given", given)
        fields = {
            "signal1": first, "signal2": second, "given": others, "dt": dt, "dj": dj, "s0": s0,
            "J": J, "significance_level": significance_level, "mother": wavelet, "param": param,
            "deltaj0": deltaj0, "mc_count": mc_count, "seed": seed, "backend": backend,
            "fallback": fallback, "convention": convention,
            "dtype": dtype or precision_of(first, second, others),
        }  # fmt: skip
        reply = await self._transform("pwct", PwctRequest, PwctReply, fields, timeout_s)
        return PwctAnswer.of(reply, dt)

    async def mwct(
        self,
        target: ArrayLike,
        given: ArrayLike,
        dt: float,
        dj: float = 1 / 12,
        s0: float = -1,
        J: float = -1,
        significance_level: float | None = 0.95,
        wavelet: Wavelet = "morlet",
        param: float = -1,
        *,
        deltaj0: float | None = None,
        mc_count: int = 300,
        seed: int | None = None,
        backend: str = "sequential",
        fallback: bool = False,
        convention: Convention = "standard",
        dtype: Precision | None = None,
        timeout_s: float = COMPUTE_TIMEOUT_S,
    ) -> MwctAnswer:
        """Return the multiple coherence of a signal (time,) with others, like `pycwt_mod.mwct`.

        Arguments as in `pwct`.
        """
        signal, others = as_signal("target", target), as_signals("given", given)
        fields = {
            "target": signal, "given": others, "dt": dt, "dj": dj, "s0": s0, "J": J,
            "significance_level": significance_level, "mother": wavelet, "param": param,
            "deltaj0": deltaj0, "mc_count": mc_count, "seed": seed, "backend": backend,
            "fallback": fallback, "convention": convention,
            "dtype": dtype or precision_of(signal, others),
        }  # fmt: skip
        reply = await self._transform("mwct", MwctRequest, MwctReply, fields, timeout_s)
        return MwctAnswer.of(reply, dt)

    async def significance(
        self,
        al1: float,
        al2: float,
        dt: float,
        dj: float,
        s0: float,
        J: float,
        significance_level: float = 0.95,
        wavelet: Wavelet = "morlet",
        param: float = -1,
        *,
        n: int | None = None,
        method: LevelMethod = "montecarlo",
        mc_count: int = 300,
        seed: int | None = None,
        backend: str = "sequential",
        fallback: bool = False,
        convention: Convention = "standard",
        dtype: Precision = "float64",
        timeout_s: float = COMPUTE_TIMEOUT_S,
    ) -> SignificanceReply:
        """Return the threshold of coherence under the null hypothesis of red noise, per scale.

        `n` is the number of samples of the signals to be tested, as in
        `pycwt_mod.wct_significance`.
        """
        fields = {
            "al1": al1, "al2": al2, "dt": dt, "dj": dj, "s0": s0, "J": J, "n": n,
            "significance_level": significance_level, "mother": wavelet, "param": param,
            "method": method, "mc_count": mc_count, "seed": seed, "backend": backend,
            "fallback": fallback, "convention": convention, "dtype": dtype,
        }  # fmt: skip
        request = validated(SignificanceRequest, with_plain_numbers(fields))
        where = subjects.query("significance")
        return await self.ask(where, request, SignificanceReply, timeout_s=timeout_s)

    async def benchmark(
        self,
        signal_length: int = 1000,
        mc_count: int = 300,
        backends: tuple[str, ...] = ("sequential",),
        *,
        convention: Convention = "standard",
        dtype: Precision = "float64",
        timeout_s: float = COMPUTE_TIMEOUT_S,
    ) -> BenchmarkReply:
        """Compare the time of each backend for the same coherence with ``sequential``."""
        fields = {
            "signal_length": signal_length, "mc_count": mc_count, "backends": backends,
            "convention": convention, "dtype": dtype,
        }  # fmt: skip
        request = validated(BenchmarkRequest, fields)
        where = subjects.query("benchmark")
        return await self.ask(where, request, BenchmarkReply, timeout_s=timeout_s)

    async def backends(self, *, timeout_s: float = ASK_TIMEOUT_S) -> tuple[BackendInfo, ...]:
        """Return the backends for Monte Carlo simulations."""
        where = subjects.query("backends")
        reply = await self.ask(where, BackendsRequest(), BackendsReply, timeout_s=timeout_s)
        return reply.backends

    async def hardware(self, *, timeout_s: float = 2 * ASK_TIMEOUT_S) -> HardwareReply:
        """Return the computing hardware of a worker, and the boards of the bridge."""
        where = subjects.query("hardware")
        return await self.ask(where, HardwareRequest(), HardwareReply, timeout_s=timeout_s)

    async def health(self, *, timeout_s: float = ASK_TIMEOUT_S) -> HealthReply:
        """Return the health of one worker, and the number of requests that wait for all workers."""
        where = subjects.query("health")
        return await self.ask(where, HealthRequest(), HealthReply, timeout_s=timeout_s)
