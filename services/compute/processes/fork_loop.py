"""The loop of the fork server: fork a compute process for each request, kill it, report its end.

A request is the name of a worker with two sockets. The compute process gets `messages`. The fork
server keeps `control`: it writes the process ID and later the exit code there, and kills the
compute process when the other end is shut down. A service that ends closes all its sockets, so its
compute processes and its fork server end too, on every system and whatever killed the service.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from services.compute.processes.ipc import NUMBER
from services.runtime.process.orphan_guard import die_with_parent

__all__ = ["ForkLoop", "ForkRequest"]

#: More than any name of a worker has.
MAX_NAME_BYTES = 4096


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
