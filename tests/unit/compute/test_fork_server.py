"""The loop of a fork server, with processes that do what the name of their worker says."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cwt_compute.processes.ipc import NUMBER
from tests.deadlines import SCALE

PROGRAM = """
import os, signal, socket, sys
from cwt_compute.processes.fork_server import ForkLoop
with socket.socket(fileno=int(sys.argv[1])) as requests:
    request = ForkLoop(requests).run()
if request is not None and request.worker == "wait":
    signal.pause()
elif request is not None:
    sys.exit(int(request.worker))
"""


Server = tuple[subprocess.Popen[bytes], socket.socket]


class Child:
    """The test's ends of a child's sockets."""

    def __init__(self, requests: socket.socket, worker: str) -> None:
        self.frames, frames = socket.socketpair()
        self.control, control = socket.socketpair()
        self.control.settimeout(20 * SCALE)
        with frames, control:
            fds = [frames.fileno(), control.fileno()]
            socket.send_fds(requests, [worker.encode()], fds)

    def number(self) -> int | None:
        data = self.control.recv(NUMBER.size)
        return int(*NUMBER.unpack(data)) if data else None

    def close(self) -> None:
        self.frames.close()
        self.control.close()


@pytest.fixture
def server() -> Iterator[Server]:
    requests, its_requests = socket.socketpair()
    with requests, its_requests:
        fd = its_requests.fileno()
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(fd)], pass_fds=[fd])
        its_requests.close()
        yield process, requests
        requests.close()
        try:
            process.wait(20 * SCALE)
        finally:
            process.kill()


def test_a_child_is_reported_when_it_starts_and_when_it_ends(server: Server) -> None:
    child = Child(server[1], "3")

    pid = child.number()

    assert pid not in {None, server[0].pid}
    assert (child.number(), child.number()) == (3, None)
    child.close()


def test_a_child_is_killed_when_its_control_socket_is_shut_down(server: Server) -> None:
    first, second = Child(server[1], "wait"), Child(server[1], "0")
    assert first.number() != second.number()

    first.control.shutdown(socket.SHUT_WR)

    assert (first.number(), second.number()) == (-9, 0)
    first.close()
    second.close()


def test_no_other_process_holds_the_sockets_of_a_child(server: Server) -> None:
    """A later child that inherited them would hide the end of an earlier one."""
    first = Child(server[1], "wait")
    second = Child(server[1], "wait")
    assert first.number() != second.number()

    first.control.shutdown(socket.SHUT_WR)

    assert (first.number(), first.number(), first.frames.recv(1)) == (-9, None, b"")
    first.close()
    second.close()


def test_the_server_and_its_children_end_when_the_service_closes_its_sockets(
    server: Server,
) -> None:
    child = Child(server[1], "wait")
    pid = child.number()

    server[1].close()
    child.close()

    assert pid is not None
    assert server[0].wait(20 * SCALE) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_unawaited_child_does_not_burden_fork_server(server: Server) -> None:
    Child(server[1], "wait").close()
    Child(server[1], "wait").close()

    after = Child(server[1], "4")

    after.number()
    assert after.number() == 4
    after.close()
