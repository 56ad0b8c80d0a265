"""The caller that an endpoint sees: the connection, on a real server."""

from __future__ import annotations

import orjson
import pytest

from cwt_runtime.bus import Bus
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.rpc.context import request_context
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.telemetry.logs import logger
from cwt_schemas.endpoints import Endpoint as Contract
from cwt_schemas.message import Message as Model

pytestmark = pytest.mark.anyio

LOG = logger("test")


class Nothing(Model):
    """A question without content."""


class Told(Model):
    """Who asked."""

    client_id: str


async def tell(request: Nothing) -> Told:
    del request
    return Told(client_id=request_context().client_id)


async def asked(bus: Bus) -> str:
    answer = await bus.request("test.who", b"{}", timeout_s=5)
    return str(orjson.loads(answer.data)["client_id"])


async def test_one_connection_is_one_client_and_another_is_another(nats_url: str) -> None:
    contract = Contract(subject="test.who", request=Nothing, reply=Told)
    identity = Identity(name="t", id="t-1", version="1.0.0", description="")
    async with (
        connect_bus(nats_url, name="service", log=LOG) as service,
        connect_bus(nats_url, name="one", log=LOG) as one,
        connect_bus(nats_url, name="other", log=LOG) as other,
        serve_endpoints(service, identity, [Endpoint(contract=contract, handle=tell)], LOG),
    ):
        first, second, third = await asked(one), await asked(one), await asked(other)
    assert first == second
    assert third not in {first, ""}
    assert request_context().client_id == ""
