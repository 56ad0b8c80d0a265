"""uvicorn's WebSockets, but for clients that do not read, and messages without end."""

from __future__ import annotations

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

__all__ = ["SocketProtocol"]

#: Fragments of one message: of the largest, at the size of a packet.
MAX_FRAGMENTS = 8192
#: Of RFC 6455: a message is too big.
TOO_BIG = 1009


class SocketProtocol(WebSocketsSansIOProtocol):
    """Closes without waiting for room in the buffer.

    uvicorn waits for room before it sends a close frame, without end if the client reads no more,
    and closing the connection waits for what is in the buffer. Here the frame goes behind what is
    buffered, so a client that reads again finds it, and if that takes longer than a closing
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
        """Answer a ping, but not behind answers that the client does not read."""
        answer = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(answer)

    def keepalive_timeout(self) -> None:
        """Close the connection, unless a pong may be behind messages that wait to be read."""
        if self.read_paused:
            self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment of a message; empty ones do not count towards its size."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self.conn.fail(TOO_BIG, f"more than {MAX_FRAGMENTS} fragments")
            self.handle_parser_exception()
