"""Rate limits of each client: requests and bytes per minute, and concurrent requests.

A client is a key or, for requests without a valid key, an address (the first 64 bits of an IPv6
address, which is what a single host is given). On a gateway without keys (`AddressGuard`), clients
of other machines are limited, and those of this machine are not.

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

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from weakref import WeakKeyDictionary

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwt_gateway.keys import Grant
from cwt_gateway.problems import ProblemDetails
from cwt_runtime.token_bucket import WINDOW_S, TokenBucket
from cwt_schemas.errors import ErrorCode

__all__ = ["AddressGuard", "RateLimits", "Rates", "network_of"]

#: Addresses whose usage is counted. The least recent one is forgotten for a new one; after
#: `WINDOW_S` without a request it had its whole quota again anyway.
MAX_ADDRESSES: Final = 10_000
#: Part of an IPv6 address that identifies a client, bits.
IPV6_PREFIX: Final = 64


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The limits of a client."""

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


class Usage:
    """Usage of the limits by one client, which `whose` names in a refusal."""

    def __init__(self, rates: Rates, whose: str) -> None:
        now_s = anyio.current_time()
        self._whose = whose
        self._rates = rates
        self._requests = TokenBucket(rates.requests_per_minute, now_s)
        self._bytes = TokenBucket(rates.bytes_per_minute, now_s)
        self._at_a_time = 0

    def refusal(self) -> ProblemDetails | None:
        """Return the reason to refuse one more request, or None."""
        now_s, rates = anyio.current_time(), self._rates
        if self._at_a_time >= rates.requests_at_a_time:
            return self._problem(f"{rates.requests_at_a_time} concurrent requests", 1)
        limits = (
            (self._requests.wait_s(1, now_s), rates.requests_per_minute, "requests"),
            (self._bytes.wait_s(0, now_s), rates.bytes_per_minute, "bytes"),
        )
        for wait_s, limit, unit in limits:
            if wait_s:
                return self._problem(f"{limit} {unit} per minute", wait_s)
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
            f"cannot accept more than {limit} {self._whose}; retry after {after_s} s",
            headers={**self.headers(), "Retry-After": str(after_s)},
        )


class RateLimits:
    """Enforce the limits of each client."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._by_grant: WeakKeyDictionary[Grant, Usage] = WeakKeyDictionary()
        self._by_address: OrderedDict[str, Usage] = OrderedDict()

    async def forward(
        self, app: ASGIApp, grant: Grant | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Forward a request of a key, or of an address if `grant` is None, or refuse it."""
        client = scope.get("client") or ("", 0)
        usage = self.usage_of(client[0]) if grant is None else self._of_grant(grant)
        problem = usage.refusal()
        if problem is not None:
            await problem.refuse(scope, receive, send)
            return
        with usage.request():
            await _forward_counted(app, usage, scope, receive, send)

    def _of_grant(self, grant: Grant) -> Usage:
        usage = self._by_grant.get(grant)
        if usage is None:
            usage = self._by_grant[grant] = Usage(self._rates, "with this key")
        return usage

    def usage_of(self, address: str) -> Usage:
        """Return the usage of the limits by an address."""
        network = network_of(address)
        usage = self._by_address.get(network)
        if usage is None:
            usage = self._by_address[network] = Usage(self._rates, "from this address")
            if len(self._by_address) > MAX_ADDRESSES:
                self._by_address.popitem(last=False)
        self._by_address.move_to_end(network)
        return usage


class AddressGuard:
    """Middleware of a gateway without keys: refuse requests above the limits of their address.

    Requests over the loopback interface are not limited: the programs on this machine share its
    address.
    """

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self.app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or refuse it."""
        address = _parsed((scope.get("client") or ("", 0))[0])
        if scope["type"] == "lifespan" or (address is not None and address.is_loopback):
            await self.app(scope, receive, send)
        else:
            await self._limits.forward(self.app, None, scope, receive, send)


def network_of(address: str) -> str:
    """Return the address of a client, of IPv6 its first `IPV6_PREFIX` bits."""
    parsed = _parsed(address)
    if parsed is None:
        return ""  # a proxy that names no address: all of its clients together
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.IPv6Network((parsed, IPV6_PREFIX), strict=False))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an IP address, of an IPv4 address in an IPv6 one the former; None if it is neither."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if parsed.version == 6 else parsed


async def _forward_counted(
    app: ASGIApp, usage: Usage, scope: Scope, receive: Receive, send: Send
) -> None:
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

    await app(scope, receive_counted, send_counted)
