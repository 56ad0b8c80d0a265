"""uvicorn's WebSockets, with limits for clients that do not read and for endless messages."""

from __future__ import annotations

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

__all__ = ["SocketProtocol"]

#: Maximum number of fragments of a message: the largest message in fragments of a packet's size.
MAX_FRAGMENTS = 8192
#: Close code of RFC 6455: a message is too big.
TOO_BIG = 1009


class SocketProtocol(WebSocketsSansIOProtocol):
    """Close the connection without waiting for room in the buffer.

    uvicorn waits for room before it sends a close frame, without limit if the client has stopped
    reading, and closing the connection waits for the buffer. This class appends the frame to the
    buffer, so a client that resumes reading receives it. If that takes longer than a closing
    handshake may, the connection is aborted.
    """

    async def send(self, message: ASGISendEvent) -> None:
        """Send one event of the application."""
        if message["type"] == "websocket.close":
            self.writable.set()
        await super().send(message)
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def handle_ping(self) -> None:
        """Reply to a ping unless earlier replies wait to be read."""
        answer = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(answer)

    def keepalive_timeout(self) -> None:
        """Close the connection, unless a pong may be waiting behind unread messages."""
        if self.read_paused:
            self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def handle_cont(self, event: Frame) -> None:
        """Add a fragment of a message; empty ones do not count towards its size."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self.conn.fail(TOO_BIG, f"more than {MAX_FRAGMENTS} fragments")
            self.handle_parser_exception()
