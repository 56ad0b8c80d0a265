"""Questions through the client, answered by a worker, over both buses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import orjson
import pytest

import pycwt_mod
from cwt_compute.queries.cache import ReplyCache
from cwt_runtime.bus import Bus, Message, ObjectsSpec, Topology
from cwt_runtime.bus.errors import BusError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import (
    ContractError,
    Internal,
    NotFound,
    Timeout,
    Unavailable,
    Unprocessable,
)
from cwt_schemas.headers import ACCEPT, CONTENT_TYPE, EARLY
from cwt_schemas.query import CwtReply, WctReply, WctRequest
from pycwt_client import Client
from pycwt_client.answers import WctAnswer
from pycwt_client.request import fetch
from pycwt_mod import MonteCarlo
from tests.backends import Broken, Gated
from tests.contract.test_services import running
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.memory_bus.log import MemoryLog
from tests.memory_bus.objects import MemoryObjects

pytestmark = pytest.mark.anyio

N, DT = 300, 0.5
X, Y = np.random.default_rng(4).standard_normal((2, N))
#: Long enough to be sent ahead of its level.
LONG_X, LONG_Y = np.random.default_rng(5).standard_normal((2, 2000))
MSGPACK = ContentType.MSGPACK.value
ROOM = Topology(
    streams=(),
    consumers=(),
    buckets=(),
    objects=tuple(
        ObjectsSpec(name=name, when_full="drop_old", max_bytes=64 * 1024**2)
        for name in (storage.REPLIES, storage.ANSWERS)
    ),
)


@pytest.fixture
async def client(bus: Bus) -> AsyncIterator[Client]:
    await bus.log.declare(ROOM, update=True)
    async with running(bus, "compute"):
        yield Client(bus)


async def test_a_transform_is_the_librarys_with_its_names(client: Client) -> None:
    found = await client.cwt(X, DT, wavelet="paul", param=4)
    expected = pycwt_mod.cwt(X, DT, wavelet="paul")
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not found.mask.any()
    assert found.computation_time > 0


async def test_scales_below_dt_are_warned_of_where_the_caller_asks(client: Client) -> None:
    questions = (
        lambda: client.cwt(X, DT, s0=DT / 4),
        lambda: client.xwt(X, Y, DT, s0=DT / 4),
        lambda: client.wct(X, Y, DT, s0=DT / 4, significance_level=None),
    )
    for question in questions:
        with pytest.warns(pycwt_mod.NyquistWarning, match="exceed the Nyquist") as caught:
            await question()
        # The worker, which is in this process here, has warnings of its own.
        assert len([each for each in caught if each.filename == __file__]) == 1


async def test_a_coherence_is_the_librarys_of_the_same_seed(client: Client) -> None:
    found = await client.wct(X, Y, DT, mc_count=10, seed=3)
    expected = pycwt_mod.wct(X, Y, DT, mc_count=10, seed=3)
    np.testing.assert_array_equal(found.coherence, expected.coherence)
    np.testing.assert_array_equal(found.signif, expected.signif)
    assert (found.backend_used, found.seed) == ("sequential", 3)


async def test_coherences_of_several_signals_are_the_librarys(client: Client) -> None:
    given = np.stack([np.roll(X, 5) + Y, np.roll(Y, 3)])
    for found, expected in (
        (
            await client.pwct(X, Y, given, DT, mc_count=10, seed=3),
            pycwt_mod.pwct(X, Y, given, DT, mc_count=10, seed=3),
        ),
        (
            await client.mwct(X, given, DT, mc_count=10, seed=3, deltaj0=1.2),
            pycwt_mod.mwct(X, given, DT, mc_count=10, seed=3, deltaj0=1.2),
        ),
    ):
        np.testing.assert_array_equal(found.coherence, expected.coherence)
        np.testing.assert_array_equal(found.signif, expected.signif)
        assert repr(found.lag1) == repr(expected.lag1)
        assert (found.backend_used, found.seed) == ("sequential", 3)
    with pytest.raises(Unprocessable, match=r"given: .*0\.9\d\d .95 % level"):
        await client.mwct(X, np.stack([Y, *given, Y[::-1], X[::-1]]), DT)
    with pytest.raises(Unprocessable, match="given"):
        await client.pwct(X, Y, given[:, 1:], DT)


@pytest.mark.parametrize(
    ("significance", "fields"),
    [
        (MonteCarlo(count=10, seed=3), {"mc_count": 10, "seed": 3}),
        (MonteCarlo(count=10, seed=3, backend="joblib"), {"mc_count": 10, "seed": 3}),
        ("table", {"method": "table"}),
    ],
    ids=["simulated", "on a backend", "table"],
)
async def test_options_of_a_level_in_one_value_are_those_one_by_one(
    client: Client, significance: Any, fields: dict[str, Any]
) -> None:
    found = await client.wct(X, Y, DT, significance=significance)
    expected = pycwt_mod.wct(X, Y, DT, **fields)
    np.testing.assert_array_equal(found.coherence, expected.coherence)
    np.testing.assert_array_equal(found.signif, expected.signif)
    backend = None if significance == "table" else significance.backend
    assert (found.backend_used, found.seed) == (backend, fields.get("seed"))


@pytest.mark.parametrize("missing", [[], [700, 701]])
async def test_a_long_coherence_comes_ahead_of_its_level_and_is_the_librarys(
    client: Client, missing: list[int]
) -> None:
    gappy = LONG_X.copy()
    gappy[missing] = np.nan
    found = await client.wct(gappy, LONG_Y, DT, mc_count=10, seed=3)
    expected = pycwt_mod.wct(gappy, LONG_Y, DT, mc_count=10, seed=3)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(
            ours,
            np.where(expected.mask, np.nan, theirs)
            if ours.shape == expected.mask.shape
            else theirs,
        )
    np.testing.assert_array_equal(found.mask, expected.mask)


async def test_early_fields_are_sent_to_inbox_and_left_out_of_reply(
    client: Client,
) -> None:
    bus = client.bus
    async with bus.subscribe("_INBOX.mine") as ahead:
        reply = await asked(bus, {EARLY: "_INBOX.mine", ACCEPT: MSGPACK})
        with fail_after(10):
            first = await anext(aiter(ahead))
    assert reply.headers[EARLY] == "1"
    assert len(reply.data) < len(first.data) / 10
    whole = decode(WctReply, reply.data, ContentType.MSGPACK, early=first.data)
    assert whole.WCT.shape == whole.aWCT.shape
    with pytest.raises(Unprocessable, match="WCT"):
        decode(WctReply, reply.data, ContentType.MSGPACK)


@pytest.mark.parametrize(
    "headers",
    [
        {EARLY: "_INBOX.mine", ACCEPT: "application/json"},
        {EARLY: "cwt.elsewhere", ACCEPT: "application/msgpack"},
        {ACCEPT: "application/msgpack"},
    ],
)
async def test_early_reply_is_sent_only_to_inbox_that_accepts_it(
    client: Client, headers: dict[str, str]
) -> None:
    bus = client.bus
    async with bus.subscribe("_INBOX.mine") as one, bus.subscribe("cwt.elsewhere") as other:
        reply = await asked(bus, headers)
        await one.drain()
        await other.drain()
        assert [each async for each in one] == [each async for each in other] == []
    assert EARLY not in reply.headers
    assert decode(WctReply, reply.data, content_type_of(reply.headers)).WCT.size


async def test_error_after_provisional_reply_is_reported(client: Client) -> None:
    """As of a backend that fails in the middle of its simulation."""
    with pycwt_mod.register_backend(Broken()), pytest.raises(Internal, match="log"):
        await client.wct(LONG_X, LONG_Y, DT, mc_count=10, backend="broken")


async def asked(bus: Bus, headers: dict[str, str]) -> Message:
    """Return the reply to a question about a long coherence with a level."""
    request = WctRequest(signal1=LONG_X, signal2=LONG_Y, dt=DT, mc_count=10)
    body = encode(request, ContentType.MSGPACK)
    return await bus.request(
        subjects.query("wct"), body, {CONTENT_TYPE: MSGPACK, **headers}, timeout_s=30
    )


async def test_a_cross_spectrum_of_float32_stays_float32(client: Client) -> None:
    found = await client.xwt(X.astype(np.float32), Y.astype(np.float32), DT)
    assert found.cross.dtype == np.complex64
    np.testing.assert_allclose(found.phase, np.angle(found.cross), atol=1e-6)


async def test_masked_sample_is_missing_and_in_mask(client: Client) -> None:
    found = await client.cwt(np.ma.masked_where(np.arange(N) == 100, X), DT)
    gappy = np.where(np.arange(N) == 100, np.nan, X)
    np.testing.assert_array_equal(found.mask, pycwt_mod.cwt(gappy, DT).mask)


async def test_a_level_and_a_benchmark_need_no_signal(client: Client) -> None:
    level = await client.significance(0.5, 0.5, 1.0, 0.25, 2.0, 8, mc_count=5, seed=1)
    expected = pycwt_mod.wct_significance(0.5, 0.5, 1.0, 0.25, 2.0, 8, mc_count=5, seed=1)
    np.testing.assert_array_equal(level.signif, expected)
    timed = await client.benchmark(64, 4, convention="pycwt", dtype="float32")
    assert timed.results["sequential"].speedup == 1


async def test_workers_report_health(client: Client) -> None:
    health = await client.health()
    assert (health.status, health.problems) == (
        "degraded",
        ("no ingest runs: streams are not analysed",),
    )
    assert "sequential" in {info.name for info in await client.backends()}
    assert (await client.hardware()).cpu.cores >= 1


async def test_reply_too_large_for_a_message_is_delivered(client: Client) -> None:
    long = np.random.default_rng(1).standard_normal(30_000)
    found = await client.cwt(long, DT, 0.25, J=19)
    assert found.coefs.nbytes > client.bus.max_message_bytes
    np.testing.assert_array_equal(found.coefs, pycwt_mod.cwt(long, DT, 0.25, J=19).coefs)


async def test_missing_or_damaged_object_is_reported(client: Client) -> None:
    objects = await client.bus.log.objects(storage.REPLIES)
    place = await objects.put("reply-1", b"right")
    await objects.put("reply-1", b"wrong")
    with pytest.raises(Internal, match="SHA-256"):
        await fetch(client.bus, place)
    await objects.delete("reply-1")
    with pytest.raises(Unavailable, match="repeat the query"):
        await fetch(client.bus, place)


@pytest.mark.parametrize(
    ("changes", "kind", "word"),
    [
        ({"dt": 0}, Unprocessable, "dt"),
        ({"y1": np.ones((2, 2))}, Unprocessable, "signal1"),
        ({"y2": X + 1j}, Unprocessable, "signal2"),
        ({"y2": ["a"] * N}, Unprocessable, "signal2"),
        ({"backend": "abacus"}, NotFound, "sequential"),
        ({"timeout_s": 1e-9}, Timeout, "within"),
    ],
)
async def test_a_refusal_is_an_exception_with_its_code(
    client: Client, changes: dict[str, object], kind: type[ContractError], word: str
) -> None:
    arguments = {"y1": X, "y2": Y, "dt": DT, "mc_count": 5, **changes}
    with pytest.raises(kind, match=word) as caught:
        await client.wct(**arguments)
    assert caught.value.code


async def test_without_workers_the_exception_says_what_to_start(bus: Bus) -> None:
    with pytest.raises(Unavailable, match="pycwt-mod up") as caught:
        await Client(bus).health()
    assert subjects.query("health") in caught.value.message


async def test_expensive_query_is_computed_once_and_cached(client: Client) -> None:
    ask = partial(client.significance, 0.5, 0.5, 1.0, 0.25, 2.0, 40, mc_count=200)
    first, again = await ask(), await ask()
    assert (first.cached, again.cached) == (False, True)
    assert again.model_copy(update={"cached": False}) == first
    assert not (await ask(seed=5)).cached
    pair = partial(client.wct, X, Y, DT, mc_count=300, seed=1)
    assert [(await pair()).cached for _ in range(2)] == [False, True]


async def test_concurrent_equal_queries_are_computed_once(bus: Bus) -> None:
    """Of a length whose answer is not kept."""
    backend, found = Gated(), list[WctAnswer]()

    async def ask() -> WctAnswer:
        answer = await Client(bus).wct(LONG_X, LONG_Y, DT, mc_count=10, backend="gated")
        found.append(answer)
        return answer

    with pycwt_mod.register_backend(backend):
        async with running(bus, "compute"), anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask)
            await taken(bus, "wct", 4)
            backend.go.set()
        assert len(backend.simulations) == 1
        assert sorted(each.cached for each in found) == [False, True, True, True]
        for each in found[1:]:
            np.testing.assert_array_equal(each.coherence, found[0].coherence)
        async with running(bus, "compute"):
            assert not (await ask()).cached


async def taken(bus: Bus, op: str, number: int) -> None:
    """Return when the worker has so many questions, and all that it has to do is to compute."""
    readers = anyio.to_thread.current_default_thread_limiter()
    with fail_after(30):
        while True:
            stats = orjson.loads((await bus.request("$SRV.STATS.compute", b"", timeout_s=5)).data)
            (endpoint,) = (each for each in stats["endpoints"] if each["name"] == op)
            await anyio.wait_all_tasks_blocked()
            if endpoint["num_requests"] == number and readers.borrowed_tokens == 0:
                await anyio.wait_all_tasks_blocked()
                return


async def test_reply_to_cheap_query_is_not_cached(client: Client) -> None:
    for _ in range(2):
        assert not (await client.cwt(X, DT)).cached
        assert not (await client.benchmark(64, 400)).results["sequential"].error


async def test_what_does_not_fit_or_cannot_be_read_is_computed_again(bus: Bus) -> None:
    kept = ReplyCache(bus.log)  # in a bucket of 3 MiB
    small, big = (cwt_reply(n) for n in (10, 400_000))
    await kept.put("small", small)
    assert await kept.get("small", CwtReply) == small
    assert await kept.get("small", WctReply) is None
    assert await kept.get("other", CwtReply) is None
    await kept.put("big", big)
    assert await kept.get("big", CwtReply) is None


async def test_a_large_answer_may_take_the_store_longer_than_a_small_one() -> None:
    """Answers of 30 MB and more were never kept on a slow disk, and took the others along."""
    left: list[float] = []

    class Timed(MemoryLog):
        async def objects(self, name: str) -> MemoryObjects:
            left.append(anyio.current_effective_deadline() - anyio.current_time())
            raise BusError(name)

    for size in (10, 400_000):
        await ReplyCache(Timed()).put("key", cwt_reply(size))
        await ReplyCache(Timed()).get("key", CwtReply, about_bytes=size * 40)
    assert left[0] < 0.6
    assert min(left[2:]) > 0.8


async def test_reply_cache_without_bucket_stores_nothing(nats_url: str) -> None:
    """As with a server that was set up by hand, and has no such bucket."""
    async with connect_bus(nats_url, name="test", log=logger("test")) as nats_bus:
        for bare in (MemoryBus(), nats_bus):
            kept = ReplyCache(bare.log)
            await kept.put("small", cwt_reply(10))
            assert await kept.get("small", CwtReply) is None
            with pytest.raises(BusError):
                await bare.log.bucket(storage.KV_STREAMS)


def cwt_reply(n: int) -> CwtReply:
    row = np.ones(n)
    return CwtReply(
        wave=np.ones((1, n), complex), scales=row[:1], freqs=row[:1], coi=row,
        fft=row.astype(complex), fftfreqs=row, computation_time=0.5,
    )  # fmt: skip
