"""Rate limits of each key: requests and bytes per minute, and concurrent requests.

Requests and bytes are token buckets: a key that was idle for a minute may use the quota of a minute
immediately, and then as much as is refilled. Bytes are counted as they pass, so a body can overdraw
the bucket; further requests are refused until the bucket is positive again.

A request above a limit is refused with status 429. A frame of a WebSocket counts as a request;
above a limit, reading is delayed.

References
----------
Polli, Martinez, Miller, "RateLimit header fields for HTTP", draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from weakref import WeakKeyDictionary

import anyio
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwt_gateway.authentication import grant_of
from cwt_gateway.keys import Grant
from cwt_gateway.problems import ProblemDetails
from cwt_schemas.errors import ErrorCode

__all__ = ["RateGuard", "Rates", "TokenBucket"]

WINDOW_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The limits of a key."""

    requests_per_minute: int
    bytes_per_minute: int
    requests_at_a_time: int

    @property
    def policy(self) -> str:
        """The value of the header ``RateLimit-Policy``."""
        return (
            f'"requests";q={self.requests_per_minute};w={WINDOW_S:.0f}, '
            f'"bytes";q={self.bytes_per_minute};w={WINDOW_S:.0f};qu="content-bytes", '
            f'"concurrent";q={self.requests_at_a_time};qu="concurrent-requests"'
        )


class TokenBucket:
    """A token bucket with a quota per `WINDOW_S`, refilled continuously.

    The level is min(q, v + (t - t0) q / w) with the quota q, the window w, and the level v after
    the last use at t0. It is negative if the bucket was overdrawn.
    """

    def __init__(self, quota: int, now_s: float) -> None:
        self._quota = quota
        self._level = float(quota)
        self._at_s = now_s

    def level(self, now_s: float) -> float:
        """Return the current level."""
        self._level = min(self._quota, self._level + (now_s - self._at_s) * self._quota / WINDOW_S)
        self._at_s = now_s
        return self._level

    def take(self, count: float, now_s: float) -> None:
        """Take `count` tokens; may overdraw the bucket."""
        self._level = self.level(now_s) - count

    def wait_s(self, count: float, now_s: float) -> float:
        """Return the time until `count` tokens are available, seconds; 0 if they are now."""
        return max(0.0, count - self.level(now_s)) * WINDOW_S / self._quota


class _Usage:
    """Usage of the limits by one key."""

    def __init__(self, rates: Rates) -> None:
        now_s = anyio.current_time()
        self._rates = rates
        self._requests = TokenBucket(rates.requests_per_minute, now_s)
        self._bytes = TokenBucket(rates.bytes_per_minute, now_s)
        self._at_a_time = 0

    def refusal(self) -> ProblemDetails | None:
        """Return the reason to refuse one more request, or None."""
        now_s, rates = anyio.current_time(), self._rates
        if self._at_a_time >= rates.requests_at_a_time:
            return self._problem(f"{rates.requests_at_a_time} requests at a time are possible", 1)
        limits = (
            (self._requests.wait_s(1, now_s), rates.requests_per_minute, "requests"),
            (self._bytes.wait_s(0, now_s), rates.bytes_per_minute, "bytes"),
        )
        for wait_s, limit, unit in limits:
            if wait_s:
                return self._problem(f"{limit} {unit} a minute are possible", wait_s)
        return None

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while the context is open."""
        self._requests.take(1, anyio.current_time())
        self._at_a_time += 1
        try:
            yield
        finally:
            self._at_a_time -= 1

    def count_bytes(self, count: int) -> None:
        """Count the bytes of a body."""
        self._bytes.take(count, anyio.current_time())

    async def frame(self, size: int) -> None:
        """Count a frame of a WebSocket, and wait until it is within the limits."""
        now_s = anyio.current_time()
        self._requests.take(1, now_s)
        self._bytes.take(size, now_s)
        await anyio.sleep(max(self._requests.wait_s(0, now_s), self._bytes.wait_s(0, now_s)))

    def headers(self) -> dict[str, str]:
        """Return the headers that report the limits to a client."""
        now_s = anyio.current_time()
        left = {
            "requests": math.floor(self._requests.level(now_s)),
            "bytes": math.floor(self._bytes.level(now_s)),
            "concurrent": self._rates.requests_at_a_time - self._at_a_time,
        }
        waits = {
            "requests": f";t={math.ceil(self._requests.wait_s(1, now_s))}",
            "bytes": f";t={math.ceil(self._bytes.wait_s(1, now_s))}",
        }
        state = (f'"{name}";r={max(0, each)}{waits.get(name, "")}' for name, each in left.items())
        return {"RateLimit-Policy": self._rates.policy, "RateLimit": ", ".join(state)}

    def _problem(self, limit: str, wait_s: float) -> ProblemDetails:
        after_s = max(1, math.ceil(wait_s))
        return ProblemDetails(
            HTTPStatus.TOO_MANY_REQUESTS,
            ErrorCode.OVERLOADED,
            f"{limit} with this key: send it again after {after_s} s",
            headers={**self.headers(), "Retry-After": str(after_s)},
        )


class RateGuard:
    """Middleware that enforces the limits of each key; requests without a key pass."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self.app = app
        self._rates = rates
        self._usages: WeakKeyDictionary[Grant, _Usage] = WeakKeyDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or refuse it."""
        grant = None if scope["type"] == "lifespan" else grant_of(HTTPConnection(scope))
        if grant is None:
            await self.app(scope, receive, send)
            return
        usage = self._usages.get(grant)
        if usage is None:
            usage = self._usages[grant] = _Usage(self._rates)
        problem = usage.refusal()
        if problem is not None:
            await problem.refuse(scope, receive, send)
            return
        with usage.request():
            await self._pass_on(scope, receive, send, usage)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, usage: _Usage) -> None:
        async def receive_counted() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                await usage.frame(len(message.get("bytes") or message.get("text") or ""))
            else:
                usage.count_bytes(len(message.get("body", b"")))
            return message

        async def send_counted(message: Message) -> None:
            usage.count_bytes(len(message.get("body", b"")))
            if message["type"] == "http.response.start":
                own = usage.headers().items()
                told = [(name.lower().encode(), value.encode()) for name, value in own]
                message = {**message, "headers": [*message["headers"], *told]}
            await send(message)

        await self.app(scope, receive_counted, send_counted)
