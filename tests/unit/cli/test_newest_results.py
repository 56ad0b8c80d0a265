"""`watch --once` shows the newest of its stream, however much others have stored since."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from rich.console import Console

from cwt_cli import newest_results
from cwt_cli.live_table import LiveTable
from cwt_cli.newest_results import feed_newest
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import AnalysisResult
from cwt_schemas.stream import StreamDefinition, StreamStatus
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.memory_bus.log import MemoryLog
from tests.unit.client.blocks import block

pytestmark = pytest.mark.anyio

NOW_NS = 1_000_000 * 10**9
DEFINITION = {
    "name": "s",
    "fs_hz": 20.0,
    "channels": [{"name": "x"}, {"name": "y"}],
    "analyses": [
        {
            "name": "a", "op": "wct", "pairs": [["x", "y"]], "quantity": "coherence",
            "voices_per_octave": 2, "fmin_hz": 3.0, "fmax_hz": 8.0, "hop_s": 1.0,
        }
    ],
}  # fmt: skip


async def stored(results: Iterable[tuple[float, AnalysisResult]]) -> Client:
    """Store each result at its time, in seconds from that of the stream's last chunk."""
    now_ns = [0]
    bus = MemoryBus(MemoryLog(lambda: now_ns[0]))
    await bus.log.declare(system_topology(StorageSettings()))
    for number, (time_s, result) in enumerate(results):
        now_ns[0] = NOW_NS + round(time_s * 1e9)
        times = result.times_ns.model_copy(update={"computed": now_ns[0]})
        body = encode(result.model_copy(update={"times_ns": times}), ContentType.MSGPACK)
        subject = subjects.result(result.stream, result.analysis)
        headers = {CONTENT_TYPE: ContentType.MSGPACK.value}
        await bus.log.store(subject, body, msg_id=str(number), headers=headers)
    return Client(bus)


async def table_of(client: Client) -> str:
    definition = StreamDefinition.model_validate(DEFINITION)
    status = StreamStatus(definition=definition, last_chunk_ns=NOW_NS)
    table = LiveTable()
    with fail_after(30):
        await feed_newest(client, status, table)
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as captured:
        console.print(table.table(NOW_NS / 1e9))
    return captured.get()


async def test_results_of_other_streams_do_not_hide_those_of_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The newest results of all streams together were looked at, 5,000 of them."""
    monkeypatch.setattr(newest_results, "QUIET_S", 0.05)
    own = [(-1.0, block(0, 0)), (-0.5, block(1, 0))]
    others = [(at / 10_000, block(0, 4 * at, stream="other")) for at in range(300)]
    table = await table_of(await stored([*own, *others]))
    assert "6 - 8" in table
    assert "3 - 4" in table


async def test_octaves_whose_results_are_rare_are_found_further_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(newest_results, "QUIET_S", 0.05)
    before = [(-40_000.0, block(1, 0, epoch="earlier")), (-900.0, block(1, 0))]
    recent = [(-1.0 + at / 100, block(0, 4 * at)) for at in range(20)]
    table = await table_of(await stored([*before, *recent]))
    assert "6 - 8" in table
    assert "3 - 4" in table


async def test_results_of_an_earlier_epoch_do_not_replace_those_of_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(newest_results, "QUIET_S", 0.05)
    results = [(-100.0, block(1, 0, epoch="earlier")), (-1.0, block(0, 0))]
    table = await table_of(await stored(results))
    assert table.count("x y") == 1
    assert "6 - 8" in table
