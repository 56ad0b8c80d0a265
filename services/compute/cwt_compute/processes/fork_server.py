"""The fork server, which compute processes are forked from, and the service's side of it.

`ForkServer` starts it and sends it requests; in the fork server itself, `ForkLoop` answers them. A
request is the name of a worker with two sockets. The compute process gets `frames`. The fork server
keeps `control`: it writes the process ID and later the exit code there, and kills the compute
process when the other end is shut down. A service that ends closes all its sockets, so its compute
processes and its fork server end too, on every system and whatever killed the service.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import anyio

from cwt_compute.processes.ipc import HEADER_BYTES, NUMBER, IpcMessage, header, header_of
from cwt_runtime.process.orphan_guard import die_with_parent

__all__ = ["ForkLoop", "ForkRequest", "ForkServer", "ForkedProcess"]

#: More than any name of a worker has.
MAX_NAME_BYTES = 4096


# In the service


class ForkServer:
    """Forks compute processes within milliseconds, from a process that has imported everything.

    That process starts with the first compute process, and again after it has ended. It ends with
    the service, however that ends, and its compute processes end with it.

    Parameters
    ----------
    program
        Module of the fork server, which is run with the descriptor of the socket of requests.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def fork(self, worker: str) -> ForkedProcess:
        """Request a compute process for the service called `worker`; do not wait for it.

        Raises
        ------
        OSError
            The fork server cannot be started.
        """
        requests = self._running()
        frames, its_frames = socket.socketpair()
        control, its_control = socket.socketpair()
        # A fork server that has just ended leaves the sockets closed, as one that ends later does.
        with its_frames, its_control, suppress(ConnectionError):
            fds = [its_frames.fileno(), its_control.fileno()]
            socket.send_fds(requests, [worker.encode()], fds)
        return ForkedProcess(frames, control)

    def close(self) -> None:
        """End the fork server, which takes milliseconds, and any compute processes it has left."""
        if self._process is not None and self._requests is not None:
            self._process.terminate()
            self._process.wait()
            self._requests.close()
        self._process = self._requests = None

    def _running(self) -> socket.socket:
        """Return the socket of requests to a fork server that runs."""
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._requests is None:
            requests, its_requests = socket.socketpair()
            with its_requests:
                fd = its_requests.fileno()
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", self._program, str(fd)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[fd],
                    # Ctrl-C in a terminal is for the service, which ends what it has begun.
                    start_new_session=True,
                )
            self._requests = requests
        return self._requests


class ForkedProcess:
    """The service's ends of the two sockets of a compute process; closing them kills it."""

    def __init__(self, frames: socket.socket, control: socket.socket) -> None:
        self._frames = frames
        self._control = control
        frames.setblocking(False)
        control.setblocking(False)
        #: Process ID, None until the process has started.
        self.pid: int | None = None

    async def exchange(self, request: IpcMessage) -> IpcMessage:
        """Return the answer to a request.

        Raises
        ------
        EOFError, ConnectionError
            The process has ended or is about to, or the fork server has.
        """
        if self.pid is None:
            self.pid = await self._number()
        await _send(self._frames, header(request))
        await _send(self._frames, request.body)
        kind, length = header_of(await _receive(self._frames, HEADER_BYTES))
        return IpcMessage(kind, await _receive(self._frames, length))

    def has_ended(self) -> bool:
        """Tell whether the process is known to have ended."""
        if self.pid is None:
            return False
        try:
            self._control.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True

    async def ended(self) -> int | None:
        """Wait for the end of the process; return its exit code, negative for a signal.

        None means that the fork server has ended, and the process with it or before it started.
        """
        try:
            return await self._number()
        except (EOFError, ConnectionError):
            return None
        finally:
            self.close()

    async def kill(self) -> None:
        """Kill the process, and wait for its end; one that has not started ends as it starts."""
        if self.pid is None:
            self.close()
        else:
            with suppress(OSError):  # macOS refuses it once the fork server has closed its end
                self._control.shutdown(socket.SHUT_WR)
            await self.ended()

    def close(self) -> None:
        """Close the sockets, which kills the process if it has not ended."""
        self._frames.close()
        self._control.close()

    async def _number(self) -> int:
        return int(*NUMBER.unpack(await _receive(self._control, NUMBER.size)))


async def _send(connection: socket.socket, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        # Also where there is room: a large message would keep the event loop from other tasks.
        await anyio.wait_writable(connection)
        rest = rest[connection.send(rest) :]


async def _receive(connection: socket.socket, length: int) -> bytes:
    # A BytesIO can be written to, and gives its bytes away, without a copy.
    received = BytesIO(bytes(length))
    with received.getbuffer() as buffer:
        filled = 0
        while filled < length:
            await anyio.wait_readable(connection)
            with buffer[filled:] as rest:
                count = connection.recv_into(rest)
            if count == 0:
                raise EOFError(f"{length - filled} of {length} bytes are missing")
            filled += count
    return received.getvalue()


# In the fork server


@dataclass(frozen=True)
class ForkRequest:
    """What a compute process starts with: the name of its worker, and a socket's descriptor."""

    worker: str
    frames: int


@dataclass(frozen=True)
class _Child:
    pid: int
    control: int
    #: Read end of a pipe whose write end only the child has: at its end when the child has ended.
    alive: int


class ForkLoop:
    """Forks for what arrives on a socket; single-threaded, as a process that forks must be."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        # Unlike epoll, poll has no kernel object that the forks would share.
        self._selector = selectors.PollSelector()

    def run(self) -> ForkRequest | None:
        """Return in each compute process, with its request; in the server at its end, with None."""
        self._selector.register(self._requests, selectors.EVENT_READ, self._fork)
        while self._selector.get_map():
            # One event at a time: it may be the end of a child that has a second one.
            for key, _ in self._selector.select()[:1]:
                request: ForkRequest | None = key.data()
                if request is not None:
                    return request
        return None

    def _fork(self) -> ForkRequest | None:
        worker, fds, _, _ = socket.recv_fds(self._requests, MAX_NAME_BYTES, 2)
        if not worker:  # the service is gone; its compute processes follow
            self._selector.unregister(self._requests)
            return None
        frames, control = fds
        alive, held = os.pipe()
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            # A descriptor that stayed open here would hide the end of another process.
            self._requests.detach()
            for fd in (control, alive, *(key.fd for key in self._selector.get_map().values())):
                os.close(fd)
            die_with_parent(server)
            return ForkRequest(worker.decode(), frames)
        os.close(frames)
        os.close(held)
        child = _Child(pid, control, alive)
        self._selector.register(control, selectors.EVENT_READ, partial(self._kill, child))
        self._selector.register(alive, selectors.EVENT_READ, partial(self._reap, child))
        _report(control, pid)
        return None

    def _kill(self, child: _Child) -> None:
        os.kill(child.pid, signal.SIGKILL)
        self._selector.unregister(child.control)

    def _reap(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        _report(child.control, os.waitstatus_to_exitcode(status))
        for fd in (child.control, child.alive):
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
            os.close(fd)


def _report(control: int, number: int) -> None:
    with suppress(BrokenPipeError):  # the service does not wait for it
        os.write(control, NUMBER.pack(number))
