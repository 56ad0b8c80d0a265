"""The guard of the signal log: the count of undefined chunks, and a log that cannot be written."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from cwt_ingest.member import this_process
from cwt_ingest.membership import Membership
from cwt_ingest.signal_log import (
    MAX_REPORTED,
    NAMELESS,
    SignalLogGuard,
    new_undefined_chunks,
)
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


def test_only_new_chunks_of_undefined_streams_are_counted() -> None:
    before = {"cwt.signal.known": 3, "cwt.signal.stray": 2, "cwt.signal.aged": 9}
    now = {"cwt.signal.known": 9, "cwt.signal.stray": 4, "cwt.signal.aged": 5, "cwt.signal.a.b": 1}
    assert new_undefined_chunks(before, now, frozenset({"known"})) == {"stray": 2, NAMELESS: 1}


def test_a_client_that_invents_names_causes_a_limited_number_of_events() -> None:
    now = {f"cwt.signal.s{i}": 1 for i in range(5000)}
    assert len(new_undefined_chunks({}, now, frozenset())) == MAX_REPORTED


async def test_ingest_survives_unwritable_log() -> None:
    log = UnwritableLog()
    await log.declare(system_topology(StorageSettings(signals_max_bytes=MIB)))
    checkpoints = await log.bucket(storage.KV_CHECKPOINTS)
    guard = SignalLogGuard(
        log,
        Membership(checkpoints, this_process("me"), logger("test")),
        frozenset,
        await log.bucket(storage.KV_STREAMS),
        checkpoints,
        logger("test"),
        share=0.25,
        defined_only=False,
        check_s=0.001,
    )
    await log.store(subjects.signal("undefined"), b"x" * (MIB - 1000), msg_id="1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(guard.run)
        with fail_after(10):
            await log.removed.wait()
        tasks.cancel_scope.cancel()
    assert log.refusals == 0
