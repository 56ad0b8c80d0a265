"""`watch --json` prints new results of the chosen channels, and markers."""

from __future__ import annotations

import anyio
import orjson
import pytest

from cwt_cli.watch import print_estimates, print_messages
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.marker import Marker
from pycwt_client import Client
from tests.contract.test_estimates import estimate, send
from tests.memory_bus import MemoryBus
from tests.unit.client.blocks import block

MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}


@pytest.mark.anyio
async def test_only_results_of_the_chosen_channels_are_printed(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """The option --channels was checked, and results of all channels were printed."""
    bus = MemoryBus()
    await bus.log.declare(system_topology(StorageSettings()))
    pair = block(0, 0)
    other = block(0, 0, spec_hash="1" * 16)
    single = other.model_copy(update={"id": "single", "channels": ("x",)})
    marker = Marker(stream="s", epoch="e", first_sample=1, text="on")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(print_messages, Client(bus), "s", None, ("x", "y"))
        await anyio.wait_all_tasks_blocked()
        for message in (single, pair):
            body = encode(message, ContentType.MSGPACK)
            await bus.log.store(subjects.result("s", "a"), body, msg_id=message.id, headers=MSGPACK)
        body = encode(marker, ContentType.MSGPACK)
        await bus.log.store(subjects.marker("s"), body, msg_id=marker.id, headers=MSGPACK)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    printed = [orjson.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert {each.get("id") or each["text"] for each in printed} == {pair.id, "on"}


@pytest.mark.anyio
async def test_estimates_of_an_analysis_are_printed_one_per_line(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    bus = MemoryBus()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(print_estimates, Client(bus), "s", "a")
        await anyio.wait_all_tasks_blocked()
        for each in (estimate(19), estimate(29, analysis="b"), estimate(39)):
            await send(bus, each)
            await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    printed = [orjson.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [each["newest_sample"] for each in printed] == [19, 39]
    assert printed[0]["phase"] == [[1.0, 1.0]]
