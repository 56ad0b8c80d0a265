"""Services and commands as processes of their own that start in milliseconds.

Starting ``python -m cwt_compute`` takes more than a second of processor time, nearly all of it
for imports, and the system tests start hundreds of services. Here they are forked from one process,
the template, that has the imports done; what is forked then runs the same module as
``python -m`` would. So are the command ``pycwt-mod`` and the programs in ``examples``.
`tests/system/test_processes.py` and `test_command.py` start services and the command as users do.

The template serves one test process over a socket: requests and replies in JSON, one at a time; a
request to start carries the file that takes what the service prints. It ends when the test process
closes the socket, at its exit, or is killed, and the services end with it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import IO, Any, TextIO

from cwt_runtime.process.orphan_guard import die_with_parent, guarded

__all__ = ["COVERAGE", "ForkedProcess", "printing", "start"]

MAX_REQUEST_BYTES = 256 * 1024
#: Set where coverage is measured in processes: a process that starts without it is not measured.
COVERAGE = "COVERAGE_PROCESS_CONFIG"
#: Modules that the template imports, so that the processes forked from it need not: names, because
#: a linter takes an import that nothing uses for a mistake.
IMPORTED = (
    "cwt_ingest.app",
    "cwt_compute.app",
    "cwt_hwbridge.app",
    "cwt_gateway.app",
    "cwt_cli.job",
    "cwt_cli.publish",
    "cwt_cli.query",
    "cwt_cli.up",
    "cwt_cli.watch",
)


class ForkedProcess:
    """A process forked from the template; the interface is that of `subprocess.Popen`."""

    def __init__(self, template: Template, pid: int) -> None:
        self._template = template
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._template.ask({"poll": self.pid, "wait": False})
        return self.returncode

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        if self.returncode is None:
            self.returncode = self._template.ask({"poll": self.pid, "wait": True})
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9."""
        self.send_signal(signal.SIGKILL)


class Template:
    """The test process's end of the socket."""

    def __init__(self, coverage: str | None) -> None:
        environment = {name: value for name, value in os.environ.items() if name != COVERAGE}
        if coverage is not None:
            environment[COVERAGE] = coverage
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = guarded([sys.executable, "-m", __name__, str(theirs.fileno())])
        with theirs:
            self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        atexit.register(self.close)

    def start(self, argv: Sequence[str], output: IO[bytes], environment: Mapping[str, str]) -> int:
        """Run the module or file ``argv[0]`` in a new process and return its id."""
        request = {"start": list(argv), "environment": dict(environment)}
        socket.send_fds(self._socket, [json.dumps(request).encode()], [output.fileno()])
        pid = self._reply()
        assert pid is not None
        return pid

    def ask(self, request: dict[str, Any]) -> int | None:
        """Return the answer to a request without a file."""
        self._socket.send(json.dumps(request).encode())
        return self._reply()

    def close(self) -> None:
        """End the template, and wait for its end."""
        self._socket.close()
        self._process.wait()

    def _reply(self) -> int | None:
        reply = self._socket.recv(MAX_REQUEST_BYTES)
        assert reply, "the template ended"
        number: int | None = json.loads(reply)
        return number


@cache
def _template(coverage: str | None) -> Template:
    return Template(coverage)


def start(*argv: str, output: IO[bytes], environment: Mapping[str, str]) -> ForkedProcess:
    """Run a module with arguments as ``python -m`` does, or a file that ends in ``.py``.

    `output` takes all that it prints; if that is a terminal, it also gives the input.
    """
    template = _template(environment.get(COVERAGE))
    return ForkedProcess(template, template.start(argv, output, environment))


@contextmanager
def printing(*argv: str) -> Iterator[tuple[ForkedProcess, TextIO]]:
    """Run what `start` runs while the context is open; yield the process and what it prints."""
    ours, theirs = os.pipe()
    with os.fdopen(ours) as printed:
        with os.fdopen(theirs, "wb") as output:
            process = start(*argv, output=output, environment=os.environ)
        try:
            yield process, printed
        finally:
            process.kill()
            process.wait()


def _serve(requests: socket.socket) -> None:
    """Fork and reap until the test process ends."""
    while True:
        data, files, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 1)
        if not data:
            return
        request = json.loads(data)
        if "start" not in request:
            pid, status = os.waitpid(request["poll"], 0 if request["wait"] else os.WNOHANG)
            reply = os.waitstatus_to_exitcode(status) if pid else None
        else:
            template = os.getpid()
            reply = os.fork()
            if reply == 0:
                requests.close()
                _become(request["start"], files[0], request["environment"], template)
                return
            os.close(files[0])
        requests.send(json.dumps(reply).encode())


def _become(argv: list[str], output: int, environment: dict[str, str], template: int) -> None:
    die_with_parent(template)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor, not a path
        os.dup2(output if os.isatty(output) else nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    if argv[0].endswith(".py"):
        runpy.run_path(argv[0], run_name="__main__")
    else:
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


def _main() -> None:
    for module in IMPORTED:
        import_module(module)
    # A collection in a process would write to, and so copy, every page that it shares with others.
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        _serve(requests)


if __name__ == "__main__":
    _main()
