"""Shares of the signal log, where the log itself is at fault."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from cwt_ingest.log_shares import LogShares
from cwt_ingest.member import this_process
from cwt_ingest.membership import Membership
from cwt_runtime.bus.errors import NotStoredError
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from tests.deadlines import fail_after
from tests.memory_bus.log import MemoryLog

pytestmark = pytest.mark.anyio

MIB = 1024**2


class UnwritableLog(MemoryLog):
    """Refuses the first removals, as the server does after a full disk."""

    refusals = 3

    def __init__(self) -> None:
        super().__init__()
        self.removed = anyio.Event()

    async def purge(self, *given: Any, **options: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NotStoredError("no space left on device")
        await super().purge(*given, **options)
        self.removed.set()


async def test_ingest_outlives_a_log_that_cannot_be_written() -> None:
    log = UnwritableLog()
    await log.declare(system_topology(StorageSettings(signals_max_bytes=MIB)))
    checkpoints = await log.bucket(storage.KV_CHECKPOINTS)
    shares = LogShares(
        log,
        Membership(checkpoints, this_process("me"), logger("test")),
        frozenset,
        await log.bucket(storage.KV_STREAMS),
        checkpoints,
        logger("test"),
        share=0.25,
        defined_only=False,
        look_s=0.001,
    )
    await log.store(subjects.signal("undefined"), b"x" * (MIB - 1000), msg_id="1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shares.run)
        with fail_after(10):
            await log.removed.wait()
        tasks.cancel_scope.cancel()
    assert log.refusals == 0
