"""Children are kept running, and stopped in order."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from cwt_cli.supervisor import Program, ProgramFailedError, Supervisor, after_end
from cwt_runtime.retry import GiveUp, RetryAfter, RetryPolicy
from cwt_runtime.telemetry.logs import logger
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

AT_ONCE = RetryPolicy(first_delay_s=0.0, max_tries=3)

#: Connects, which tells that it runs, and waits for SIGTERM; says so in a file.
OBEDIENT = """
import pathlib, signal, socket, sys
def stop(*_):
    pathlib.Path(sys.argv[2]).write_text("drained")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
line.sendall(b"%d " % __import__("os").getpid())
while True:
    signal.pause()
"""
STUBBORN = OBEDIENT.replace("sys.exit(0)", "return")


def supervisor(
    code: str, *arguments: str, folder: Path | None = None, kill: anyio.Event | None = None
) -> Supervisor:
    return Supervisor(
        [Program(name="child", command=(sys.executable, "-c", code, *arguments))],
        environment=os.environ,
        log=logger("test"),
        log_folder=folder,
        policy=AT_ONCE,
        kill=kill,
    )


class Listener:
    """Hears of every child that starts, by its process id."""

    def __init__(self) -> None:
        self.send, self.started = anyio.create_memory_object_stream[int](10)

    async def serve(self, task_status: anyio.abc.TaskStatus[int]) -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            task_status.started(listener.extra(anyio.abc.SocketAttribute.local_port))
            await listener.serve(self._hear)

    async def _hear(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            self.send.send_nowait(int(await stream.receive()))

    def close(self) -> None:
        self.send.close()
        self.started.close()


async def run_until(
    code: str, marker: Path, act: Callable[[int], bool], *, kill: anyio.Event | None = None
) -> list[int]:
    """Run a child; after each start, `act` on its process id until it says enough."""
    listener, started = Listener(), []
    with fail_after(20):
        async with anyio.create_task_group() as tasks:
            port = await tasks.start(listener.serve)
            async with anyio.create_task_group() as supervised:
                child = supervisor(code, str(port), str(marker), kill=kill)
                supervised.start_soon(child.run)
                async for pid in listener.started:
                    started.append(pid)
                    if act(pid):
                        break
                supervised.cancel_scope.cancel()
            tasks.cancel_scope.cancel()
    listener.close()
    return started


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_stopping_lets_a_child_drain(tmp_path: Path) -> None:
    (pid,) = await run_until(OBEDIENT, tmp_path / "marker", lambda _pid: True)
    assert (tmp_path / "marker").read_text() == "drained"
    assert not is_running(pid)


async def test_a_child_that_died_is_started_again(tmp_path: Path) -> None:
    seen: list[int] = []

    def kill_the_first(pid: int) -> bool:
        seen.append(pid)
        if len(seen) == 1:
            os.kill(pid, 9)
        return len(seen) == 2

    first, second = await run_until(OBEDIENT, tmp_path / "marker", kill_the_first)
    assert first != second
    assert not is_running(first)


async def test_a_child_that_does_not_stop_is_killed_when_asked(tmp_path: Path) -> None:
    kill = anyio.Event()
    kill.set()
    (pid,) = await run_until(STUBBORN, tmp_path / "marker", lambda _pid: True, kill=kill)
    assert not is_running(pid)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('CWT_X: bad'); sys.exit(78)", "CWT_X: bad"),
        ("import sys; sys.exit(3)", r"exit code 3\b.*\b3 times"),
    ],
)
async def test_child_that_cannot_run_stops_system_with_its_message(
    tmp_path: Path, code: str, words: str
) -> None:
    with fail_after(20), pytest.raises(ExceptionGroup) as caught:
        await supervisor(code, folder=tmp_path).run()
    assert caught.group_contains(ProgramFailedError, match=words)


@pytest.mark.parametrize(
    ("code", "tries", "decision"),
    [(78, 1, GiveUp), (1, 1, RetryAfter), (0, 2, RetryAfter), (1, 3, GiveUp)],
)
async def test_what_follows_an_end_depends_on_code_and_tries(
    code: int, tries: int, decision: type[object]
) -> None:
    assert isinstance(after_end(code, tries=tries, policy=AT_ONCE), decision)
