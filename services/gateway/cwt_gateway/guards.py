"""Checks of a request before it reaches a route, as pure ASGI middleware.

- `HostGuard`: ``Host`` must be a name of this gateway, so that a page whose name resolves to this
  machine (DNS rebinding) cannot read anything. Addresses are always allowed, since rebinding needs
  a name.
- `OriginGuard`: requests that change state, and every WebSocket, must come from a page of this
  gateway or of an allowed origin, or from a program. Browsers send ``Origin`` with all of these.
- `BodyGuard`: a body is limited in size by its route, and in time; all bodies held at the same time
  are limited in total memory.
- `FaultGuard`: an internal error of the gateway is reported to the client with an id that is in the
  log.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Collection
from http import HTTPStatus

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwt_gateway.problems import ProblemDetails
from cwt_runtime.telemetry.logs import Action, Log
from cwt_schemas.errors import ErrorCode
from cwt_schemas.limits import MAX_PAYLOAD_BYTES

__all__ = ["BodyGuard", "FaultGuard", "HostGuard", "OriginGuard", "origin_allowed", "stream_body"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Content types that a form of a foreign page can send without a preflight request.
FORM_TYPES = frozenset(
    {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
)  # fmt: skip
#: Deadlines for the next part of a body, and for all of it.
BODY_PART_S = 20.0
BODY_S = 300.0
#: Key in a request's scope of the size limit of a body that is not held in memory.
_STREAMED_BYTES = "cwt.streamed_bytes"
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


class HostGuard:
    """Refuse requests for a host name that is not this gateway's."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] in {"http", "websocket"}:
            host = _name(Headers(scope=scope).get("host", ""))
            if not (host in self._hosts or _is_address(host)):
                detail = f"host {host[:80]!r} is not allowed: add the name to CWT_HTTP_HOSTS"
                status = HTTPStatus.MISDIRECTED_REQUEST
                await ProblemDetails(status, "wrong_host", detail).refuse(scope, receive, send)
                return
        await self.app(scope, receive, send)


class OriginGuard:
    """Refuse requests of foreign pages that change state."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self.app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        guarded = scope["type"] == "websocket" or (
            scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        )
        problem = self._problem(Headers(scope=scope)) if guarded else None
        if problem is not None:
            await problem.refuse(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _problem(self, headers: Headers) -> ProblemDetails | None:
        if not origin_allowed(headers, self._origins):
            detail = (
                f"pages of {headers.get('origin', 'another site')[:80]} may not do this; "
                "add the origin to CWT_HTTP_CORS_ORIGINS"
            )
            return ProblemDetails(HTTPStatus.FORBIDDEN, "foreign_origin", detail)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in FORM_TYPES and "origin" not in headers:
            # A program that omits the header, such as curl --data, or a browser that hides the
            # origin.
            detail = (
                f"set the header Content-Type to that of the body, such as application/json, or "
                f"application/octet-stream for a recording or raw samples (it is {kind})"
            )
            return ProblemDetails(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail
            )
        return None


class BodyGuard:
    """Limit the bodies of requests in size, duration and total memory."""

    def __init__(self, app: ASGIApp, held_max_bytes: int) -> None:
        self.app = app
        self._held_max_bytes = held_max_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; reading its body raises `ProblemDetails` at a limit."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(scope, receive)

        async def receive_within_limits() -> Message:
            if body.ended:
                return await receive()
            body.check_announced()
            size = body.size
            message = await body.next()
            if not body.streamed:
                self._held_bytes += body.size - size
                if self._held_bytes > self._held_max_bytes:
                    detail = "other requests use all memory for bodies: retry later"
                    raise ProblemDetails(HTTPStatus.TOO_MANY_REQUESTS, "overloaded", detail)
            return message

        try:
            await self.app(scope, receive_within_limits, send)
        finally:
            if not body.streamed:
                self._held_bytes -= body.size


class _Body:
    """The body of one request as it arrives."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._deadline = anyio.current_time() + BODY_S
        self.size = 0
        self.ended = False

    @property
    def streamed(self) -> bool:
        return _STREAMED_BYTES in self._scope

    def check_announced(self) -> None:
        # The server has already rejected a value that is not a number.
        self._check(int(Headers(scope=self._scope).get("content-length", "0")))

    async def next(self) -> Message:
        try:
            with anyio.fail_after(min(BODY_PART_S, self._deadline - anyio.current_time())):
                message = await self._receive()
        except TimeoutError:
            detail = (
                f"no data of the body arrived for {BODY_PART_S:g} s, or the whole body took "
                f"{BODY_S:g} s"
            )
            raise ProblemDetails(HTTPStatus.REQUEST_TIMEOUT, "timeout", detail) from None
        self.ended = not message.get("more_body", False)
        size = self.size + len(message.get("body", b""))
        self._check(size)
        self.size = size
        return message

    def _check(self, size: int) -> None:
        limit = self._scope.get(_STREAMED_BYTES, MAX_PAYLOAD_BYTES)
        if size > limit:
            advice = "" if self.streamed else ", or use application/msgpack, which is smaller"
            detail = f"the body has more than {limit} bytes: send less per request{advice}"
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise ProblemDetails(status, ErrorCode.PAYLOAD_TOO_LARGE, detail)


class FaultGuard:
    """Respond to internal errors of the gateway, and add the headers of every response."""

    def __init__(self, app: ASGIApp, log: Log) -> None:
        self.app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; convert any exception to a response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message["headers"], *_SECURITY_HEADERS]}
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            return
        except Exception as error:
            fault = secrets.token_hex(8)
            self._log.error(Action.REQUEST_FAILED, id=fault, path=scope["path"], exc=error)
            if started:
                raise
            detail = f"internal error of the gateway; its log has the cause under the id {fault}"
            failed = ProblemDetails(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail)
            await failed.response()(scope, receive, send_with_headers)


def stream_body(connection: HTTPConnection, max_bytes: int) -> None:
    """Allow a body of `max_bytes`, which its route reads in parts."""
    connection.scope[_STREAMED_BYTES] = max_bytes


def origin_allowed(headers: Headers, origins: Collection[str]) -> bool:
    """Return whether a request comes from a program, an own page, or a page of `origins`."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    authority = origin.partition("://")[2].lower()
    return origin.lower() in origins or (
        bool(authority) and authority == headers.get("host", "").lower()
    )


def _name(host: str) -> str:
    """Return the part of a ``Host`` header before the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
