"""Queries, which are answered immediately, and what they answer.

`Queries` has a method for each query. The transforms return `CwtAnswer`, `XwtAnswer` and
`WctAnswer`: the results of the library, with what only a service knows. In them, values that rest
on missing samples are NaN, and `mask` is true. Axes and levels may be changed in place; matrices
are read-only views of the reply.

`ask` sends any request, and fetches its reply from the object store if that is where it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import anyio
import numpy as np
from numpy.typing import ArrayLike

from cwt_runtime.bus import Bus
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.bus.errors import BusError, BusTimeoutError, NoRespondersError
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode, validated
from cwt_schemas.errors import ContractError, ErrorBody, Internal, Timeout, Unavailable
from cwt_schemas.hardware import HardwareReply, HardwareRequest
from cwt_schemas.headers import ACCEPT, CONTENT_TYPE, EARLY, SERVICE_ERROR_CODE
from cwt_schemas.message import Message, StoredObject, StoredReply
from cwt_schemas.query import (
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
from cwt_schemas.stream import Convention, Wavelet
from pycwt_client.signals import (
    as_signal,
    check_pair,
    level_fields,
    precision_of,
    with_plain_numbers,
)
from pycwt_mod import CwtResult, MonteCarlo, WctResult, XwtResult
from pycwt_mod.arrays import warn_of_small_scales
from pycwt_mod.rednoise import Lag1

__all__ = [
    "ASK_TIMEOUT_S",
    "CwtAnswer",
    "Queries",
    "WctAnswer",
    "XwtAnswer",
    "ask",
    "ask_packed",
    "fetch",
]

#: What is only looked up is answered in milliseconds; this covers a service just being started.
ASK_TIMEOUT_S = 5.0
#: A query may compute for about half a minute, and wait as long for others before it.
COMPUTE_TIMEOUT_S = 90.0

#: From so many samples on, a coherence is on its way while its level is simulated.
LONG = 1000

#: How a map with the one key ``object`` begins in msgpack.
_STORED = b"\x81\xa6object"

Reply = TypeVar("Reply", bound=Message)


class Queries:
    """Queries to the workers; `pycwt_client.Client` is one.

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
        """Return the coherence of two signals (time,), as `pycwt_mod.wct` does.

        `significance_level=None` leaves the level out; with `fallback` another backend may step
        in for one that is not available. `significance` stands for `method`, `mc_count`, `seed`
        and `backend`; without a seed the service derives one from the request.
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
        request = validated(WctRequest, with_plain_numbers(fields))
        where = subjects.query("wct")
        # To listen for what comes ahead takes a round trip, which short signals would feel.
        simulated = request.significance_level is not None and request.method == "montecarlo"
        early = simulated and len(first) >= LONG
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


async def ask(
    bus: Bus,
    subject: str,
    request: Message,
    reply: type[Reply],
    *,
    timeout_s: float,
    early: bool = False,
) -> Reply:
    """Send one request, in msgpack, and return its answer, also from the object store.

    With `early`, fields that are ready before the others may come ahead of them.

    Raises
    ------
    ContractError
        What the service refused, as it said it; `Unavailable` when nobody serves the subject,
        `Timeout` when no answer came within `timeout_s`.
    ValueError
        `timeout_s` is negative or no number.
    """
    if not timeout_s >= 0:
        raise ValueError(f"{timeout_s=} has to be at least 0")
    headers = {CONTENT_TYPE: ContentType.MSGPACK.value, ACCEPT: ContentType.MSGPACK.value}
    body = encode(request, ContentType.MSGPACK)
    first = b""
    try:
        if early:
            answer, first = await _request_with_early(bus, subject, body, headers, timeout_s)
        else:
            answer = await bus.request(subject, body, headers, timeout_s=timeout_s)
    except BusError as error:
        raise _refusal(subject, timeout_s, error) from error
    return decode(
        reply,
        await _reply_of(bus, answer),
        ContentType.MSGPACK,
        max_bytes=None,
        early=first,
        ignore_unknown=True,
        trusted=True,
    )


async def ask_packed(
    bus: Bus,
    subject: str,
    body: bytes,
    content_type: ContentType,
    *,
    timeout_s: float,
    admit: Callable[[int], None] = lambda _size: None,
) -> bytes:
    """Send the body of a request as it is, and return its reply in msgpack as it is.

    The reply may come from the object store. `admit` is called with its size before it is fetched
    from there, and raises if it is not to be fetched.

    Raises
    ------
    ContractError
        As `ask`.
    """
    headers = {CONTENT_TYPE: content_type.value, ACCEPT: ContentType.MSGPACK.value}
    try:
        answer = await bus.request(subject, body, headers, timeout_s=timeout_s)
    except BusError as error:
        raise _refusal(subject, timeout_s, error) from error
    return await _reply_of(bus, answer, admit)


async def _reply_of(
    bus: Bus, answer: BusMessage, admit: Callable[[int], None] = lambda _size: None
) -> bytes:
    """Return the reply in an answer, or raise the refusal in it."""
    if SERVICE_ERROR_CODE in answer.headers:
        raise decode(
            ErrorBody, answer.data, content_type_of(answer.headers), ignore_unknown=True
        ).exception()
    if not answer.data.startswith(_STORED):
        return answer.data
    place = decode(StoredReply, answer.data, ContentType.MSGPACK).object
    admit(place.size)
    return await fetch(bus, place)


async def _request_with_early(
    bus: Bus, subject: str, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> tuple[BusMessage, bytes]:
    """Return the answer, and what was sent ahead of it or nothing."""
    inbox = bus.new_inbox()
    async with bus.subscribe(inbox) as ahead:
        answer = await bus.request(subject, body, {**headers, EARLY: inbox}, timeout_s=timeout_s)
        if EARLY not in answer.headers:
            return answer, b""
        # It was sent before the answer, on the same connection; only a loss keeps it away.
        with anyio.move_on_after(timeout_s):
            return answer, (await anext(aiter(ahead))).data
    raise BusTimeoutError("what was sent ahead of the answer did not come")


async def fetch(bus: Bus, place: StoredObject) -> bytes:
    """Return an object as it was put, proved by its SHA-256.

    Raises
    ------
    Unavailable
        It has expired, or the object store cannot be reached.
    Internal
        It is not what was put there.
    """
    try:
        kept = await (await bus.log.objects(place.bucket)).get(place.name)
    except BusError as error:
        raise Unavailable(f"the object {place.name} cannot be reached: {error}") from error
    if kept is None:
        raise Unavailable(
            f"the object {place.name} is not in {place.bucket} any more: ask again, or let "
            "objects live longer (CWT_REPLIES_MAX_AGE_S, CWT_OBJECTS_MAX_AGE_S)"
        )
    if hashlib.sha256(kept).hexdigest() != place.sha256:
        raise Internal(f"the object {place.name} is not what was stored: its SHA-256 differs")
    return kept


def _refusal(subject: str, timeout_s: float, error: BusError) -> ContractError:
    if isinstance(error, NoRespondersError):
        return Unavailable(
            f"nobody serves {subject}: start the services with `pycwt-mod up`, "
            "or look with `nats micro ls` which ones run"
        )
    if isinstance(error, BusTimeoutError):
        return Timeout(f"no answer from {subject} within {timeout_s:g} s")
    return Unavailable(f"{subject} cannot be reached: {error}")


def _lag1(reply: WctReply | XwtReply) -> tuple[Lag1, Lag1] | None:
    if reply.lag1 is None:
        return None
    first, second = (Lag1(np.array(each.g), np.array(each.estimator)) for each in reply.lag1)
    return first, second
