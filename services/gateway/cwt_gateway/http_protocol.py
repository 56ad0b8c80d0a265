"""uvicorn's HTTP protocol with limits for clients that are slow, silent or malformed.

uvicorn waits without end for a request that comes byte by byte, and for a client that does not read
its response. Here such a connection is closed, so that it holds neither memory nor a place. While
all places are taken, the connection that has waited longest for a request gives up its own.
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

    #: Connections at a time, WebSockets among them.
    max_connections: ClassVar = 1000
    #: Time for the head of a request, the idle time before it included, and for the rest of a body
    #: that was refused. It is longer than clients keep an idle connection (httpx: 5 s).
    request_s: ClassVar = 10.0
    #: Time in which a client reads at least something of its response.
    read_s: ClassVar = 20.0

    #: Runs while it is the client's turn.
    _request_timer: asyncio.TimerHandle | None = None
    #: Runs while the client has not read what it was sent.
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, in the place of an idle connection if there is no other."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._make_room()
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        self._stop_read_timer()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what has arrived."""
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
        """Go on: the client has read."""
        super().resume_writing()
        self._stop_read_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read."""
        self._refuse(ProblemDetails(HTTPStatus.BAD_REQUEST, ErrorCode.BAD_REQUEST, msg))

    def _refuse(self, problem: ProblemDetails) -> None:
        """Answer, unless an answer is on its way already, and close the connection."""
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
        """Close the connection unless a whole request comes in time; its bytes do not count."""
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
        """Return how many bytes the client has not taken, those in the kernel's buffer included.

        The kernel takes megabytes at a time out of the transport's buffer, which does not shrink in
        between while a client reads slowly.
        """
        in_kernel = fcntl.ioctl(self.transport.get_extra_info("socket"), TIOCOUTQ, bytes(4))
        return self.transport.get_write_buffer_size() + int.from_bytes(in_kernel, sys.byteorder)
