"""A change that cannot be recorded is not made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from cwt_ingest.catalogue import Catalogue, WindowLimits
from cwt_runtime.bus import Bus
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage
from cwt_schemas.errors import NotFound, Unavailable
from cwt_schemas.stream import StreamGet
from tests.contract.conftest import declared_bus, small_topology
from tests.contract.test_services import definition
from tests.servers import SharedServer

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "nats"])
async def unaudited(
    request: pytest.FixtureRequest, nats_shared: SharedServer
) -> AsyncIterator[Bus]:
    """A bus without the stream of the audit log."""
    topology = small_topology()
    streams = tuple(each for each in topology.streams if each.name != storage.AUDIT)
    async with declared_bus(request.param, nats_shared, replace(topology, streams=streams)) as bus:
        yield bus


async def test_a_stream_is_not_defined_where_the_audit_log_is_not_available(unaudited: Bus) -> None:
    definitions = await unaudited.log.bucket(storage.KV_STREAMS)
    checkpoints = await unaudited.log.bucket(storage.KV_CHECKPOINTS)
    limits = WindowLimits(max_message_bytes=unaudited.max_message_bytes, log_max_age_s=86_400.0)
    log = logger("ingest")
    catalogue = Catalogue(
        definitions, checkpoints, unaudited.log, log, limits=limits, max_streams=9
    )
    with pytest.raises(Unavailable, match="the audit log is not available"):
        await catalogue.put(definition("s"))
    with pytest.raises(NotFound):
        await catalogue.get(StreamGet(name="s"))
