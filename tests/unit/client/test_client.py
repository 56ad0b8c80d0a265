"""Asking the services, and what comes of refusals."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
import numpy as np
import pytest

import pycwt_mod
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import NotFound, Timeout, Unavailable, Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import StreamEvent
from cwt_schemas.message import Message
from cwt_schemas.stream import (
    Channel,
    StreamDefinition,
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamStatus,
)
from pycwt_client import Client, connect
from tests.memory_bus import MemoryBus
from tests.unit.client.blocks import block
from tests.unit.client.conftest import serving

pytestmark = pytest.mark.anyio

DEFINITION = StreamDefinition(name="s", fs_hz=100.0, channels=(Channel(name="x"),))
STATUS = StreamStatus(definition=DEFINITION, next_sample=7)
JSON = {CONTENT_TYPE: ContentType.JSON.value}
MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}


def always(reply: Message) -> Callable[[Message], Message]:
    return lambda _request: reply


async def test_a_stream_is_put_read_listed_and_deleted(bus: MemoryBus) -> None:
    client = Client(bus)
    async with (
        serving(bus, subjects.stream("put"), StreamDefinition, always(STATUS)),
        serving(bus, subjects.stream("get"), StreamGet, always(STATUS)),
        serving(bus, subjects.stream("list"), StreamList, always(StreamListing(streams=(STATUS,)))),
        serving(bus, subjects.stream("delete"), StreamDelete, always(STATUS)),
    ):
        assert await client.put_stream(DEFINITION) == STATUS
        assert await client.get_stream("s") == STATUS
        assert await client.list_streams() == (STATUS,)
        assert await client.delete_stream("s") == STATUS


async def test_refusal_is_raised_with_original_error(bus: MemoryBus) -> None:
    def refuse(_request: Message) -> Message:
        raise NotFound("stream s does not exist", {"name": "s"})

    async with serving(bus, subjects.stream("get"), StreamGet, refuse):
        with pytest.raises(NotFound, match="stream s does not exist") as caught:
            await Client(bus).get_stream("s")
    assert caught.value.detail == {"name": "s"}


async def test_without_a_service_the_error_says_how_to_start_one(bus: MemoryBus) -> None:
    with pytest.raises(Unavailable, match="pycwt-mod up"):
        await Client(bus).get_stream("s")


async def test_a_service_that_says_nothing_times_out(bus: MemoryBus) -> None:
    async with bus.subscribe(subjects.stream("list")):
        with pytest.raises(Timeout, match="within 0"):
            await Client(bus).ask(
                subjects.stream("list"), StreamList(), StreamListing, timeout_s=0.01
            )


async def test_invalid_time_is_refused(bus: MemoryBus) -> None:
    for none in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="timeout_s"):
            await Client(bus).health(timeout_s=none)


async def test_without_a_server_connecting_says_how_to_start_one() -> None:
    with pytest.raises(Unavailable, match="pycwt-mod up") as caught:
        async with connect("nats://user:secret@127.0.0.1:1", timeout_s=0.05):
            pass
    assert "secret" not in str(caught.value)


async def test_results_are_read_from_the_start_and_from_where_one_was(bus: MemoryBus) -> None:
    sent = [block(0, first) for first in (0, 4, 8)]
    for each in sent:
        body = encode(each, ContentType.MSGPACK)
        await bus.log.store(subjects.result("s", "a"), body, msg_id=each.id, headers=MSGPACK)
    client = Client(bus)
    async with client.results("s") as results:
        assert [await anext(results) for _ in sent] == sent
        assert results.seq == 3
    async with client.results(start_seq=3) as results:
        assert await anext(results) == sent[2]


async def test_a_result_that_was_stored_twice_is_read_once_and_counted(bus: MemoryBus) -> None:
    for number, first in enumerate((0, 0, 4)):
        body = encode(block(0, first), ContentType.MSGPACK)
        await bus.log.store(subjects.result("s", "a"), body, msg_id=f"{number}", headers=MSGPACK)
    async with Client(bus).results("s") as results:
        assert [await anext(results), await anext(results)] == [block(0, 0), block(0, 4)]
        assert (results.seq, results.repeated) == (3, 1)


async def test_results_are_read_of_one_analysis_and_from_a_time_on(bus: MemoryBus) -> None:
    client, begin = Client(bus), datetime.now(UTC)
    for analysis in ("a", "b"):
        body = encode(block(0, 0).model_copy(update={"analysis": analysis}), ContentType.MSGPACK)
        await bus.log.store(subjects.result("s", analysis), body, msg_id=analysis, headers=MSGPACK)
    async with client.results("s", "b", start_time=begin) as results:
        assert (await anext(results)).analysis == "b"
    later = datetime.now(UTC) + timedelta(microseconds=1)
    async with client.results("s", start_time=later) as results:
        with anyio.move_on_after(0.01) as nothing_came:
            await anext(results)
        assert nothing_came.cancelled_caught
    assert await client.next_seq() == 3


async def test_query_without_possible_reply_is_refused(bus: MemoryBus) -> None:
    with pytest.raises(ValueError, match=r"stream.*\ba\b"):
        Client(bus).results(None, "a")
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="time zone"):
        async with Client(bus).results(start_time=naive):
            pass


async def test_invalid_name_is_refused_before_any_request(bus: MemoryBus) -> None:
    client = Client(bus)
    for ask in (client.get_stream, client.delete_stream):
        with pytest.raises(Unprocessable, match="name"):
            await ask("a b")
    for call in (client.job("a b").state, client.job("a b").cancel, client.job("a b").retry):
        with pytest.raises(Unprocessable, match="job_id"):
            await call()
    with pytest.raises(Unprocessable, match="limit"):
        await client.jobs(limit=0)


async def test_tasks_and_signals_that_are_none_are_refused(bus: MemoryBus) -> None:
    client = Client(bus)
    with pytest.raises(Unprocessable, match=r"tasks\.1: str"):
        await client.submit([{"type": "cwt", "data": [1.0, 2.0], "dt": 1}, "cwt"])  # type: ignore[list-item]
    with pytest.raises(Unprocessable, match="data: has dtype datetime64"):
        await client.cwt(np.arange(9).astype("datetime64[s]"), 1.0)


async def test_closed_feed_raises(bus: MemoryBus) -> None:
    async with Client(bus).results("s") as results:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await anext(results)


async def test_result_states_its_time() -> None:
    result = block(1, 6, fs_hz=4.0, masked=True)
    assert result.times_s.tolist() == [1.5, 2.0, 2.5, 3.0]
    assert result.masked.count() == 0
    with pytest.raises(ValueError, match="rate"):
        _ = block(0, 0).times_s


async def test_unreadable_result_is_skipped_counted_and_reported(
    bus: MemoryBus, caplog: pytest.LogCaptureFixture
) -> None:
    subject = subjects.result("s", "a")
    good = encode(block(0, 0), ContentType.MSGPACK)
    strange = {CONTENT_TYPE: "text/plain"}
    await bus.log.store(subject, b"junk", msg_id="1", headers=MSGPACK)
    await bus.log.store(subject, good, msg_id="2", headers=strange)
    await bus.log.store(subject, b"{}", msg_id="3", headers=JSON)
    await bus.log.store(subject, good, msg_id="4", headers=MSGPACK)
    async with Client(bus).results("s") as results:
        assert await anext(results) == block(0, 0)
        assert (results.seq, results.skipped) == (4, 3)
    assert [record.getMessage() for record in caplog.records] == ["message_skipped"] * 3


async def test_reading_continues_after_abandoned_read(bus: MemoryBus) -> None:
    async with Client(bus).results("s") as results:
        with anyio.move_on_after(0.01) as gave_up:
            await anext(results)
        assert gave_up.cancelled_caught
        body = encode(block(0, 0), ContentType.MSGPACK)
        await bus.log.store(subjects.result("s", "a"), body, msg_id="r", headers=MSGPACK)
        assert await anext(results) == block(0, 0)


async def test_events_are_read_without_the_results_between(bus: MemoryBus) -> None:
    event = StreamEvent(id="1", stream="s", kind="gap", first_sample=3, n_samples=2, t_ns=5)
    result = encode(block(0, 0), ContentType.MSGPACK)
    await bus.log.store(subjects.result("s", "a"), result, msg_id="r", headers=MSGPACK)
    body = encode(event, ContentType.JSON)
    await bus.log.store(subjects.event("s"), body, msg_id="e", headers=JSON)
    async with Client(bus).events("s") as events:
        assert await anext(events) == event


@pytest.mark.parametrize("name", ["cwt", "xwt", "wct"])
def test_query_has_defaults_of_library(name: str) -> None:
    """The client asked for voices of a quarter octave where the library has a twelfth."""
    ours = inspect.signature(getattr(Client, name)).parameters
    theirs = dict(inspect.signature(getattr(pycwt_mod, name)).parameters)
    if name == "wct":  # whose options of a level are those of the simulation
        theirs = {**inspect.signature(pycwt_mod.wct_significance).parameters, **theirs}
        assert ours.keys() & theirs.keys() >= {"method", "mc_count", "seed", "backend"}
    shared = ours.keys() & theirs.keys()
    assert shared >= {"dt", "dj", "s0", "J", "wavelet", "convention"}
    for each in shared - {"dt"}:  # which the library can also take from transforms
        assert ours[each].default == theirs[each].default, each
