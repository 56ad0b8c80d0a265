"""uvicorn's HTTP protocol with limits for clients that are slow, silent or malformed.

uvicorn waits without limit for a request that arrives byte by byte, and for a client that does not
read its response. This protocol closes such connections, so that they use neither memory nor a
slot. When all slots are used, the connection that has been idle longest is closed for the new one.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
from http import HTTPStatus
from operator import itemgetter
from termios import TIOCOUTQ
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from cwt_gateway.problems import ProblemDetails
from cwt_schemas.errors import ErrorCode

__all__ = ["HttpProtocol"]


class HttpProtocol(H11Protocol):
    """A connection of an HTTP client."""

    #: Maximum number of connections, including WebSockets.
    max_connections: ClassVar = 1000
    #: Deadline of the head of a request, including the idle time before it, and of the rest of a
    #: body that was refused. It is longer than clients keep an idle connection (httpx: 5 s).
    request_s: ClassVar = 10.0
    #: Deadline for a client to read at least part of its response.
    read_s: ClassVar = 20.0

    #: Runs while the client must send.
    _request_timer: asyncio.TimerHandle | None = None
    #: Runs while the client has not read its response.
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, in the slot of an idle one if all are used."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._make_room()
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._stop_waiting()
        self._stop_read_timer()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle data that arrived."""
        super().handle_events()
        self._wait_for_request()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait_for_request()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Resume: the client has read."""
        super().resume_writing()
        self._stop_read_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed request."""
        self._refuse(ProblemDetails(HTTPStatus.BAD_REQUEST, ErrorCode.BAD_REQUEST, msg))

    def _refuse(self, problem: ProblemDetails) -> None:
        """Respond unless a response has begun, and close the connection."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()
            return
        response = problem.response()
        headers = [*response.raw_headers, (b"connection", b"close")]
        head = h11.Response(status_code=response.status_code, headers=headers)
        for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _make_room(self) -> None:
        idle = [
            (each._request_timer.when(), each)
            for each in self.connections
            if isinstance(each, HttpProtocol) and each._request_timer is not None
        ]
        if not idle:
            detail = f"{self.max_connections} connections are open, and all are busy"
            self._refuse(ProblemDetails(HTTPStatus.TOO_MANY_REQUESTS, ErrorCode.OVERLOADED, detail))
            return
        _, longest = min(idle, key=itemgetter(0))
        longest._stop_waiting()
        longest.transport.abort()

    def _wait_for_request(self) -> None:
        """Close the connection unless a complete request arrives in time."""
        # None before the first request.
        cycle: RequestResponseCycle | None = self.cycle
        is_busy = cycle is not None and not cycle.response_complete
        if is_busy or self.transport.get_protocol() is not self:
            self._stop_waiting()
        elif self._request_timer is None and not self.transport.is_closing():
            self._request_timer = self.loop.call_later(self.request_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()

    def _wait_for_reader(self) -> None:
        self._read_timer = self.loop.call_later(self.read_s, self._check_reader, self._unread())

    def _check_reader(self, unread: int) -> None:
        if self._unread() < unread:
            self._wait_for_reader()
        else:
            self.transport.abort()

    def _unread(self) -> int:
        """Return the number of bytes that the client has not read, including the kernel's buffer.

        The kernel moves megabytes at a time out of the transport's buffer, which therefore does not
        shrink between while a client reads slowly.
        """
        in_kernel = fcntl.ioctl(self.transport.get_extra_info("socket"), TIOCOUTQ, bytes(4))
        return self.transport.get_write_buffer_size() + int.from_bytes(in_kernel, sys.byteorder)
