"""Processes that compute beside a service: answers, refusals, deaths, and the end of what is not
wanted any more."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycwt_mod.wavelets import Morlet
from schemas.codec import ContentType, decode, encode
from schemas.errors import ErrorBody, Overloaded
from schemas.job import CwtTask, JobOutcome, SignificanceTask
from schemas.simulation import SimulateRequest
from schemas.work import JobWork, QueuedTask
from services.compute.calculator import Calculator, CalculatorDiedError, CalculatorPool
from services.compute.calculator.answers import answer_frame
from services.compute.calculator.frames import HEADER_BYTES, Frame, Kind, header_of, packed
from services.compute.cluster.endpoint import simulate_endpoint
from services.compute.cluster.shares import answer_simulate, request_of
from tests.deadlines import fail_after
from tests.unit.compute.test_cluster import plan

pytestmark = pytest.mark.anyio
PACKED = ContentType.MSGPACK


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
async def calculator() -> AsyncIterator[Calculator]:
    mine = Calculator("test")
    yield mine
    await mine.close()


def pid_of(calculator: Calculator) -> int:
    assert calculator.pid is not None
    return calculator.pid


@given(kind=st.sampled_from(Kind), body=st.binary())
def test_a_frame_gives_back_what_was_packed(kind: Kind, body: bytes) -> None:
    data = packed(Frame(kind, body))

    assert header_of(data[:HEADER_BYTES]) == (kind, len(data) - HEADER_BYTES)
    assert data[HEADER_BYTES:] == body


@given(kind=st.sampled_from([Kind.TASK, Kind.SHARE]), body=st.binary(max_size=200))
def test_whatever_is_asked_there_is_an_answer(kind: Kind, body: bytes) -> None:
    answer = answer_frame(Frame(kind, body), "test")

    assert answer.kind is Kind.REFUSED
    assert decode(ErrorBody, answer.body, PACKED).error.message


async def test_a_task_is_computed_in_a_process_of_low_priority(calculator: Calculator) -> None:
    answer = await calculator.ask(Kind.TASK, QUICK)

    outcome = decode(JobOutcome, answer.body, PACKED)
    assert (outcome.task_id, outcome.status, outcome.engine.worker) == ("3", "done", "test")
    assert os.getpriority(os.PRIO_PROCESS, pid_of(calculator)) > os.getpriority(
        os.PRIO_PROCESS, os.getpid()
    )


async def test_one_process_answers_one_question_after_the_other(calculator: Calculator) -> None:
    await calculator.ask(Kind.TASK, QUICK)
    first = pid_of(calculator)
    await calculator.ask(Kind.TASK, b"nothing that can be read")

    assert (await calculator.ask(Kind.TASK, QUICK)).kind is Kind.DONE
    assert pid_of(calculator) == first


async def test_a_process_that_dies_is_told_and_replaced(calculator: Calculator) -> None:
    await calculator.ask(Kind.TASK, QUICK)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill_soon, pid_of(calculator))
        with pytest.raises(CalculatorDiedError, match="signal 9"):
            await calculator.ask(Kind.TASK, LONG)

    assert (await calculator.ask(Kind.TASK, QUICK)).kind is Kind.DONE


async def kill_soon(pid: int) -> None:
    await anyio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


async def test_cancelling_ends_what_runs_at_once(calculator: Calculator) -> None:
    await calculator.ask(Kind.TASK, QUICK)
    pid = pid_of(calculator)

    with fail_after(20):
        with anyio.move_on_after(0.05):
            await calculator.ask(Kind.TASK, LONG)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_a_calculator_does_not_outlive_its_service() -> None:
    program = (
        "import anyio, sys\n"
        "from services.compute.calculator import Calculator\n"
        "from services.compute.calculator.frames import Kind\n"
        "async def main():\n"
        "    mine = Calculator('test')\n"
        "    await mine.ask(Kind.TASK, b'')\n"
        "    print(mine.pid, flush=True)\n"
        "    await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    async with await anyio.open_process([sys.executable, "-c", program]) as service:
        assert service.stdout is not None
        pid = int(await service.stdout.receive())
        service.kill()

    with fail_after(10):
        # Another process's child has no event to wait for.
        while Path(f"/proc/{pid}").exists() and not is_zombie(pid):  # noqa: ASYNC110, ASYNC240
            await anyio.sleep(0.01)


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def test_a_share_is_computed_by_a_worker_that_has_time_and_refused_by_one_that_has_none() -> (
    None
):
    pool = CalculatorPool("test", 1)
    request = request_of(plan(Morlet(6)).tasks()[0])
    handle = simulate_endpoint(pool).handle
    try:
        assert await handle(request) == answer_simulate(request)
        async with pool.calculator():
            with pytest.raises(Overloaded):
                await handle(request)
        assert await handle(request) == answer_simulate(request)
    finally:
        await pool.close()


def test_a_share_that_cannot_be_is_refused_for_its_rows() -> None:
    request = request_of(plan(Morlet(6)).tasks()[0])
    rows = request.rows.model_copy(update={"wavelet": "paul", "param": 4.5})
    body = encode(request.model_copy(update={"rows": rows}), PACKED)

    answer = answer_frame(Frame(Kind.SHARE, body), "test")

    assert "rows" in decode(ErrorBody, answer.body, PACKED).error.message
    assert decode(SimulateRequest, body, PACKED).rows.param == 4.5
