"""Memory for replies: all that are encoded or sent at the same time share a budget.

A reply counts from the moment when its size is known, which is before a large one is fetched from
the object store, until its client has read it. Encoding takes several times the size of the reply
on the bus, and that is counted while it lasts. What does not fit is refused with status 503.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwt_schemas.errors import Unavailable

__all__ = ["ReplyGuard", "hold_reply"]

#: Replies of at most this size are not counted: the number of connections is limited, and a health
#: check must be possible while the budget is used up.
SMALL_BYTES = 64 * 1024
#: A larger body is sent in parts of this size, so that it is held here, and counted, until the
#: client has read it, and not in the buffer of the connection.
PART_BYTES = 256 * 1024
#: Where a request's scope has its reply.
_SCOPE_KEY = "cwt.held_reply"
#: A client that reads takes its reply within this.
RETRY_S = 1.0
MIB = 1024**2


class ReplyGuard:
    """Limits the memory of replies that are encoded or that wait for their clients to read them."""

    def __init__(self, app: ASGIApp, held_max_bytes: int) -> None:
        self.app = app
        self._max_bytes = held_max_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what its route holds counts until it is sent."""
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
        """Count a reply as `after` bytes that counted as `before`.

        Raises
        ------
        Unavailable
            It does not fit beside others. A single reply always fits.
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
    """What the reply to one request takes of the budget."""

    def __init__(self, guard: ReplyGuard) -> None:
        self._guard = guard
        self._size = 0

    def hold(self, size: int) -> None:
        counted = size if size > SMALL_BYTES else 0
        self._guard.change(self._size, counted)
        self._size = counted


def hold_reply(connection: HTTPConnection, size: int) -> None:
    """Count the reply to a request as so many bytes from now on, until it is sent.

    Raises
    ------
    Unavailable
        They do not fit.
    """
    reply = connection.scope.get(_SCOPE_KEY)
    if isinstance(reply, _HeldReply):
        reply.hold(size)
