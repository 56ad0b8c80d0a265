"""A recording is removed everywhere: nothing on the server has its name or its samples."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.lowlevel
import nats
import pytest
from nats.js import JetStreamContext

from cwt_ingest.purge import RecordingPurge
from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Conflict
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.marker import Marker
from cwt_schemas.message import DeadLetter
from cwt_schemas.stream import StreamPurge
from pycwt_client import Client
from tests.contract.test_services import definition, publish, running
from tests.deadlines import fail_after
from tests.servers import SharedServer

pytestmark = pytest.mark.anyio

MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}
#: Bytes that only one recording has: its samples are its own, and so is its name.
MARK = b"patient7"


def letter(stream: str, *, where: str = "cwt.window") -> DeadLetter:
    return DeadLetter(
        where="compute", subject=f"{where}.{stream}.a", reason="r", deliveries=1, t_ns=1,
        payload=MARK if stream == "patient7" else b"other", payload_bytes=8,
    )  # fmt: skip


async def recorded(client: Client, *names: str) -> None:
    """Define and publish streams, wait for all results, and leave a dead letter of each."""
    for name in names:
        await client.put_stream(definition(name))
        await publish(client, name)
        body = encode(letter(name), ContentType.MSGPACK)
        await client.bus.log.store(subjects.dead("compute"), body, msg_id=name, headers=MSGPACK)
        marker = Marker(stream=name, epoch="e", first_sample=5, text="eyes closed")
        body = encode(marker, ContentType.MSGPACK)
        await client.bus.log.store(subjects.marker(name), body, msg_id=marker.id, headers=MSGPACK)
    await client.bus.log.store(
        subjects.dead("compute"),
        encode(letter("night", where="cwt.task"), ContentType.MSGPACK),
        msg_id="task",
        headers=MSGPACK,
    )
    for name in names:
        async with client.results(name) as results:
            with fail_after(20):
                await anext(results)


async def everything(js: JetStreamContext) -> AsyncIterator[tuple[str, bytes]]:
    """Read every message of every stream on the server, buckets included."""
    for stream in await js.streams_info():
        for seq in range(max(stream.state.first_seq, 1), stream.state.last_seq + 1):
            try:
                message = await js.get_msg(str(stream.config.name), seq)
            except nats.js.errors.NotFoundError:
                continue
            headers = str(message.headers or {}).encode()
            yield str(message.subject), headers + (message.data or b"")


async def test_nothing_on_the_server_is_left_of_a_recording(nats_shared: SharedServer) -> None:
    async with (
        nats_shared.account() as url,
        connect_bus(url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(system_topology(StorageSettings()))
        client = Client(bus)
        async with running(bus, "ingest", "compute"):
            await recorded(client, "patient7", "other")
            answers = await bus.log.objects(storage.ANSWERS)
            await answers.put("Wct-1-abc", MARK)
            # Defined anew: the bucket keeps the version before.
            await client.put_stream(definition("patient7", hop_s=2.0))
            await client.delete_stream("patient7")
            removed = await client.purge_stream("patient7")
        raw = await nats.connect(url)
        try:
            found = [each async for each in everything(raw.jetstream())]
        finally:
            await raw.close()
    assert removed.chunks >= 20
    assert removed.results > 0
    assert removed.markers == 1
    assert removed.dead_letters == 1
    left = [subject for subject, data in found if MARK in subject.encode() + data]
    # Who defined and removed it; that is all.
    assert left == [subjects.audit("stream", "patient7")] * 4
    kinds = {subject.split(".")[1] for subject, _ in found if "other" in subject}
    assert {"signal", "result", "marker"} <= kinds
    assert sum(subject == "cwt.dead.compute" for subject, _ in found) == 2


async def test_cached_replies_stay_if_requested(system_bus: Bus) -> None:
    answers = await system_bus.log.objects(storage.ANSWERS)
    await answers.put("Wct-1-abc", MARK)
    async with running(system_bus, "ingest"):
        await Client(system_bus).purge_stream("s", cached_replies=False)
    assert await answers.get("Wct-1-abc") == MARK


async def test_a_stream_that_is_defined_is_not_purged(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with running(system_bus, "ingest"):
        await client.put_stream(definition("s"))
        with pytest.raises(Conflict, match="delete it first"):
            await client.purge_stream("s")
        await client.delete_stream("s")
        assert (await client.purge_stream("s")).chunks == 0


async def test_a_purged_stream_can_be_defined_and_recorded_again(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with running(system_bus, "ingest", "compute"):
        await recorded(client, "s")
        await client.delete_stream("s")
        await client.purge_stream("s")
        await client.put_stream(definition("s"))
        await publish(client, "s", epoch="again")
        async with client.results("s") as results:
            with fail_after(20):
                assert (await anext(results)).epoch == "again"


async def a_purge(bus: Bus, **options: float) -> RecordingPurge:
    log = bus.log
    definitions = await log.bucket(storage.KV_STREAMS)
    checkpoints = await log.bucket(storage.KV_CHECKPOINTS)
    return RecordingPurge(log, definitions, checkpoints, logger("test"), **options)


async def test_windows_that_no_worker_takes_are_removed_while_they_wait(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with running(system_bus, "ingest"):
        await client.put_stream(definition("s"))
        await publish(client, "s")
        with fail_after(20):
            while not (await client.get_stream("s")).windows:
                await anyio.lowlevel.checkpoint()
        await client.delete_stream("s")
        with fail_after(20):
            removed = await (await a_purge(system_bus, idle_s=0.2)).purge(StreamPurge(name="s"))
    assert removed.windows > 0
    assert not await system_bus.log.subject_counts(storage.WINDOWS, subjects.windows_of("s"))


async def test_a_purge_waits_for_a_worker_that_has_a_window(system_bus: Bus) -> None:
    """A worker that computes while the results are removed would store one more."""
    log = system_bus.log
    await log.store(subjects.window("s", "a"), b"w", msg_id="w")
    await log.store(subjects.result("s", "a"), b"r", msg_id="r")
    async with log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:
        delivery = await consumer.next()
        with pytest.raises(Conflict, match="1 windows of s are still being computed"):
            await (await a_purge(system_bus, patience_s=0.5)).purge(StreamPurge(name="s"))
        assert await log.subject_counts(storage.RESULTS, subjects.results_of("s"))
        await log.store(subjects.result("s", "a"), b"late", msg_id="late")
        await delivery.ack()
        with fail_after(20):
            removed = await (await a_purge(system_bus)).purge(StreamPurge(name="s"))
    assert removed.results == 2
    assert not await log.subject_counts(storage.RESULTS, subjects.results_of("s"))


async def test_a_device_that_still_sends_is_reported(system_bus: Bus) -> None:
    await system_bus.log.store(subjects.signal("s"), b"chunk", msg_id="1")
    purge = await a_purge(system_bus, patience_s=0.0)
    with fail_after(20), pytest.raises(Conflict, match="device still sends"):
        await purge.purge(StreamPurge(name="s"))
