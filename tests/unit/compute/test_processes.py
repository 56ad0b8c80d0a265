"""Compute processes: answers, refusals, deaths, cancellation, and the end of the service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwt_compute import process_main
from cwt_compute.cluster.endpoint import simulate_endpoint
from cwt_compute.cluster.shares import answer_simulate, request_of
from cwt_compute.process_main import answer_all, answer_message
from cwt_compute.processes import (
    ComputeFaultError,
    ComputeProcess,
    ForkServer,
    IpcKind,
    ProcessDiedError,
    ProcessPool,
)
from cwt_compute.processes.fork_server import ForkedProcess
from cwt_compute.processes.ipc import (
    HEADER_BYTES,
    NUMBER,
    IpcMessage,
    header,
    header_of,
)
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError, ErrorBody, Overloaded
from cwt_schemas.job import CwtTask, JobOutcome, JobWork, QueuedTask, SignificanceTask
from cwt_schemas.simulation import SimulateRequest
from pycwt_mod.wavelets import Morlet
from tests.deadlines import fail_after
from tests.fork_server import FORK_SERVER
from tests.processes import POLL_S, busy, gone, parent
from tests.unit.compute.test_cluster import plan

pytestmark = pytest.mark.anyio
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
PACKED = ContentType.MSGPACK
MIB = 1024 * 1024


def task(request: CwtTask | SignificanceTask) -> bytes:
    work = JobWork(job_id="j", attempt=1, work=QueuedTask(task_id="3", request=request))
    return encode(work, PACKED)


QUICK = task(CwtTask(type="cwt", dt=1.0, data=np.arange(16.0)))
#: Ten minutes of one core.
LONG = task(
    SignificanceTask(
        type="significance", al1=0.5, al2=0.5, dt=1.0, dj=0.05, s0=2.0, J=160, mc_count=100_000
    )
)


@pytest.fixture
async def process() -> AsyncIterator[ComputeProcess]:
    mine = ComputeProcess(FORK_SERVER, "test")
    yield mine
    await mine.close()


def pid_of(process: ComputeProcess) -> int:
    assert process.pid is not None
    return process.pid


@given(kind=st.sampled_from(IpcKind), body=st.binary())
def test_a_header_gives_back_the_kind_and_the_length(kind: IpcKind, body: bytes) -> None:
    assert header_of(header(IpcMessage(kind, body))) == (kind, len(body))


@given(kind=st.sampled_from([IpcKind.TASK, IpcKind.SHARE]), body=st.binary(max_size=200))
def test_every_request_gets_a_reply(kind: IpcKind, body: bytes) -> None:
    answer = answer_message(IpcMessage(kind, body), "test")

    assert answer.kind is IpcKind.REFUSED
    assert decode(ErrorBody, answer.body, PACKED).error.message


@pytest.mark.slow
async def test_a_task_is_computed_in_a_process_of_low_priority(process: ComputeProcess) -> None:
    answer = await process.ask(IpcKind.TASK, QUICK)

    outcome = decode(JobOutcome, answer, PACKED)
    assert (outcome.task_id, outcome.status, outcome.engine.worker) == ("3", "done", "test")
    assert os.getpriority(os.PRIO_PROCESS, pid_of(process)) > os.getpriority(
        os.PRIO_PROCESS, os.getpid()
    )


@pytest.mark.slow
async def test_process_answers_queries_sequentially(process: ComputeProcess) -> None:
    await process.ask(IpcKind.TASK, QUICK)
    first = pid_of(process)
    with pytest.raises(ContractError):
        await process.ask(IpcKind.TASK, b"nothing that can be read")

    assert await process.ask(IpcKind.TASK, QUICK)
    assert pid_of(process) == first


def test_requests_are_answered_in_order_until_the_connection_ends() -> None:
    service, connection = socket.socketpair()
    with service:
        for body in (QUICK, b"unreadable"):
            service.sendall(header(IpcMessage(IpcKind.TASK, body)) + body)
        service.sendall(header(IpcMessage(IpcKind.TASK, QUICK)) + QUICK[:10])
        service.shutdown(socket.SHUT_WR)
        answer_all(connection, "test")
        with service.makefile("rb") as answers:
            kinds = []
            while head := answers.read(HEADER_BYTES):
                kind, length = header_of(head)
                assert len(answers.read(length)) == length
                kinds.append(kind)

    assert kinds == [IpcKind.DONE, IpcKind.REFUSED]


# The end of a process


@pytest.mark.slow
@linux
async def test_a_process_that_dies_is_reported_and_replaced(process: ComputeProcess) -> None:
    await process.ask(IpcKind.TASK, QUICK)
    first = pid_of(process)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill_when_busy, first, first)
        with fail_after(20), pytest.raises(ProcessDiedError, match="killed by signal 9"):
            await process.ask(IpcKind.TASK, LONG)

    assert await process.ask(IpcKind.TASK, QUICK)
    assert pid_of(process) != first


async def kill_when_busy(pid: int, victim: int) -> None:
    await busy(pid)
    os.kill(victim, signal.SIGKILL)


@pytest.mark.slow
async def test_a_process_that_dies_while_it_is_idle_is_replaced(process: ComputeProcess) -> None:
    await process.ask(IpcKind.TASK, QUICK)

    os.kill(pid_of(process), signal.SIGKILL)
    with fail_after(20):
        while process.pid is not None:  # noqa: ASYNC110 - an idle process has no event
            await anyio.sleep(POLL_S)

    assert await process.ask(IpcKind.TASK, QUICK)


@pytest.mark.slow
@linux
async def test_cancelling_ends_what_runs_and_waits_for_its_end(process: ComputeProcess) -> None:
    await process.ask(IpcKind.TASK, QUICK)
    pid = pid_of(process)

    with fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process.ask, IpcKind.TASK, LONG)
            await busy(pid)
            tasks.cancel_scope.cancel()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.slow
@linux
async def test_closing_ends_what_runs_and_its_request_raises(process: ComputeProcess) -> None:
    await process.ask(IpcKind.TASK, QUICK)
    pid = pid_of(process)

    async def close_when_busy() -> None:
        await busy(pid)
        await process.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close_when_busy)
        with fail_after(20), pytest.raises(ProcessDiedError, match="closed"):
            await process.ask(IpcKind.TASK, LONG)


class ScriptedServer(ForkServer):
    """Hands out a process that is played by a test."""

    def __init__(self) -> None:
        super().__init__("played")
        frames, self.frames = socket.socketpair()
        control, self.control = socket.socketpair()
        self._played = ForkedProcess(frames, control)

    def fork(self, worker: str) -> ForkedProcess:
        del worker
        return self._played

    def close(self) -> None:
        self._played.close()
        self.frames.close()
        self.control.close()


@pytest.fixture
def script() -> Iterator[ScriptedServer]:
    with closing(ScriptedServer()) as server:
        yield server


async def test_a_process_that_exits_is_reported_with_its_exit_code(script: ScriptedServer) -> None:
    script.control.sendall(NUMBER.pack(4711) + NUMBER.pack(3))
    script.frames.close()

    with pytest.raises(ProcessDiedError, match="ended with exit code 3"):
        await ComputeProcess(script, "test").ask(IpcKind.TASK, QUICK)


async def test_a_process_that_cannot_be_started_is_reported(script: ScriptedServer) -> None:
    script.control.close()

    with pytest.raises(ProcessDiedError, match="starts compute processes has ended"):
        await ComputeProcess(script, "test").ask(IpcKind.TASK, QUICK)


async def test_a_request_can_be_cancelled_while_the_fork_server_starts(
    script: ScriptedServer,
) -> None:
    mine = ComputeProcess(script, "test")

    with fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(mine.ask, IpcKind.TASK, QUICK)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    assert (script.control.recv(1), script.frames.recv(1)) == (b"", b"")


async def test_closing_while_the_fork_server_starts_waits_for_nothing(
    script: ScriptedServer,
) -> None:
    mine = ComputeProcess(script, "test")

    async def close_soon() -> None:
        await anyio.wait_all_tasks_blocked()
        await mine.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close_soon)
        with fail_after(20), pytest.raises(ProcessDiedError, match="closed"):
            await mine.ask(IpcKind.TASK, QUICK)


async def test_a_closed_compute_process_starts_no_process(server: ForkServer) -> None:
    mine = ComputeProcess(server, "test")
    await mine.close()

    with pytest.raises(ProcessDiedError, match="closed"):
        await mine.ask(IpcKind.TASK, QUICK)

    assert mine.pid is None


async def test_a_fault_of_the_program_is_raised_with_its_trace(script: ScriptedServer) -> None:
    trace = b"Traceback: caf\xe9"
    script.control.sendall(NUMBER.pack(4711))
    script.frames.sendall(header(IpcMessage(IpcKind.FAULT, trace)) + trace)

    with pytest.raises(ComputeFaultError) as caught:
        await ComputeProcess(script, "test").ask(IpcKind.TASK, QUICK)

    assert caught.value.trace == "Traceback: caf\ufffd"


# Messages in pieces


@given(body=st.binary(), sizes=st.lists(st.integers(1, 50), min_size=1))
def test_an_answer_that_comes_in_pieces_is_the_same(body: bytes, sizes: list[int]) -> None:
    async def play(script: ScriptedServer) -> None:
        rest = header(IpcMessage(IpcKind.DONE, body)) + body
        while rest:
            for size in sizes:
                script.frames.sendall(rest[:size])
                rest = rest[size:]
                for _ in range(3):  # the other task is woken, reads, and waits again
                    await anyio.lowlevel.checkpoint()

    async def ask() -> bytes:
        with closing(ScriptedServer()) as script:
            script.control.sendall(NUMBER.pack(4711))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(play, script)
                answer = await ComputeProcess(script, "test").ask(IpcKind.TASK, b"")
        return answer

    assert anyio.run(ask) == body


@pytest.mark.parametrize(("request_bytes", "answer_bytes"), [(64 * MIB, 0), (0, 64 * MIB)])
async def test_a_large_body_is_not_copied(
    script: ScriptedServer, request_bytes: int, answer_bytes: int
) -> None:
    request, answer = bytes(request_bytes), bytes(answer_bytes)

    def play() -> None:
        buffer, left = bytearray(MIB), HEADER_BYTES + len(request)
        while left:
            left -= script.frames.recv_into(buffer)
        script.frames.sendall(header(IpcMessage(IpcKind.DONE, answer)))
        script.frames.sendall(answer)

    script.control.sendall(NUMBER.pack(4711))
    peer = threading.Thread(target=play)
    peer.start()
    tracemalloc.start()
    try:
        received = await ComputeProcess(script, "test").ask(IpcKind.TASK, request)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        peer.join()

    assert received == answer
    assert peak < len(answer) + 4 * MIB


# The fork server


@pytest.fixture
def server() -> Iterator[ForkServer]:
    """A fork server that a test may kill."""
    with closing(ForkServer(process_main.__name__)) as server:
        yield server


@pytest.mark.slow
@linux
async def test_compute_processes_are_forks_of_one_process_in_a_session_of_its_own(
    server: ForkServer,
) -> None:
    first, second = ComputeProcess(server, "test"), ComputeProcess(server, "test")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.ask, IpcKind.TASK, QUICK)
        tasks.start_soon(second.ask, IpcKind.TASK, QUICK)

    pids = {pid_of(first), pid_of(second)}
    (server_pid,) = {parent(pid) for pid in pids}
    assert len(pids) == 2
    assert parent(server_pid) == os.getpid()
    assert {os.getsid(pid) for pid in pids} == {os.getsid(server_pid)} == {server_pid}
    await first.close()
    await second.close()


@pytest.mark.slow
@linux
async def test_compute_processes_end_with_their_fork_server_and_the_next_has_a_new_one(
    server: ForkServer,
) -> None:
    mine = ComputeProcess(server, "test")
    await mine.ask(IpcKind.TASK, QUICK)
    pid = pid_of(mine)
    server_pid = parent(pid)

    with fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_when_busy, pid, server_pid)
            with pytest.raises(ProcessDiedError, match="starts compute processes has ended"):
                await mine.ask(IpcKind.TASK, LONG)
        await gone(pid, server_pid)

    assert await mine.ask(IpcKind.TASK, QUICK)
    assert parent(pid_of(mine)) != server_pid
    await mine.close()


SERVICE = """
import anyio, contextlib, sys
from cwt_schemas.errors import ContractError
from cwt_compute import process_main
from cwt_compute.processes import ComputeProcess, ForkServer, IpcKind

async def main():
    mine = ComputeProcess(ForkServer(process_main.__name__), "test")
    with contextlib.suppress(ContractError):
        await mine.ask(IpcKind.TASK, b"")
    print(mine.pid, flush=True)
    await mine.ask(IpcKind.TASK, sys.stdin.buffer.read())

anyio.run(main)
"""


@pytest.mark.slow
@linux
async def test_a_killed_service_takes_its_compute_process_and_its_fork_server_with_it() -> None:
    async with await anyio.open_process(
        [sys.executable, "-c", SERVICE], stderr=subprocess.DEVNULL
    ) as service:
        assert service.stdout is not None
        assert service.stdin is not None
        pid = int(await service.stdout.receive())
        server_pid = parent(pid)
        await service.stdin.send(LONG)
        await service.stdin.aclose()
        await busy(pid)

        service.kill()

        with fail_after(20):
            await gone(pid, server_pid)


@pytest.mark.slow
def test_a_new_compute_process_imports_nothing() -> None:
    """Each took a second of processor time for parts of SciPy that its first task needed."""
    program = """
import sys
from cwt_compute.process_main import answer_message, warm_up
from cwt_compute.processes.ipc import IpcMessage, IpcKind
body = sys.stdin.buffer.read()
warm_up()
before = set(sys.modules)
assert answer_message(IpcMessage(IpcKind.TASK, body), "test").kind is IpcKind.DONE
print(*set(sys.modules) - before)
"""
    simulation = SignificanceTask(
        type="significance", al1=0.5, al2=0.5, dt=1.0, dj=0.5, s0=2.0, J=4, mc_count=2
    )

    done = subprocess.run(
        [sys.executable, "-c", program], input=task(simulation), capture_output=True, check=True
    )

    assert done.stdout.decode().split() == []


@pytest.mark.slow
async def test_a_share_is_computed_by_a_worker_that_has_time_and_refused_by_one_that_has_none() -> (
    None
):
    pool = ProcessPool(FORK_SERVER, "test", 1)
    request = request_of(plan(Morlet(6)).tasks()[0])
    handle = simulate_endpoint(pool).handle
    try:
        assert await handle(request) == answer_simulate(request)
        async with pool.process():
            with pytest.raises(Overloaded):
                await handle(request)
        assert await handle(request) == answer_simulate(request)
    finally:
        await pool.close()


def test_invalid_share_is_refused_for_its_rows() -> None:
    request = request_of(plan(Morlet(6)).tasks()[0])
    rows = request.rows.model_copy(update={"wavelet": "paul", "param": 4.5})
    body = encode(request.model_copy(update={"rows": rows}), PACKED)

    answer = answer_message(IpcMessage(IpcKind.SHARE, body), "test")

    assert "rows" in decode(ErrorBody, answer.body, PACKED).error.message
    assert decode(SimulateRequest, body, PACKED).rows.param == 4.5
