"""Requests of clients to three services on one bus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import orjson
import pytest

from cwt_compute import app as compute
from cwt_compute.settings import ComputeSettings
from cwt_hwbridge import app as hwbridge
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_ingest import app as ingest
from cwt_ingest.liveness import assigned_instance
from cwt_ingest.membership import MembershipLostError, key_of
from cwt_ingest.settings import IngestSettings
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.lifecycle import Context, RestartNeededError, Stop
from cwt_runtime.rpc.micro import Identity
from cwt_runtime.telemetry.logs import Action, logger
from cwt_schemas import storage, subjects
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.errors import ContractError, ErrorCode
from cwt_schemas.headers import SERVICE_ERROR_CODE
from cwt_schemas.live import StreamEvent
from cwt_schemas.service import HealthReply, HealthRequest
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client import Client
from pycwt_mod import register_backend
from tests.backends import Gated
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

Serve = Callable[[Context, Any], Coroutine[Any, Any, None]]
SERVICES: dict[str, tuple[Serve, Any]] = {
    "ingest": (ingest.serve, IngestSettings()),
    "compute": (compute.serve, ComputeSettings()),
    "hwbridge": (hwbridge.serve, HwBridgeSettings()),
}
NUMBERS = count(1)


@asynccontextmanager
async def running(
    bus: Bus, *names: str, stop: Stop | None = None, restart: bool = True
) -> AsyncIterator[list[str]]:
    """Run services in this very process while the context is open; their instances' ids."""
    stop = stop or Stop()
    instances = [f"{name}-{next(NUMBERS)}" for name in names]
    async with anyio.create_task_group() as tasks:
        for name, instance in zip(names, instances, strict=True):
            serve, settings = SERVICES[name]
            identity = Identity(name=name, id=instance, version="0.0.1", description="")
            context = Context(bus=bus, identity=identity, log=logger(name), stop=stop)
            run = partial(_work, serve) if restart else serve
            tasks.start_soon(run, context, settings)
        for name in names:
            await answering(bus, name)
        yield instances
        stop.set()


async def _work(serve: Serve, context: Context, settings: Any) -> None:
    """Run a service, and start its work again where its process would.

    A busy machine may halt the tests for longer than an ingest may be silent. The error would end
    the fixtures, and a test that is cancelled does not say why.
    """
    while True:
        try:
            await serve(context, settings)
            return
        except* RestartNeededError as lost:
            context.log.warning(Action.START_RETRIED, detail=repr(lost.exceptions))


async def answering(bus: Bus, name: str) -> None:
    """Return when the service can be discovered."""
    with fail_after(10):
        while True:
            try:
                await bus.request(f"$SRV.PING.{name}", b"", timeout_s=1)
                return
            except BusError:
                await anyio.lowlevel.checkpoint()  # not there yet


@pytest.fixture
async def client(system_bus: Bus) -> AsyncIterator[Client]:
    """A client of all three services."""
    async with running(system_bus, *SERVICES):
        yield Client(system_bus)


def definition(name: str = "s", **changes: Any) -> StreamDefinition:
    spec: dict[str, Any] = {
        "name": "a", "op": "cwt", "channels": ["x"], "fmin_hz": 4, "fmax_hz": 16, "hop_s": 0.5,
        "quantity": "power", **changes,
    }  # fmt: skip
    return StreamDefinition(
        name=name,
        fs_hz=100,
        channels=(Channel(name="x"),),
        analyses=(AnalysisSpec.model_validate(spec),),
    )


async def ask(client: Client, subject: str, body: object = None) -> dict[str, Any]:
    """Ask as ``nats req`` does: JSON, no headers."""
    data = b"" if body is None else orjson.dumps(body)
    reply = await client.bus.request(subject, data, timeout_s=20)
    answer: dict[str, Any] = orjson.loads(reply.data)
    refused = isinstance(answer.get("error"), dict)
    assert refused == (SERVICE_ERROR_CODE in reply.headers)
    return answer


async def publish(client: Client, name: str, n: int = 1000, epoch: str = "e") -> None:
    async with client.publisher(name, epoch) as publisher:
        for first in range(0, n, 50):
            await publisher.publish(np.sin(np.arange(first, first + 50) * 0.5))


async def test_a_defined_stream_is_listed_described_and_deleted(client: Client) -> None:
    await client.put_stream(definition("one"))
    await client.put_stream(definition("two"))
    assert [s.definition.name for s in await client.list_streams()] == ["one", "two"]
    assert (await client.get_stream("one")).definition.same_as(definition("one"))
    await client.delete_stream("one")
    assert [s.definition.name for s in await client.list_streams()] == ["two"]
    with pytest.raises(ContractError) as caught:
        await client.get_stream("one")
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_analysis_that_cannot_run_live_is_refused_and_not_stored(client: Client) -> None:
    with pytest.raises(ContractError, match="bytes") as caught:
        await client.put_stream(definition(fmin_hz=0.0001))
    assert caught.value.code is ErrorCode.UNPROCESSABLE
    assert await client.list_streams() == ()


async def test_samples_become_results_and_the_status_counts_them(client: Client) -> None:
    await client.put_stream(definition())
    await publish(client, "s")
    async with client.results("s") as results:
        with fail_after(20):
            result = await anext(results)
    assert result.values.shape == (len(result.freqs_hz), result.t.n)
    status = await client.get_stream("s")
    assert status.chunks > 0
    assert status.epoch == "e"


async def test_coherences_of_several_channels_are_analysed_live(client: Client) -> None:
    common = {"fmin_hz": 4, "fmax_hz": 8, "hop_s": 1, "quantity": "coherence"}
    spec = {
        "name": "m",
        "fs_hz": 64,
        "channels": [{"name": name} for name in "xyz"],
        "analyses": [
            {"name": "left", "op": "pwct", "pairs": [["x", "y"]], "given": ["z"], **common},
            {"name": "all", "op": "mwct", "target": "x", "given": ["y", "z"], **common},
        ],
    }
    await client.put_stream(StreamDefinition.model_validate_json(orjson.dumps(spec)))
    samples = np.random.default_rng(1).standard_normal((1280, 3))
    samples[:, 2] += samples[:, 0]
    found = dict[str, float]()
    async with client.publisher("m", "e") as publisher, client.results("m") as results:
        await publisher.publish(samples)
        with fail_after(20):
            while len(found) < 2:
                result = await anext(results)
                assert result.channels == ("x", "y", "z")
                if result.mask is None:
                    found[result.analysis] = float(result.values.mean())
    assert found["left"] < 0.6
    assert found["all"] > found["left"]


async def test_publisher_is_notified_of_takeover_of_its_stream(client: Client) -> None:
    """The first reported everything as kept, while everything was refused."""
    await client.put_stream(definition().model_copy(update={"reorder_s": 0.0}))
    heard = anyio.Event(), anyio.Event()

    def hears(who: int) -> Callable[[StreamEvent], None]:
        return lambda event: heard[who].set() if event.kind == "rejected" else None

    async with (
        client.publisher("s", "a", on_event=hears(0)) as first,
        client.publisher("s", "b", on_event=hears(1)) as second,
    ):
        await first.publish(np.ones(50))
        await second.publish(np.ones(50))
        await first.publish(np.ones(50))
        with fail_after(20):
            for each in heard:
                await each.wait()
    assert "'a' has ended; the current one is 'b'" in first.refused[0].detail
    assert second.refused == ()
    (reset,) = [event for event in second.events if event.kind == "reset"]
    assert "another publisher" in reset.detail
    status = await client.get_stream("s")
    assert status.ended_epochs == ("a",)
    assert status.last_seq == first.last_seq


async def test_a_changed_definition_starts_afresh_and_the_same_one_does_not(
    client: Client,
) -> None:
    await client.put_stream(definition())
    await publish(client, "s")
    async with client.results("s") as results:
        with fail_after(20):
            await anext(results)
    assert (await client.put_stream(definition())).chunks > 0
    changed = await client.put_stream(definition(fmin_hz=5))
    assert (changed.chunks, changed.epoch) == (0, None)


async def test_definitions_outlive_the_service(system_bus: Bus) -> None:
    client = Client(system_bus)
    async with running(system_bus, "ingest"):
        await client.put_stream(definition())
    async with running(system_bus, "ingest"):
        assert (await client.get_stream("s")).definition.same_as(definition())


async def test_two_ingests_share_the_streams_and_one_goes_on_with_all(system_bus: Bus) -> None:
    client, stop = Client(system_bus), Stop()
    names = [f"s{i}" for i in range(6)]
    async with (
        running(system_bus, "ingest", stop=stop) as (first,),
        running(system_bus, "ingest") as (second,),
    ):
        for name in names:
            await client.put_stream(definition(name))
        await owned(client, {name: assigned_instance(name, (first, second)) for name in names})
        stop.set()
        await owned(client, dict.fromkeys(names, second))


async def owned(client: Client, wanted: Mapping[str, str | None]) -> None:
    with fail_after(20):
        while {s.definition.name: s.owner for s in await client.list_streams()} != wanted:
            await anyio.lowlevel.checkpoint()


async def test_ingest_declared_dead_fails(system_bus: Bus) -> None:
    bucket = await system_bus.log.bucket(storage.KV_CHECKPOINTS)
    lost = pytest.RaisesExc(MembershipLostError, match="dead")
    with fail_after(20), pytest.RaisesGroup(lost, flatten_subgroups=True):
        async with running(system_bus, "ingest", restart=False) as (instance,):
            await bucket.put(key_of(instance), b"")
            await anyio.sleep_forever()


async def test_ingest_declared_dead_restarts(system_bus: Bus) -> None:
    """The test that ran was cancelled, and neither its error nor its report said why."""
    bucket = await system_bus.log.bucket(storage.KV_CHECKPOINTS)
    async with running(system_bus, "ingest") as (instance,):
        await bucket.put(key_of(instance), b"")
        with fail_after(20):
            while (entry := await bucket.get(key_of(instance))) is None or not entry.value:
                await anyio.lowlevel.checkpoint()
        await answering(system_bus, "ingest")
        client = Client(system_bus)
        await client.put_stream(definition())
        await owned(client, {"s": instance})


async def test_plain_json_query_gets_numbers(client: Client) -> None:
    x = np.random.default_rng(0).standard_normal((2, 128)).tolist()
    answer = await ask(
        client,
        subjects.query("wct"),
        {"signal1": x[0], "signal2": x[1], "dt": 0.5, "mc_count": 10, "seed": 1},
    )
    assert np.shape(answer["WCT"]) == (len(answer["freqs"]), 128)
    assert (answer["backend_used"], answer["seed"]) == ("sequential", 1)
    transform = await ask(client, subjects.query("cwt"), {"data": x[0], "dt": 0.5})
    assert set(transform["wave"]) == {"re", "im"}
    cross = await ask(client, subjects.query("xwt"), {"signal1": x[0], "signal2": x[1], "dt": 0.5})
    assert np.shape(cross["phase"]) == np.shape(cross["xwt"]["re"])


@pytest.mark.parametrize(
    ("op", "body", "code", "words"),
    [
        ("wct", {"signal1": [1, 2], "signal2": [1], "dt": 1}, "unprocessable", "signal2"),
        ("wct", {"signal1": [1, 2], "signal2": [1, 2]}, "unprocessable", "dt"),
        ("cwt", {"data": [1, "two"], "dt": 1}, "unprocessable", "data"),
        ("cwt", {"data": [1, 2], "dt": -1}, "unprocessable", "dt"),
        ("cwt", {"data": [1, 2], "dt": 1, "colour": 3}, "unprocessable", "colour"),
        ("backend", {"name": "abacus"}, "not_found", "sequential"),
        ("cwt", {"data": [1.0] * 60_000, "dt": 1, "dj": 0.1}, "payload_too_large", "msgpack"),
    ],
)
async def test_invalid_request_error_names_field_and_remedy(
    client: Client, op: subjects.QueryOp, body: object, code: str, words: str
) -> None:
    error = (await ask(client, subjects.query(op), body))["error"]
    assert error["code"] == code
    assert words in error["message"]


async def test_backends_hardware_and_health_answer_an_empty_body(client: Client) -> None:
    backends = await ask(client, subjects.query("backends"))
    assert {"sequential", "joblib"} <= {each["name"] for each in backends["backends"]}
    assert (await ask(client, subjects.query("backend"), {"name": "joblib"}))["available"]
    hardware = await ask(client, subjects.query("hardware"))
    assert hardware["cpu"]["cores"] >= 1
    assert "port" in hardware["fpga"]["detail"]
    health = await client.ask(subjects.query("health"), HealthRequest(), HealthReply)
    assert (health.status, health.lag) == ("ok", 0)
    assert "devices" in await ask(client, subjects.HW_LIST)


async def test_chunk_on_subject_without_stream_is_reported(client: Client) -> None:
    await client.bus.log.store("cwt.signal.not.one", b"x", msg_id="x")
    async with client.events("nameless") as events:
        with fail_after(10):
            assert "name" in (await anext(events)).detail


async def test_a_query_under_way_does_not_hold_up_live_results(system_bus: Bus) -> None:
    client, backend = Client(system_bus), Gated()
    query = {"al1": 0, "al2": 0, "dt": 1, "dj": 1, "s0": 2, "J": 2, "backend": "gated"}
    with register_backend(backend):
        async with running(system_bus, *SERVICES), anyio.create_task_group() as tasks:
            try:
                tasks.start_soon(ask, client, subjects.query("significance"), query)
                assert await anyio.to_thread.run_sync(backend.begun.wait, 10)
                await client.put_stream(definition())
                await publish(client, "s")
                async with client.results("s") as results:
                    with fail_after(10):
                        assert (await anext(results)).analysis == "a"
            finally:
                backend.go.set()
