"""WebSockets of the gateway, and pages of the log, over both buses and with the real services."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import numpy as np
import pytest
from fastapi import FastAPI

import pycwt_mod
from cwt_gateway.app import make_app
from cwt_gateway.owned_streams import remove_orphans
from cwt_gateway.settings import GatewaySettings
from cwt_gateway.sockets import SEND_TIMEOUT_S
from cwt_runtime.analysis import plan_analysis
from cwt_runtime.bus import Bus
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode, encode_tree, validated
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import StreamEvent
from cwt_schemas.marker import Marker
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client
from tests.asgi_socket import AsgiSocket, open_socket
from tests.contract.test_estimates import estimate, send
from tests.contract.test_services import definition, publish, running
from tests.deadlines import SCALE, fail_after

pytestmark = pytest.mark.anyio

WCT = "/ws/stream/wct"
GATEWAY_ID = "gateway-1-0a1b2c3d"
X, Y = np.random.default_rng(3).standard_normal((2, 600))
STREAM = {"type": "config", "mode": "stream", "dt": 0.01, "fmin_hz": 4.0, "fmax_hz": 20.0}


@asynccontextmanager
async def gateway(bus: Bus, **settings: Any) -> AsyncIterator[FastAPI]:
    app = make_app(bus, GatewaySettings(**settings), log=logger("gateway"))
    app.state.gateway_id = GATEWAY_ID
    app.state.send_timeout_s = SEND_TIMEOUT_S * SCALE
    async with anyio.create_task_group() as background:
        app.state.background = background
        yield app
        background.cancel_scope.cancel()


@pytest.fixture
async def app(system_bus: Bus) -> AsyncIterator[FastAPI]:
    """A gateway, with ingest and a worker."""
    async with running(system_bus, "ingest", "compute"), gateway(system_bus) as app:
        yield app


@pytest.fixture
async def client(app: FastAPI) -> Client:
    """A client of the same bus."""
    found: Client = app.state.caller.client
    return found


def data(start: int = 0, stop: int = 600, **more: Any) -> dict[str, Any]:
    signals = {"signal1": X[start:stop].tolist(), "signal2": Y[start:stop].tolist()}
    return {"type": "data", **signals, **more}


async def configured(socket: AsgiSocket, config: dict[str, Any], **how: Any) -> dict[str, Any]:
    await socket.send(config, **how)
    return await socket.receive_of("ack")


# Coherence of what a client sends.


async def test_each_chunk_is_answered_with_its_coherence(app: FastAPI) -> None:
    expected = pycwt_mod.wct(X, Y, 1.0, 0.25, significance="table")
    async with open_socket(app, WCT) as socket:
        ack = await configured(socket, {"type": "config", "dt": 1.0})
        await socket.send(data(id=7))
        result = await socket.receive()
        assert (ack["config"]["mode"], ack["config"]["method"]) == ("chunk", "table")
        assert (result["type"], result["id"], result["backend_used"]) == ("result", 7, None)
        np.testing.assert_allclose(result["WCT"], expected.coherence, rtol=1e-9)
        await configured(socket, {"type": "config", "dt": 1.0}, packed=True)
        await socket.send({"type": "data", "signal1": X, "signal2": Y}, packed=True)
        np.testing.assert_allclose((await socket.receive())["WCT"], expected.coherence, rtol=1e-9)


WRONG_FRAMES: list[tuple[dict[str, Any] | str | bytes, str]] = [
    ("not JSON", "bad_request"),
    ('{"type": "data", "signal1": [NaN], "signal2": [1]}', "bad_request"),
    ("[" * 100_000, "bad_request"),
    (b"\xc1\xff", "bad_request"),
    (b"\x91" * 100_000, "bad_request"),
    ('"text"', "bad_request"),
    ("{}", "unprocessable"),
    ({"type": "other"}, "unprocessable"),
    ({"type": ["data"]}, "unprocessable"),
    ({"type": "config", "dt": "1"}, "unprocessable"),
    ({"type": "config", "dt": 1.0, "mode": "both"}, "unprocessable"),
    ({"type": "config", "mode": "stream", "dt": 1.0, "fmax_hz": 3.0}, "unprocessable"),
    ({"type": "data", "signal1": [1.0, 2.0], "signal2": [1.0]}, "unprocessable"),
    ({"type": "data", "signal1": ["1"], "signal2": [1.0]}, "unprocessable"),
    ({"type": "data", "signal1": [1.0], "signal2": [1.0], "id": [1]}, "unprocessable"),
    ({"type": "data", "signal1": [1.0], "signal2": [1.0], "more": 1}, "unprocessable"),
    ({"type": "end"}, "conflict"),
]


async def test_a_wrong_frame_is_answered_and_the_connection_stays(system_bus: Bus) -> None:
    async with gateway(system_bus) as app, open_socket(app, WCT) as socket:
        await configured(socket, {"type": "config", "dt": 1.0})
        for frame, code in WRONG_FRAMES:
            await socket.send(frame)
            error = await socket.receive()
            assert (error["type"], error["code"]) == ("error", code), (frame, error)
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


async def test_an_error_has_the_id_and_the_fields_of_its_message(app: FastAPI) -> None:
    async with open_socket(app, WCT) as socket:
        await socket.send(data(id="first"))
        assert (await socket.receive())["code"] == "conflict"
        await configured(socket, {"type": "config", "dt": 1.0})
        await socket.send({"type": "data", "signal1": [1.0, 2.0], "signal2": [1.0], "id": "b"})
        error = await socket.receive()
    assert (error["id"], list(error["fields"])) == ("b", ["signal2"])


async def test_pings_are_answered_while_a_computation_runs_and_then_no_more_is_read(
    system_bus: Bus,
) -> None:
    async with gateway(system_bus) as app, open_socket(app, WCT) as socket:
        async with system_bus.subscribe(subjects.query("wct")) as requests:
            await configured(socket, {"type": "config", "dt": 1.0})
            for number in range(4):
                await socket.send(data(stop=10, id=number))
            await socket.send({"type": "ping"})
            assert await socket.receive() == {"type": "pong"}
            with fail_after(5):
                first = await anext(aiter(requests))
            await socket.send(data(stop=10, id=4))
            await socket.send({"type": "ping"})
            with anyio.move_on_after(0.2):
                await socket.receive()
                pytest.fail("a frame was read behind those that wait")
        assert first.reply is not None
        await system_bus.publish(first.reply, b"")
        replies = [await socket.receive() for _ in range(6)]
    # Nobody serves the others.
    kinds = [reply["type"] for reply in replies]
    assert (kinds.count("result"), kinds.count("error"), kinds.count("pong")) == (1, 4, 1)
    assert [reply["id"] for reply in replies if "id" in reply] == [0, 1, 2, 3, 4]


async def test_a_socket_that_reads_no_more_ends_with_the_gateway(system_bus: Bus) -> None:
    async with (
        gateway(system_bus) as app,
        system_bus.subscribe(subjects.query("wct")),
        open_socket(app, WCT) as socket,
    ):
        await configured(socket, {"type": "config", "dt": 1.0})
        for _ in range(10):
            await socket.send(data(stop=10))
        app.state.stop.set()
        assert (await socket.closed())[0] == 1012


async def test_a_stream_gives_the_blocks_of_the_whole_signal_and_goes(
    app: FastAPI, client: Client
) -> None:
    blocks = []
    async with open_socket(app, WCT) as socket:
        ack = await configured(socket, STREAM)
        name = ack["stream"]
        assert name.startswith(f"ws-{GATEWAY_ID}-")
        assert ack["definition"]["name"] == name
        for start in range(0, 600, 50):
            await socket.send(data(start, start + 50))
        await socket.send({"type": "end"})
        while (message := await socket.receive())["type"] != "end":
            assert message["type"] == "result", message
            blocks.append(message["result"])
        await socket.send(data(0, 50))
        assert (await socket.receive())["code"] == "conflict"
    top = [each for each in blocks if each["octave"] == 0]
    last = max(top, key=lambda each: each["t"]["first_sample"])["t"]
    assert last["first_sample"] + last["step"] * last["n"] >= 600
    assert {each["octave"] for each in blocks} == {0, 1, 2}
    assert await client.list_streams() == ()
    with fail_after(20):  # ingest removes the data once nothing new is stored
        for stream in (storage.SIGNALS, storage.WINDOWS, storage.RESULTS):
            while await client.bus.log.subject_counts(stream, ">"):
                await anyio.lowlevel.checkpoint()


async def test_a_stream_whose_windows_were_dropped_and_reported_together_ends(
    system_bus: Bus,
) -> None:
    """Windows that have no result are counted by the events, not as one for each event."""
    async with (
        running(system_bus, "ingest"),
        gateway(system_bus) as app,
        open_socket(app, WCT) as socket,
    ):
        stream = StreamDefinition(**(await configured(socket, STREAM))["definition"])
        await socket.send(data())
        await socket.send({"type": "end"})
        layouts = plan_analysis(stream.analyses[0], stream.fs_hz).layouts
        tiles = sum(-(-600 // layout.tile) for layout in layouts)
        for number, count in enumerate((1, tiles - 1)):
            await store_event(system_bus, stream.name, number, kind="dropped", count=count)
            assert (await socket.receive_of("event"))["event"]["count"] == count
        assert await socket.receive() == {"type": "end"}


@pytest.mark.parametrize("mother", ["morlet", "paul", "dog"])
async def test_a_stream_has_a_band_that_its_wavelet_allows(app: FastAPI, mother: str) -> None:
    async with open_socket(app, WCT) as socket:
        await configured(socket, {"type": "config", "mode": "stream", "dt": 0.01, "mother": mother})


async def test_a_new_config_starts_afresh(app: FastAPI, client: Client) -> None:
    async with open_socket(app, WCT) as socket:
        first = await configured(socket, STREAM)
        await socket.send(data(0, 50))
        await socket.send({"type": "config", "mode": "stream"})
        assert (await socket.receive())["type"] == "error"
        second = await configured(socket, STREAM, packed=True)
        assert [each.definition.name for each in await client.list_streams()] == [second["stream"]]
        await socket.send({"type": "data", "signal1": X[:50], "signal2": Y[:50]}, packed=True)
        await socket.send({"type": "end"}, packed=True)
        result = await socket.receive_of("result")
        assert result["result"]["stream"] == second["stream"] != first["stream"]


# Streams that a gateway left behind.


async def test_what_a_dead_gateway_left_is_removed_and_that_of_others_stays(
    system_bus: Bus,
) -> None:
    alive = Identity(name="gateway", id="gateway-2-ffff", version="0.0.1", description="")
    client = Client(system_bus)
    names = ("ws-gateway-1-aaaa-01", "ws-gateway-2-ffff-02", "ws-mine", "other")
    async with (
        running(system_bus, "ingest"),
        serve_endpoints(system_bus, alive, (), logger("gateway")),
    ):
        for name in names:
            await client.put_stream(definition(name))
            await publish(client, name, 50)
        await store_event(system_bus, "ws-gateway-1-bbbb-03", 1)
        left_marker = subjects.marker("ws-gateway-1-cccc-04")
        await system_bus.log.store(left_marker, b"marker", msg_id="m")
        with fail_after(20):
            await remove_orphans(client, patience_s=0)
        left = {each.definition.name for each in await client.list_streams()}
        signals = await system_bus.log.subject_counts(storage.SIGNALS, subjects.SIGNALS)
        events = await system_bus.log.subject_counts(storage.RESULTS, subjects.EVENTS)
        markers = await system_bus.log.subject_counts(storage.RESULTS, subjects.MARKERS)
    assert left == set(names[1:])
    assert signals.keys() == {subjects.signal(name) for name in names[1:]}
    assert not any("bbbb" in subject for subject in events)
    assert not markers


# A live stream.


async def store_event(bus: Bus, stream: str, number: int, **more: Any) -> int:
    fields: dict[str, Any] = {"id": f"{stream}/{number}", "stream": stream, "kind": "gap"}
    event = StreamEvent(**{**fields, "t_ns": number, **more})
    ack = await bus.log.store(
        subjects.event(stream),
        encode(event, ContentType.MSGPACK),
        msg_id=f"{stream}/{number}/stored",
        headers={CONTENT_TYPE: ContentType.MSGPACK.value},
    )
    return ack.seq


@pytest.fixture
async def idle(system_bus: Bus) -> AsyncIterator[FastAPI]:
    """A gateway and ingest with the stream ``s``; nothing is computed."""
    async with running(system_bus, "ingest"), gateway(system_bus) as app:
        await Client(system_bus).put_stream(definition("s"))
        yield app


def live(app: FastAPI, query: str = "", **how: Any) -> Any:
    return open_socket(app, "/ws/streams/s", query=query, **how)


async def event_numbers(socket: AsgiSocket, count: int) -> list[int]:
    return [(await socket.receive_of("event"))["event"]["t_ns"] for _ in range(count)]


@pytest.mark.parametrize("form", ["json", "msgpack"])
async def test_results_come_as_they_are_stored(app: FastAPI, client: Client, form: str) -> None:
    await client.put_stream(definition("s"))
    async with live(app, f"format={form}&include=results") as socket:
        ack = await socket.receive()
        await publish(client, "s")
        async with client.results("s") as results:
            for _ in range(3):
                expected = await anext(results)
                message = await socket.receive()
                assert (message["type"], message["seq"]) == ("result", results.seq)
                assert message["result"]["id"] == expected.id
                np.testing.assert_allclose(message["result"]["values"], expected.values)
    assert (ack["type"], ack["next"]) == ("ack", 1)
    assert ack["status"]["definition"]["name"] == "s"


@pytest.mark.parametrize("form", ["json", "msgpack"])
async def test_results_of_all_pairs_have_a_type_of_their_own(
    app: FastAPI, client: Client, form: str
) -> None:
    axis = {"fmin_hz": 5, "fmax_hz": 10, "hop_s": 1}
    power = {"name": "power", "op": "cwt", "channels": ["x"], "quantity": "power", **axis}
    every = {"name": "all", "op": "wct", "pairs": "all", "quantity": "coherence", **axis}
    fields = {"name": "s", "fs_hz": 100, "channels": [{"name": name} for name in "xyz"]}
    stream = validated(StreamDefinition, fields | {"analyses": [power, every]})
    assert (await client.put_stream(stream)).results_bytes_per_s
    async with live(app, f"format={form}&include=results&analysis=all") as socket:
        await socket.receive()
        async with client.publisher("s", "e") as publisher:
            await publisher.publish(np.random.default_rng(1).standard_normal((400, 3)))
        async with client.pair_results("s", "all") as results, client.results("s") as others:
            expected = await anext(results)
            message = await socket.receive()
            assert (await anext(others)).analysis != "all"
    assert (message["type"], message["seq"]) == ("pairs", results.seq)
    np.testing.assert_array_equal(message["pairs"]["pairs"], [[0, 1], [0, 2], [1, 2]])
    np.testing.assert_allclose(message["pairs"]["values"], expected.values, rtol=1e-6)
    stored = await page(app, "s/results", analysis="all", limit=1)
    assert stored["items"][0]["result"]["schema"] == "result.pairs/1"


async def test_a_connection_resumes_where_the_last_one_ended(
    idle: FastAPI, system_bus: Bus
) -> None:
    for number in range(4):
        await store_event(system_bus, "s", number)
        await store_event(system_bus, "other", number)
    async with live(idle, "from=1") as socket:
        await socket.receive_of("ack")
        assert await event_numbers(socket, 2) == [0, 1]
    async with live(idle, "from=4") as socket:
        assert (await socket.receive_of("ack"))["next"] == 4
        assert await event_numbers(socket, 2) == [2, 3]
        await store_event(system_bus, "s", 4)
        assert await event_numbers(socket, 1) == [4]
    async with live(idle) as socket:
        assert (await socket.receive_of("ack"))["next"] == 10
        await store_event(system_bus, "s", 5)
        assert await event_numbers(socket, 1) == [5]


async def test_a_connection_starts_at_a_time_and_at_a_place_that_is_not_there_yet(
    idle: FastAPI, system_bus: Bus
) -> None:
    for number in range(3):
        await store_event(system_bus, "s", number)
    async with system_bus.log.read(storage.RESULTS, (subjects.EVENTS,)) as stored:
        times = [each.stored_ns async for each in stored]
    moment = np.datetime64(-(-times[2] // 1000), "us")
    async with live(idle, f"from={moment}%2B00:00") as socket:
        ack = await socket.receive_of("ack")
        # The last event may be of the same microsecond as the one before it.
        assert ack["next"] in {3, 4}
    async with live(idle, "from=5000") as socket:
        assert (await socket.receive_of("ack"))["next"] == 4
        await store_event(system_bus, "s", 3)
        assert await event_numbers(socket, 1) == [3]


async def test_a_message_that_was_stored_twice_comes_once(idle: FastAPI, system_bus: Bus) -> None:
    for number, name in enumerate(("a", "a", "b")):
        await store_event(system_bus, "s", number, id=name)
    await system_bus.log.store(subjects.event("s"), b"unreadable", msg_id="u")
    await store_event(system_bus, "s", 3)
    async with live(idle, "from=1") as socket:
        await socket.receive_of("ack")
        assert await event_numbers(socket, 3) == [0, 2, 3]


@pytest.mark.parametrize("count", [math.inf, "two", None])
async def test_an_event_that_counts_no_windows_is_left_out(
    idle: FastAPI, system_bus: Bus, count: object
) -> None:
    """It ended every connection that read it."""
    body = encode_tree({"id": "wrong", "kind": "dropped", "count": count})
    packed = {CONTENT_TYPE: ContentType.MSGPACK.value}
    await system_bus.log.store(subjects.event("s"), body, msg_id="wrong", headers=packed)
    await store_event(system_bus, "s", 1)
    async with live(idle, "from=1") as socket:
        await socket.receive_of("ack")
        assert await event_numbers(socket, 1) == [1]


async def test_markers_come_once_as_they_are_on_the_bus(idle: FastAPI, system_bus: Bus) -> None:
    client, packed = Client(system_bus), {CONTENT_TYPE: ContentType.MSGPACK.value}
    made = await client.mark("s", "on", t_ns=17, duration_s=0.5)
    body = encode(made, ContentType.MSGPACK)
    await system_bus.log.store(subjects.marker("s"), body, msg_id="later", headers=packed)
    forged = encode(Marker(stream="t", t_ns=1, text="forged"), ContentType.MSGPACK)
    await system_bus.log.store(subjects.marker("s"), forged, msg_id="forged", headers=packed)
    await client.mark("s", "off", t_ns=18)
    for form in ("json", "msgpack"):
        async with live(idle, f"from=1&format={form}") as socket:
            await socket.receive_of("ack")
            one, two = await socket.receive(), await socket.receive()
        assert (one["type"], one["seq"], two["seq"]) == ("marker", 1, 4)
        assert one["marker"] == made.model_dump(by_alias=True)
        assert two["marker"]["text"] == "off"
    async with live(idle, "from=1&include=events") as socket:
        await socket.receive_of("ack")
        await store_event(system_bus, "s", 5)
        assert (await socket.receive())["type"] == "event"


async def test_fields_that_the_gateway_does_not_know_are_passed_on(
    idle: FastAPI, system_bus: Bus
) -> None:
    body = b'{"id": "x", "kind": "flat", "of_tomorrow": 1}'
    await system_bus.log.store(subjects.event("s"), body, msg_id="x")
    for form in ("json", "msgpack"):
        async with live(idle, f"from=1&format={form}") as socket:
            await socket.receive_of("ack")
            event = (await socket.receive())["event"]
            assert event == {"id": "x", "kind": "flat", "of_tomorrow": 1}


async def test_samples_come_of_the_channels_that_were_named(app: FastAPI, client: Client) -> None:
    await client.put_stream(definition("s"))
    async with live(app, "include=samples&channels=x") as socket:
        await socket.receive_of("ack")
        await publish(client, "s", 100)
        one, two = await socket.receive(), await socket.receive()
        assert (one["first_sample"], two["first_sample"], one["channels"]) == (0, 50, ["x"])
        np.testing.assert_allclose(one["samples"], np.sin(np.arange(50) * 0.5)[:, np.newaxis])
        with anyio.move_on_after(0.1):
            pytest.fail(str(await socket.receive()))
    async with live(app, f"include=samples&samples_from={two['seq']}") as socket:
        await socket.receive_of("ack")
        assert (await socket.receive())["seq"] == two["seq"]


@pytest.mark.parametrize("form", ["json", "msgpack"])
async def test_estimates_come_if_they_are_requested(
    idle: FastAPI, system_bus: Bus, form: str
) -> None:
    async with live(idle, f"format={form}&include=status,now") as socket:
        await socket.receive_of("ack")
        for each in (estimate(19), estimate(39)):
            await send(system_bus, each)
            message = (await socket.receive_of("now"))["now"]
            assert message["newest_sample"] == each.newest_sample
            np.testing.assert_allclose(message["phase"], [[1, 1]])


async def test_a_wrong_parameter_is_refused(idle: FastAPI) -> None:
    for query in (
        "channels=nose&include=samples",
        "include=everything",
        "format=xml",
        "from=yesterday",
        "from=2026-01-01T00:00:00",
        "samples_from=x",
        "analysis=a.b",
        "form=1",
    ):
        async with live(idle, query) as socket:
            assert (await socket.receive())["code"] == "unprocessable", query
            assert (await socket.closed())[0] == 1008


async def test_an_unknown_stream_is_refused(idle: FastAPI) -> None:
    for path in ("/ws/streams/none", "/ws/streams/no.name"):
        async with open_socket(idle, path) as socket:
            assert (await socket.receive())["code"] == "not_found"
            assert (await socket.closed())[0] == 1008


async def test_the_end_of_a_stream_ends_its_connections(idle: FastAPI, system_bus: Bus) -> None:
    async with live(idle) as socket:
        await socket.receive_of("ack")
        await Client(system_bus).delete_stream("s")
        while (message := await socket.receive())["type"] != "error":
            pass
        assert message["code"] == "not_found"
        assert (await socket.closed())[0] == 1008


async def test_a_page_of_another_origin_is_refused(idle: FastAPI) -> None:
    for path in ("/ws/streams/s", WCT):
        async with open_socket(idle, path, headers={"origin": "https://evil.example"}) as socket:
            assert (await socket.closed())[0] == 1008
    async with live(idle, headers={"origin": "http://localhost:8000"}) as socket:
        assert (await socket.receive())["type"] == "ack"


async def test_a_client_that_stops_reading_is_cut_off_and_resumes_without_loss(
    idle: FastAPI, system_bus: Bus
) -> None:
    idle.state.send_timeout_s = 0.2
    for number in range(300):
        await store_event(system_bus, "s", number)
    async with live(idle, "from=1", buffered=10) as socket:
        await socket.receive_of("ack")
        first = await event_numbers(socket, 5)
        with fail_after(20):
            await socket.closing.wait()
        first += await event_numbers(socket, 10)
        code, reason = await socket.closed()
    assert code == 1013
    cursor = int(reason.removeprefix("from="))
    async with live(idle, f"from={cursor}") as socket:
        await socket.receive_of("ack")
        rest = await event_numbers(socket, 300 - len(first))
    assert first + rest == list(range(300))


async def test_samples_are_left_out_for_a_client_that_is_too_slow(
    idle: FastAPI, system_bus: Bus
) -> None:
    client = Client(system_bus)
    async with live(idle, "include=samples", buffered=1) as socket:
        await socket.receive_of("ack")
        await publish(client, "s", 50)
        assert (await socket.receive())["first_sample"] == 0
        await publish(client, "s", 50 * 400, epoch="fast")
        samples = skipped = 0
        while samples + skipped < 50 * 400:
            message = await socket.receive()
            skipped += message["samples"] if message["type"] == "skipped" else 0
            samples += len(message["samples"]) if message["type"] == "samples" else 0
    assert skipped > 0
    assert samples >= 50


# Pages of the log.


@asynccontextmanager
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def page(app: FastAPI, path: str, **query: Any) -> dict[str, Any]:
    async with http(app) as client:
        reply = await client.get(f"/api/v1/streams/{path}", params=query)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def test_pages_lead_through_the_events_of_a_stream(idle: FastAPI, system_bus: Bus) -> None:
    for number in range(5):
        await store_event(system_bus, "other", number)
        await store_event(system_bus, "s", number)
    found, cursor = [], 1
    while cursor is not None:
        one = await page(idle, "s/events", **{"from": cursor}, limit=2)
        found += [(each["seq"], each["event"]["t_ns"]) for each in one["items"]]
        cursor = one["next"]
    assert found == [(2, 0), (4, 1), (6, 2), (8, 3), (10, 4)]
    part = await page(idle, "s/events", **{"from": 4, "to": 8})
    assert ([each["seq"] for each in part["items"]], part["next"]) == ([4, 6], None)
    assert await page(idle, "s/events", **{"from": 11}) == {"items": [], "next": None}
    assert await page(idle, "s/results") == {"items": [], "next": None}
    everything = await page(idle, "s/events", **{"from": "2026-01-01T00:00:00Z"})
    assert len(everything["items"]) == 5
    assert (await page(idle, "s/events", to="2026-01-01T00:00:00+00:00"))["items"] == []


async def test_a_page_ends_before_it_is_too_large(idle: FastAPI, system_bus: Bus) -> None:
    for number in range(4):
        body = b'{"id": "%d", "detail": "%b"}' % (number, b"x" * 3 * 1024 * 1024)
        await system_bus.log.store(subjects.event("s"), body, msg_id=f"{number}")
    one = await page(idle, "s/events")
    assert (len(one["items"]), one["next"]) == (2, 3)


async def test_pages_have_samples_and_results(app: FastAPI, client: Client) -> None:
    await client.put_stream(definition("s"))
    await publish(client, "s", 200)
    samples = await page(app, "s/samples", channels="x", limit=3)
    assert [each["chunk"]["first_sample"] for each in samples["items"]] == [0, 50, 100]
    assert (np.shape(samples["items"][0]["chunk"]["samples"]), samples["next"]) == ((50, 1), 4)
    async with client.results("s") as results:
        first = await anext(results)
    one = await page(app, "s/results", analysis="a", limit=1)
    assert one["items"][0]["result"]["id"] == first.id
    async with http(app) as asked:
        packed = await asked.get(
            "/api/v1/streams/s/results?limit=1", headers={"Accept": "application/x-npz"}
        )
        assert packed.headers["content-type"] == "application/x-npz"
        for path, status in (
            ("none/results", 404),
            ("no.name/events", 404),
            ("s/results?limit=0", 422),
            ("s/results?from=x", 422),
            ("s/results?analysis=a.b", 422),
            ("s/samples?channels=nose", 422),
        ):
            assert (await asked.get(f"/api/v1/streams/{path}")).status_code == status, path
