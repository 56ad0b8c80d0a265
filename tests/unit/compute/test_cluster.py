"""A simulation over all workers gives the same numbers for any assignment and any failure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.to_thread
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import pycwt_mod
from cwt_compute.cluster import ClusterBackend
from cwt_compute.cluster.shares import (
    Ledger,
    answer_simulate,
    histograms_of,
    request_of,
    shares_of,
)
from cwt_runtime.bus import Bus
from cwt_runtime.rpc.context import service_context
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError, Overloaded, Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.simulation import SimulateRequest
from pycwt_mod.significance import MonteCarloLevels, MonteCarloPlan
from pycwt_mod.significance.surrogates import run_task
from pycwt_mod.wavelets import DOG, Morlet, Paul, Wavelet
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus

PACKED = {CONTENT_TYPE: ContentType.MSGPACK.value}


def plan(
    wavelet: Wavelet, *, J: int = 16, mc_count: int = 40, n: int | None = None
) -> MonteCarloPlan:
    return MonteCarloPlan(
        al1=0.5, al2=0.3, dj=0.25, s0=2.0, J=J, wavelet=wavelet, mc_count=mc_count,
        convention="standard", entropy=2**100 + 7, n=n,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("wavelet", [Morlet(6), Paul(4), DOG(2), DOG(6)])
@pytest.mark.parametrize("encoding", [ContentType.MSGPACK, ContentType.JSON])
@pytest.mark.parametrize("n", [None, 60])
def test_remote_share_equals_local_share(
    wavelet: Wavelet, encoding: ContentType, n: int | None
) -> None:
    tasks = [task for octave in plan(wavelet, mc_count=20, n=n).tasks() for task in octave]
    shares = shares_of(tasks)

    found: list[NDArray[np.int64]] = []
    for share in shares:
        request = decode(SimulateRequest, encode(request_of(share), encoding), encoding)
        reply = answer_simulate(request)
        again = decode(type(reply), encode(reply, encoding), encoding)
        found.extend(histograms_of(again, share))

    assert [task for share in shares for task in share] == tasks
    for histogram, task in zip(found, tasks, strict=True):
        np.testing.assert_array_equal(histogram, run_task(task))


def test_a_wavelet_that_has_no_name_is_refused_rather_than_replaced() -> None:
    special = Morlet(6, given_deltaj0=0.5)
    with pytest.raises(ValueError, match="morlet"):
        request_of(plan(special).tasks()[0][:1])


def test_a_worker_with_another_version_of_the_algorithm_refuses() -> None:
    request = request_of(plan(Morlet(6)).tasks()[0])
    with pytest.raises(Unprocessable, match="algorithm"):
        answer_simulate(request.model_copy(update={"algorithm": 999}))


@given(data=st.data(), count=st.integers(1, 12))
def test_every_share_gets_its_result_whatever_others_do_with_theirs(
    data: st.DataObject, count: int
) -> None:
    """Other workers reply, decline, or never reply; the coordinator continues."""
    ledger = Ledger[int](count)
    out: list[int] = []
    for _ in range(data.draw(st.integers(0, 40))):
        event = data.draw(st.sampled_from(["take", "answer", "return", "own"]))
        if event == "take" and (share := ledger.take_for_other()) is not None:
            out.append(share)
        elif event == "own" and (share := ledger.take_for_self()) is not None:
            ledger.arrived(share, share)
        elif out and event in {"answer", "return"}:
            share = out.pop(data.draw(st.integers(0, len(out) - 1)))
            if event == "answer":
                ledger.arrived(share, share)
            else:
                ledger.release(share)
    while (share := ledger.take_for_self()) is not None:
        ledger.arrived(share, share)

    assert ledger.results() == tuple(range(count))


async def serve(bus: Bus, behaviour: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Another worker: good, busy, dead in mid-share, or of another version."""
    async with bus.subscribe(subjects.query("simulate"), "q") as questions:
        task_status.started()
        async for question in questions:
            if behaviour == "dead":
                continue
            try:
                if behaviour == "busy":
                    raise Overloaded("no time")
                if behaviour == "strange":
                    raise Unprocessable.of({"algorithm": "another version"})
                request = decode(SimulateRequest, question.data, ContentType.MSGPACK)
                reply = await anyio.to_thread.run_sync(answer_simulate, request)
                body, headers = encode(reply, ContentType.MSGPACK), PACKED
            except ContractError as error:
                body, headers = (
                    encode(error.body(), ContentType.MSGPACK),
                    PACKED | error.headers(),
                )
            await bus.publish(question.reply or "", body, headers)


@asynccontextmanager
async def workers(*behaviours: str) -> AsyncIterator[None]:
    bus = MemoryBus()
    async with anyio.create_task_group() as tasks:
        for behaviour in behaviours:
            await tasks.start(partial(serve, bus, behaviour))
        with service_context(bus):
            yield
        tasks.cancel_scope.cancel()


def levels(backend: str) -> MonteCarloLevels:
    return pycwt_mod.wct_significance(
        0.6, 0.2, 1.0, 0.25, 2.0, 20, mc_count=60, rng=7, backend=backend
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    "behaviours",
    [
        (),
        ("good",),
        ("good", "good", "good"),
        ("busy", "good"),
        ("dead", "good"),
        ("dead", "busy", "strange"),
    ],
    ids=lambda behaviours: "+".join(behaviours) or "nobody",
)
async def test_cluster_threshold_equals_sequential_threshold(behaviours: tuple[str, ...]) -> None:
    with fail_after(60):
        async with workers(*behaviours):
            found = await anyio.to_thread.run_sync(levels, "cluster")

    expected = levels("sequential")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found.standard_error, expected.standard_error)


def test_outside_of_a_service_the_cluster_is_listed_as_not_available() -> None:
    (info,) = [each for each in pycwt_mod.list_backends() if each.name == "cluster"]

    assert (info.available, info.type) == (False, "cluster")
    with pytest.raises(ValueError, match="compute worker"):
        levels("cluster")


@pytest.mark.anyio
async def test_cluster_backend_refuses_to_run_functions() -> None:
    async with workers():
        with pytest.raises(ValueError, match="simulations"):
            ClusterBackend().map(abs, [1])
