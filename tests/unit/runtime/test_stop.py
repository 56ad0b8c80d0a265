"""Waits that end when the process is asked to stop."""

from __future__ import annotations

import anyio
import pytest

from services.runtime.process.stop import Stop
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio


async def test_a_wait_that_is_over_returns_its_value() -> None:
    async def seven() -> int:
        return 7

    assert await Stop().run_until_stopped(seven) == 7


async def test_stopping_ends_a_wait_under_way() -> None:
    stop, waiting = Stop(), anyio.Event()

    async def forever() -> int:
        waiting.set()
        await anyio.sleep_forever()
        return 1

    with fail_after(5):
        async with anyio.create_task_group() as tasks:

            async def client() -> None:
                assert await stop.run_until_stopped(forever) is None

            tasks.start_soon(client)
            await waiting.wait()
            stop.set()


async def test_after_stopping_nothing_is_begun() -> None:
    stop = Stop()
    stop.set()

    async def never() -> int:
        raise AssertionError

    assert await stop.run_until_stopped(never) is None
