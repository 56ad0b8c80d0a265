"""A relay in front of a port that drops, delays and resets what it carries."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

__all__ = ["Line", "serve_line"]

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
#: Close with RST instead of FIN, and discard what was not sent.
_ABORT = struct.pack("ii", 1, 0)


class Line:
    """The network between some clients and a server."""

    def __init__(self, port: int, target: int) -> None:
        #: Port of the relay.
        self.port = port
        #: Delay of each piece of data in both directions, seconds.
        self.latency_s = 0.0
        self._target = target
        self._silent = False
        self._open: set[tuple[SocketStream, SocketStream]] = set()

    def drop(self) -> None:
        """Lose everything from now on; connections and attempts to connect stay open."""
        self._silent = True

    def reset(self) -> None:
        """Reset all connections, and carry again what comes over new ones."""
        self._silent = False
        for ends in self._open:
            for end in ends:
                raw = end.extra(SocketAttribute.raw_socket)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                # Both directions end, and with them the relay of the connection.
                with suppress(OSError):
                    raw.shutdown(socket.SHUT_RD)

    async def carry(self, client: SocketStream) -> None:
        """Serve one connection until either end closes it."""
        async with client:
            try:
                server = await anyio.connect_tcp("127.0.0.1", self._target)
            except OSError:
                return
            async with server, anyio.create_task_group() as tasks:
                ends = (client, server)
                self._open.add(ends)
                try:
                    tasks.start_soon(self._pump, client, server, tasks.cancel_scope)
                    await self._pump(server, client, tasks.cancel_scope)
                finally:
                    self._open.discard(ends)

    async def _pump(
        self, source: SocketStream, sink: SocketStream, connection: anyio.CancelScope
    ) -> None:
        with suppress(*_GONE):
            async for data in source:
                if self.latency_s:
                    await anyio.sleep(self.latency_s)
                if not self._silent:
                    await sink.send(data)
        connection.cancel()


async def serve_line(target: int, *, task_status: TaskStatus[Line]) -> None:
    """Run a relay to a port of this machine until cancelled."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    line = Line(int(listener.extra(SocketAttribute.local_port)), target)
    async with listener:
        task_status.started(line)
        await listener.serve(line.carry)
