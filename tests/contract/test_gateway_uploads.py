"""Uploads through several gateways of one system, over both buses and with the real ingest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import httpx
import pytest

from cwt_gateway.uploads import Uploads
from cwt_runtime.bus import Bus
from cwt_schemas import storage
from cwt_schemas.chunk_codec import decode_chunk
from tests.contract.test_services import running
from tests.deadlines import fail_after
from tests.unit.gateway.conftest import gateway

pytestmark = pytest.mark.anyio

STREAM = "/api/v1/streams/icu"
SLOW, OTHER = (b"# fs_hz=100\na,b\n" + b"1,2\n2,1\n" * n for n in (2000, 1000))


class ObservedUploads(Uploads):
    """Uploads that report when publishing to a stream has ended for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = anyio.Event()

    @contextmanager
    def publishing(self, stream: str, epoch: str) -> Iterator[None]:
        with super().publishing(stream, epoch):
            yield
        self.stopped.set()


async def upload(http: httpx.AsyncClient, body: bytes, *, speed: float = 0.0) -> httpx.Response:
    parameters = {"filename": "icu.csv", "speed": str(speed)}
    return await http.post(f"{STREAM}/recording", content=body, params=parameters)


async def test_deleting_a_stream_stops_an_upload_to_it_in_another_gateway(system_bus: Bus) -> None:
    uploads = ObservedUploads()
    async with (
        running(system_bus, "ingest"),
        gateway(system_bus, uploads=uploads) as one,
        gateway(system_bus) as another,
    ):
        with fail_after(30):
            slow = await upload(one, SLOW, speed=0.001)
            assert slow.status_code == 202, slow.text
            assert (await upload(one, OTHER)).status_code == 409
            assert (await another.delete(STREAM)).status_code == 200
            await uploads.stopped.wait()
            other = await upload(one, OTHER)
        assert other.status_code == 202, other.text
        await ended_by(system_bus, other.json()["epoch"])


async def ended_by(bus: Bus, epoch: str) -> None:
    """Return when the end of a recording is in the log; no other one has its end there."""
    with fail_after(30):
        async with bus.log.replay(storage.SIGNALS, ("cwt.signal.icu",)) as stored:
            async for each in stored:
                chunk = decode_chunk(each.message.headers, each.message.data, 2)
                if chunk.final:
                    assert chunk.epoch == epoch
                    return
