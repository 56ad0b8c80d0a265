"""Send queries to the workers, and decode their replies.

`Queries` has a method for each query. The transforms return `CwtAnswer`, `XwtAnswer` and
`WctAnswer`: the results of the library, with additional fields of the service. In them, values
affected by missing samples are NaN, and `mask` is true there. Axes and thresholds can be modified
in place; matrices are read-only views of the reply.

`ask` sends any request, and fetches a large reply from the object store.
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
from cwt_runtime.bus.errors import BusError, BusTimeoutError, ForbiddenError, NoRespondersError
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode, validated
from cwt_schemas.errors import (
    ContractError,
    ErrorBody,
    Forbidden,
    Internal,
    Timeout,
    Unavailable,
)
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

#: Deadline of requests that compute nothing, seconds. They take milliseconds; this covers a service
#: that is just starting.
ASK_TIMEOUT_S = 5.0
#: Deadline of queries, seconds. A query may compute for about half a minute, and wait as long for
#: others before it.
COMPUTE_TIMEOUT_S = 90.0

#: Number of samples from which a coherence is sent ahead of its threshold, during the simulation.
LONG = 1000

#: First bytes in msgpack of a map with the single key ``object``.
_STORED = b"\x81\xa6object"

Reply = TypeVar("Reply", bound=Message)


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
        """Return the cross-wavelet transform of two signals (time,), like `pycwt_mod.xwt`."""
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
        request = validated(WctRequest, with_plain_numbers(fields))
        where = subjects.query("wct")
        # Subscribing to early fields takes a round trip, which would slow down short signals.
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


class WctAnswer(WctResult):
    """A `pycwt_mod.WctResult` with its origin; the smoothed spectrum is not in the reply (NaN).

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
        answer.backend_used = reply.backend_used
        answer.seed = reply.seed
        answer.computation_time = reply.computation_time
        answer.cached = reply.cached
        return answer


async def ask(
    bus: Bus,
    subject: str,
    request: Message,
    reply: type[Reply],
    *,
    timeout_s: float,
    early: bool = False,
) -> Reply:
    """Send one request, encoded in msgpack, and return its reply, also from the object store.

    With `early`, the service may send fields that are ready before the rest of the reply.

    Raises
    ------
    ContractError
        The refusal of the service; `Unavailable` if no service is subscribed to the subject;
        `Timeout` without a reply within `timeout_s`.
    ValueError
        `timeout_s` is negative or NaN.
    """
    if not timeout_s >= 0:
        raise ValueError(f"{timeout_s=} must be >= 0")
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
    """Send an encoded request body, and return the encoded reply in msgpack.

    The reply may come from the object store. `admit` is called with its size before it is fetched,
    and may raise to prevent that.

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
    """Return the reply from an answer, or raise the refusal in it."""
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
    """Return the answer, and the fields sent ahead of it if any."""
    inbox = bus.new_inbox()
    async with bus.subscribe(inbox) as ahead:
        answer = await bus.request(subject, body, {**headers, EARLY: inbox}, timeout_s=timeout_s)
        if EARLY not in answer.headers:
            return answer, b""
        # The early message was sent before the answer on the same connection, so only a loss delays
        # it.
        with anyio.move_on_after(timeout_s):
            return answer, (await anext(aiter(ahead))).data
    raise BusTimeoutError("cannot read the reply: its early part did not arrive; retry")


async def fetch(bus: Bus, place: StoredObject) -> bytes:
    """Return a stored object after checking its SHA-256.

    Raises
    ------
    Unavailable
        The object has expired, or the object store cannot be reached.
    Internal
        The content of the object has changed.
    """
    try:
        kept = await (await bus.log.objects(place.bucket)).get(place.name)
    except ForbiddenError as error:
        raise Forbidden(str(error)) from error
    except BusError as error:
        raise Unavailable(f"cannot read object {place.name}: {error}") from error
    if kept is None:
        raise Unavailable(
            f"cannot read object {place.name}: it is no longer in {place.bucket}; repeat the "
            "query, or raise the age limit (CWT_REPLIES_MAX_AGE_S, CWT_OBJECTS_MAX_AGE_S)"
        )
    if hashlib.sha256(kept).hexdigest() != place.sha256:
        raise Internal(f"cannot use object {place.name}: its SHA-256 is wrong; repeat the query")
    return kept


def _refusal(subject: str, timeout_s: float, error: BusError) -> ContractError:
    if isinstance(error, NoRespondersError):
        return Unavailable(
            f"cannot call {subject}: no service is subscribed; start the services with "
            "`pycwt-mod up`, or list the running ones with `nats micro ls`"
        )
    if isinstance(error, BusTimeoutError):
        return Timeout(f"no reply from {subject} within {timeout_s:g} s")
    if isinstance(error, ForbiddenError):
        return Forbidden(str(error))
    return Unavailable(f"cannot reach {subject}: {error}")


def _lag1(reply: WctReply | XwtReply) -> tuple[Lag1, Lag1] | None:
    if reply.lag1 is None:
        return None
    first, second = (Lag1(np.array(each.g), np.array(each.estimator)) for each in reply.lag1)
    return first, second
