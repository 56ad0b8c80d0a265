"""The fork server, from which compute processes are forked, and its client in the service.

`ForkServer` starts the fork server and sends requests to it; `ForkLoop` answers them in the fork
server. A request is the name of a worker with two sockets. The compute process gets `frames`. The
fork server keeps `control`: it writes the process ID and later the exit code to it, and kills the
compute process when the other end is shut down. When a service ends for any reason, its sockets are
closed, so its compute processes and its fork server end too, on every operating system.
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

#: Maximum length of the name of a worker.
MAX_NAME_BYTES = 4096


# In the service


class ForkServer:
    """Fork compute processes within milliseconds, from a process that has everything imported.

    The fork server starts with the first compute process, and again if it has ended. It and its
    compute processes end with the service, also if the service is killed.

    Parameters
    ----------
    program
        Module of the fork server; its argument is the descriptor of the socket for requests.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def fork(self, worker: str) -> ForkedProcess:
        """Request a compute process for the service `worker`, without waiting for it.

        Raises
        ------
        OSError
            The fork server cannot be started.
        """
        requests = self._running()
        frames, its_frames = socket.socketpair()
        control, its_control = socket.socketpair()
        # If the fork server has just ended, the sockets are closed, as if it ended later.
        with its_frames, its_control, suppress(ConnectionError):
            fds = [its_frames.fileno(), its_control.fileno()]
            socket.send_fds(requests, [worker.encode()], fds)
        return ForkedProcess(frames, control)

    def close(self) -> None:
        """Stop the fork server, which takes milliseconds, and its remaining compute processes."""
        if self._process is not None and self._requests is not None:
            self._process.terminate()
            self._process.wait()
            self._requests.close()
        self._process = self._requests = None

    def _running(self) -> socket.socket:
        """Return the request socket of a running fork server; start one if necessary."""
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
                    # Ctrl-C in a terminal is for the service, which ends its child processes.
                    start_new_session=True,
                )
            self._requests = requests
        return self._requests


class ForkedProcess:
    """A compute process, as two sockets of the service; closing them kills the process."""

    def __init__(self, frames: socket.socket, control: socket.socket) -> None:
        self._frames = frames
        self._control = control
        frames.setblocking(False)
        control.setblocking(False)
        #: Process ID; None until the process has started.
        self.pid: int | None = None

    async def exchange(self, request: IpcMessage) -> IpcMessage:
        """Send a request and return the answer.

        Raises
        ------
        EOFError, ConnectionError
            The process or the fork server has ended.
        """
        if self.pid is None:
            self.pid = await self._number()
        await _send(self._frames, header(request))
        await _send(self._frames, request.body)
        kind, length = header_of(await _receive(self._frames, HEADER_BYTES))
        return IpcMessage(kind, await _receive(self._frames, length))

    def has_ended(self) -> bool:
        """Return whether the process is known to have ended."""
        if self.pid is None:
            return False
        try:
            self._control.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True

    async def ended(self) -> int | None:
        """Wait for the end of the process; return its exit code, negative for a signal.

        Return None if the fork server has ended, and with it the process, if it had started.
        """
        try:
            return await self._number()
        except (EOFError, ConnectionError):
            return None
        finally:
            self.close()

    async def kill(self) -> None:
        """Kill the process and wait for its end; an unstarted process ends when it starts."""
        if self.pid is None:
            self.close()
        else:
            with suppress(OSError):  # raised on macOS if the fork server has closed its end
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
        # Wait even if the socket is writable, so that a large message does not block the loop.
        await anyio.wait_writable(connection)
        rest = rest[connection.send(rest) :]


async def _receive(connection: socket.socket, length: int) -> bytes:
    # A BytesIO can be filled, and returns its bytes, without a copy.
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
    """Arguments of a compute process: name of the worker, and descriptor of the socket."""

    worker: str
    frames: int


@dataclass(frozen=True)
class _Child:
    pid: int
    control: int
    #: Read end of a pipe whose write end only the child has; at EOF when the child has ended.
    alive: int


class ForkLoop:
    """Fork a process per request on a socket; single-threaded, as forking requires."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        # poll, because forks would share the kernel object of epoll.
        self._selector = selectors.PollSelector()

    def run(self) -> ForkRequest | None:
        """Serve requests. Return the request in each compute process, and None in the server."""
        self._selector.register(self._requests, selectors.EVENT_READ, self._fork)
        while self._selector.get_map():
            # One event at a time: it may end a child that has a second event.
            for key, _ in self._selector.select()[:1]:
                request: ForkRequest | None = key.data()
                if request is not None:
                    return request
        return None

    def _fork(self) -> ForkRequest | None:
        worker, fds, _, _ = socket.recv_fds(self._requests, MAX_NAME_BYTES, 2)
        if not worker:  # the service has ended, and its compute processes end too
            self._selector.unregister(self._requests)
            return None
        frames, control = fds
        alive, held = os.pipe()
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            # A descriptor that stays open here would hide the end of another process.
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
    with suppress(BrokenPipeError):  # the service has closed its end
        os.write(control, NUMBER.pack(number))
