"""A chunk that kills ingest with SIGKILL, in a stream that continues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np
import pytest

from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.process.orphan_guard import guarded
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.checkpoint import StreamCheckpoint
from cwt_schemas.chunk_codec import encode_raw_chunk
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.live import SignalChunk, StreamEvent
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.deadly_ingest import DEADLY_FIRST
from tests.system.scenario import STREAM, definition, written

pytestmark = [pytest.mark.anyio, pytest.mark.system]

LENGTH = 100
END = 2000


def start_ingest(url: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            guarded([sys.executable, "-m", "tests.system.deadly_ingest"]),
            stdout=output,
            stderr=output,
            env={**os.environ, "CWT_NATS_URL": url},
        )


async def publish_chunks(bus: Bus, firsts: range) -> None:
    for first in firsts:
        samples = np.sin(np.arange(2 * LENGTH, dtype=np.float64)).reshape(LENGTH, 2)
        chunk = SignalChunk(epoch="e", first_sample=first, samples=samples)
        headers, body = encode_raw_chunk(chunk)
        await bus.log.store(
            subjects.signal(STREAM), body, msg_id=f"{STREAM}/{first}", headers=headers
        )


async def test_chunk_that_kills_ingest_is_skipped_and_stream_continues(tmp_path: Path) -> None:
    """Each process that took the stream over read the chunk again, and died of it."""
    log = tmp_path / "ingest.log"
    async with (
        start_server(tmp_path / "nats") as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        process = start_ingest(server.url, log)
        try:
            with fail_after(120):
                await written(log, '"ready"')
                client = Client(bus)
                await client.put_stream(definition())
                await publish_chunks(bus, range(0, END, LENGTH))
                for _ in range(3):
                    assert await anyio.to_thread.run_sync(process.wait) == -signal.SIGKILL
                    process = start_ingest(server.url, log)
                event = await rejected(bus)
                assert event.id == f"{STREAM}/{1 + DEADLY_FIRST // LENGTH}/rejected"
                await publish_chunks(bus, range(END, END + LENGTH, LENGTH))
                await taken(bus, END // LENGTH + 1)
        finally:
            process.kill()
            process.wait()


async def taken(bus: Bus, seq: int) -> None:
    """Return when a checkpoint says that message `seq` of the log was taken."""
    bucket = await bus.log.bucket(storage.KV_CHECKPOINTS)
    async with bucket.watch(f"stream.{STREAM}") as changes:
        async for change in changes:
            if change.value and decode(StreamCheckpoint, change.value).last_seq >= seq:
                return


async def rejected(bus: Bus) -> StreamEvent:
    async with bus.log.replay(storage.RESULTS, (subjects.event(STREAM),)) as messages:
        async for stored in messages:
            event = decode(StreamEvent, stored.message.data, ContentType.MSGPACK)
            if event.kind == "rejected":
                return event
    raise AssertionError
