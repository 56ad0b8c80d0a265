"""What can be asked at once: transforms of whole signals, levels, and how the workers are."""

from __future__ import annotations

from typing import TypeVar

from numpy.typing import ArrayLike

from pycwt_client.answers import CwtAnswer, WctAnswer, XwtAnswer
from pycwt_client.asking import ask
from pycwt_client.signals import as_signal, check_pair, precision_of, with_plain_numbers
from pycwt_mod.arrays import warn_of_small_scales
from schemas import subjects
from schemas.codec import validated
from schemas.hardware import HardwareReply, HardwareRequest
from schemas.message import Message
from schemas.query import (
    BackendInfo,
    BackendsReply,
    BackendsRequest,
    BenchmarkReply,
    BenchmarkRequest,
    CwtReply,
    CwtRequest,
    HealthReply,
    HealthRequest,
    LevelMethod,
    Precision,
    SignificanceReply,
    SignificanceRequest,
    WctReply,
    WctRequest,
    XwtReply,
    XwtRequest,
)
from schemas.stream import Convention, Wavelet
from services.runtime.bus import Bus

__all__ = ["Questions"]

#: What is only looked up is answered in milliseconds; this covers a service just being started.
ASK_TIMEOUT_S = 5.0
#: A query may compute for about half a minute, and wait as long for others before it.
COMPUTE_TIMEOUT_S = 90.0

#: From so many samples on, a coherence is on its way while its level is simulated.
LONG = 1000

Reply = TypeVar("Reply", bound=Message)


class Questions:
    """Questions to the workers; `pycwt_client.Client` is one.

    Every method raises `ContractError`, which carries `code` and `detail`: what the service
    refused, `Unavailable` when nobody serves, `Timeout` when `timeout_s` is over. Whoever gives up,
    by `timeout_s` or by cancelling, only ends the waiting: the worker computes to the end.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def bus(self) -> Bus:
        """The connection below, for what has no method here."""
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
        """Send one request, in msgpack, and return its answer, also from the object store.

        With `early`, fields that are ready before the others may come ahead of them.
        """
        return await ask(self._bus, subject, request, reply, timeout_s=timeout_s, early=early)

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
        """Return the wavelet transform of a signal (time,); arguments as of `pycwt_mod.cwt`.

        `dtype` is the precision, by default the signal's own.
        """
        signal = as_signal("data", x)
        fields = {
            "data": signal, "dt": dt, "dj": dj, "s0": s0, "J": J, "mother": wavelet,
            "param": param, "convention": convention, "dtype": dtype or precision_of(signal),
        }  # fmt: skip
        request = validated(CwtRequest, with_plain_numbers(fields))
        where = subjects.query("cwt")
        reply = await self.ask(where, request, CwtReply, timeout_s=timeout_s)
        warn_of_small_scales(reply.freqs, request.s0, request.dt)
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
        """Return the cross-wavelet transform of two signals (time,), as `pycwt_mod.xwt` does."""
        check_pair(y1, y2)
        first, second = as_signal("signal1", y1), as_signal("signal2", y2)
        fields = {
            "signal1": first, "signal2": second, "dt": dt, "dj": dj, "s0": s0, "J": J,
            "significance_level": significance_level, "mother": wavelet, "param": param,
            "convention": convention, "dtype": dtype or precision_of(first, second),
        }  # fmt: skip
        request = validated(XwtRequest, with_plain_numbers(fields))
        where = subjects.query("xwt")
        reply = await self.ask(where, request, XwtReply, timeout_s=timeout_s)
        warn_of_small_scales(reply.freqs, request.s0, request.dt)
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
        method: LevelMethod = "montecarlo",
        mc_count: int = 300,
        seed: int | None = None,
        backend: str = "sequential",
        fallback: bool = False,
        convention: Convention = "standard",
        dtype: Precision | None = None,
        timeout_s: float = COMPUTE_TIMEOUT_S,
    ) -> WctAnswer:
        """Return the coherence of two signals (time,), as `pycwt_mod.wct` does.

        `significance_level=None` leaves the level out; with `fallback` another backend may step
        in for one that is not available.
        """
        check_pair(y1, y2)
        first, second = as_signal("signal1", y1), as_signal("signal2", y2)
        fields = {
            "signal1": first, "signal2": second, "dt": dt, "dj": dj, "s0": s0, "J": J,
            "significance_level": significance_level, "mother": wavelet, "param": param,
            "method": method, "mc_count": mc_count, "seed": seed, "backend": backend,
            "fallback": fallback, "convention": convention,
            "dtype": dtype or precision_of(first, second),
        }  # fmt: skip
        request = validated(WctRequest, with_plain_numbers(fields))
        where = subjects.query("wct")
        # To listen for what comes ahead takes a round trip, which short signals would feel.
        early = significance_level is not None and method == "montecarlo" and len(first) >= LONG
        reply = await self.ask(where, request, WctReply, timeout_s=timeout_s, early=early)
        warn_of_small_scales(reply.freqs, request.s0, request.dt)
        return WctAnswer.of(reply, dt)

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
        """Return the coherence that unrelated red noises rarely exceed, per scale.

        `n` is the number of samples of the signals that the level is for, as in
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
        """Return what each backend takes for the same coherence, against ``sequential``."""
        fields = {
            "signal_length": signal_length, "mc_count": mc_count, "backends": backends,
            "convention": convention, "dtype": dtype,
        }  # fmt: skip
        request = validated(BenchmarkRequest, fields)
        where = subjects.query("benchmark")
        return await self.ask(where, request, BenchmarkReply, timeout_s=timeout_s)

    async def backends(self, *, timeout_s: float = ASK_TIMEOUT_S) -> tuple[BackendInfo, ...]:
        """Return where levels can be simulated."""
        where = subjects.query("backends")
        reply = await self.ask(where, BackendsRequest(), BackendsReply, timeout_s=timeout_s)
        return reply.backends

    async def hardware(self, *, timeout_s: float = 2 * ASK_TIMEOUT_S) -> HardwareReply:
        """Return what there is to compute on."""
        where = subjects.query("hardware")
        return await self.ask(where, HardwareRequest(), HardwareReply, timeout_s=timeout_s)

    async def health(self, *, timeout_s: float = ASK_TIMEOUT_S) -> HealthReply:
        """Return how one of the workers is, and how much waits for all of them."""
        where = subjects.query("health")
        return await self.ask(where, HealthRequest(), HealthReply, timeout_s=timeout_s)
