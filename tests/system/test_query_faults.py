"""Queries without a worker, and more concurrent queries than allowed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import ContractError, ErrorCode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.query import WctRequest
from pycwt_client import Client
from tests.deadlines import SCALE, fail_after
from tests.system.conftest import RunningSystem, running_system

pytestmark = [pytest.mark.anyio, pytest.mark.system]

MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}
X, Y = np.random.default_rng(3).standard_normal((2, 2000))
MIB = 1024**2


def quiet(system: RunningSystem) -> bool:
    """Whether no worker complained of anything."""
    workers = [name for name in system.processes if name.startswith("compute")]
    return not [
        record for name in workers for record in system.log(name)
        if record["level"] not in {"info", "debug"}
    ]  # fmt: skip


async def test_client_that_leaves_before_reply_affects_no_other(system: RunningSystem) -> None:
    body = encode(WctRequest(signal1=X, signal2=Y, dt=1, mc_count=300), ContentType.MSGPACK)
    for _ in range(10):
        async with connect_bus(system.url, name="gone", log=logger("test")) as bus:
            await bus.publish(subjects.query("wct"), body, MSGPACK, reply="_INBOX.nobody.left")
    client = Client(system.bus)
    with fail_after(60):
        assert (await client.wct(X, Y, 1.0, 0.25, mc_count=5)).coherence.shape[1] == len(X)
        assert (await client.health()).status == "ok"
    assert quiet(system)


async def test_what_is_too_much_is_refused_with_a_time_and_nothing_else_fails(
    tmp_path: Path,
) -> None:
    outcomes: list[str] = []
    waits: list[float] = []
    refused = anyio.Event()

    async def ask(client: Client, seed: int) -> None:
        try:
            await client.wct(X, Y, 1.0, 0.25, mc_count=3000, seed=seed, timeout_s=90 * SCALE)
            outcomes.append("answered")
        except ContractError as error:
            outcomes.append(error.code)
            waits.append(float(str((error.detail or {})["retry_after_s"])))
            refused.set()

    backlog = {"CWT_QUERY_BACKLOG_S": "5"}
    async with running_system(tmp_path, workers=1, environment=backlog) as system:
        client = Client(system.bus)
        async with anyio.create_task_group() as tasks:
            for seed in range(30):
                tasks.start_soon(ask, client, seed)
            with fail_after(60):
                await refused.wait()
            assert (await client.health()).status == "ok"
            assert (await client.cwt(X, 1.0, 0.25)).coefs.size
            assert len(outcomes) < 30, "the quick ones waited for all others"
        assert set(outcomes) == {"answered", ErrorCode.OVERLOADED}
        assert min(waits) > 0
        assert (await client.wct(X, Y, 1.0, 0.25, mc_count=5)).coherence.size
        assert quiet(system)


async def test_full_storage_refuses_large_replies_with_advice_and_leaves_small_ones_alone(
    tmp_path: Path,
) -> None:
    small = {"CWT_REPLIES_MAX_BYTES": str(2 * MIB), "CWT_ANSWERS_MAX_BYTES": str(MIB)}
    long = np.random.default_rng(1).standard_normal(40_000)
    async with running_system(tmp_path, workers=1, environment=small) as system:
        client = Client(system.bus)
        for _ in range(2):
            with pytest.raises(ContractError, match="float32") as caught:
                await client.cwt(long, 1.0, 0.25)
            assert caught.value.code is ErrorCode.UNAVAILABLE
        ask: Any = partial(client.wct, X, Y, 1.0, mc_count=2000, seed=1, J=40)
        first, again = await ask(), await ask()
        np.testing.assert_array_equal(first.signif, again.signif)
        state = await system.bus.log.objects(storage.REPLIES)
        assert await state.get("anything") is None


async def test_reply_above_limit_is_refused_in_json_and_stored_in_msgpack(
    system: RunningSystem,
) -> None:
    long = np.random.default_rng(1).standard_normal(40_000)
    client = Client(system.bus)
    found = await client.cwt(long, 1.0, 0.25)
    assert found.coefs.nbytes > system.bus.max_message_bytes
    body = b'{"dt": 1, "dj": 0.05, "data": [%s]}' % b",".join(b"%.3f" % v for v in long)
    reply = await system.bus.request(subjects.query("cwt"), body, timeout_s=60)
    assert b"payload_too_large" in reply.data
    assert quiet(system)
