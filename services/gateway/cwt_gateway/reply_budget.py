"""Memory budget shared by all replies that are being encoded or sent.

A reply counts from the moment at which its size is known, which is before a large one is fetched
from the object store, until its client has read it. Encoding needs several times the size of the
reply on the bus, which counts while it lasts. A reply that does not fit is refused with status 503.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwt_schemas.errors import Unavailable

__all__ = ["ReplyGuard", "hold_reply"]

#: Replies up to this size are not counted: the number of connections is limited, and health checks
#: must work while the budget is exhausted.
SMALL_BYTES = 64 * 1024
#: A larger body is sent in parts of this size, so that it stays in this module, and is counted,
#: until the client has read it, instead of in the buffer of the connection.
PART_BYTES = 256 * 1024
#: Key in a request's scope of its reply.
_SCOPE_KEY = "cwt.held_reply"
#: Time within which a client that reads takes its reply, seconds.
RETRY_S = 1.0
MIB = 1024**2


class ReplyGuard:
    """Limit the memory of replies that are being encoded or wait for their clients to read them."""

    def __init__(self, app: ASGIApp, held_max_bytes: int) -> None:
        self.app = app
        self._max_bytes = held_max_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the reply of its route counts until it is sent."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_in_parts(message: Message) -> None:
            body = memoryview(message.get("body", b""))
            while len(body) > PART_BYTES:
                await send({**message, "body": body[:PART_BYTES], "more_body": True})
                body = body[PART_BYTES:]
                message = {**message, "body": body}
            await send(message)

        reply = scope[_SCOPE_KEY] = _HeldReply(self)
        try:
            await self.app(scope, receive, send_in_parts)
        finally:
            reply.hold(0)

    def change(self, before: int, after: int) -> None:
        """Change the size of a reply in the budget from `before` to `after` bytes.

        Raises
        ------
        Unavailable
            It does not fit with the others. A single reply always fits.
        """
        others = self._held_bytes - before
        if after > before and others and others + after > self._max_bytes:
            raise Unavailable(
                f"this reply needs {after / MIB:.1f} MiB, and other replies use {others / MIB:.1f} "
                f"MiB of {self._max_bytes / MIB:.1f} MiB: retry in {RETRY_S:g} s, "
                "or raise CWT_HTTP_REPLIES_MAX_BYTES",
                {"retry_after_s": RETRY_S, "size": after, "limit": self._max_bytes},
            )
        self._held_bytes = others + after


class _HeldReply:
    """Share of the reply to one request in the budget."""

    def __init__(self, guard: ReplyGuard) -> None:
        self._guard = guard
        self._size = 0

    def hold(self, size: int) -> None:
        counted = size if size > SMALL_BYTES else 0
        self._guard.change(self._size, counted)
        self._size = counted


def hold_reply(connection: HTTPConnection, size: int) -> None:
    """Count the reply to a request as this number of bytes from now on, until it is sent.

    Raises
    ------
    Unavailable
        It does not fit.
    """
    reply = connection.scope.get(_SCOPE_KEY)
    if isinstance(reply, _HeldReply):
        reply.hold(size)
