"""Every way out of a window: acknowledged, handed back, given up."""

from __future__ import annotations

import time
from threading import Event
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from cwt_compute.live.windows import compute_window, dropped_event
from cwt_compute.live.worker import Compute, WindowWorker
from cwt_compute.work_queue import dead_letter
from cwt_runtime.bus import Message, StoredMessage
from cwt_runtime.process.lifecycle import Stop
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.limits import MAX_MESSAGE_BYTES
from cwt_schemas.live import AnalysisResult, AnalysisWindow, StreamEvent, WindowTimes
from cwt_schemas.message import DeadLetter
from cwt_schemas.pair_result import LiveResult
from pycwt_mod.streaming.compute import octave_kernel
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.unit.compute.test_windows import ME, a_window, a_window_of, definition

pytestmark = pytest.mark.anyio

SUBJECT = subjects.window("s", "a")


async def a_bus(*bodies: bytes) -> MemoryBus:
    bus = MemoryBus()
    await bus.log.declare(system_topology(StorageSettings()))
    for i, body in enumerate(bodies):
        headers = {"Content-Type": "application/msgpack"}
        await bus.log.store(SUBJECT, body, msg_id=f"w{i}", headers=headers)
    return bus


def a_worker(bus: MemoryBus, compute: Compute = compute_window, tries: int = 3) -> WindowWorker:
    return WindowWorker(
        bus.log,
        name="w",
        limiter=anyio.CapacityLimiter(1),
        max_tries=tries,
        log=logger("test"),
        compute=compute,
    )


def body(window: AnalysisWindow) -> bytes:
    return encode(window, ContentType.MSGPACK)


async def handle_next(bus: MemoryBus, worker: WindowWorker) -> None:
    async with bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:
        with fail_after(10):
            await worker.handle(await consumer.next())


async def kept(bus: MemoryBus, stream: str, count: int) -> list[StoredMessage]:
    async with bus.log.replay(stream, (">",)) as messages:
        with fail_after(5):
            return [await anext(messages) for _ in range(count)]


async def queue_length(bus: MemoryBus) -> int:
    backlog = await bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
    return backlog.waiting + backlog.in_flight


def failing(*args: Any) -> tuple[AnalysisResult, ...]:
    del args
    raise MemoryError("no room")


async def test_a_computed_window_is_acknowledged_after_its_result_is_kept() -> None:
    bus = await a_bus(body(a_window()))
    await handle_next(bus, a_worker(bus))
    (stored,) = await kept(bus, storage.RESULTS, 1)
    result = decode(AnalysisResult, stored.message.data, ContentType.MSGPACK)
    assert stored.message.subject == subjects.result("s", "a")
    assert (result.channels, result.engine.worker) == (("x", "y"), "w")
    assert await queue_length(bus) == 0


async def test_a_window_computed_twice_has_one_result() -> None:
    bus = await a_bus(body(a_window()), body(a_window()))
    for _ in range(2):
        await handle_next(bus, a_worker(bus))
    assert await bus.log.last_seq(storage.RESULTS) == 1


async def test_a_window_of_many_channel_sets_is_acknowledged_after_all_their_results_are_kept() -> (
    None
):
    sets = definition(op="cwt", channels=["x", "y"], pairs=[], quantity="power")
    bus = await a_bus(body(a_window_of(sets)))
    store, lengths = bus.log.store, []

    async def noted(*args: Any, **rest: Any) -> Any:
        lengths.append(await queue_length(bus))
        return await store(*args, **rest)

    bus.log.store = noted  # type: ignore[method-assign]
    await handle_next(bus, a_worker(bus))
    found = [
        decode(AnalysisResult, stored.message.data, ContentType.MSGPACK).channels
        for stored in await kept(bus, storage.RESULTS, 2)
    ]
    assert (sorted(found), lengths, await queue_length(bus)) == ([("x",), ("y",)], [1, 1], 0)


async def test_a_window_older_than_its_stream_allows_is_told_as_masked_results_and_one_event() -> (
    None
):
    sets = definition(op="cwt", channels=["x", "y"], pairs=[], quantity="power")
    stale = a_window_of(sets).model_copy(update={"stale_after_s": 1.0})
    bus = await a_bus(body(stale))
    await handle_next(bus, a_worker(bus, failing))
    stored = await kept(bus, storage.RESULTS, 3)
    assert await queue_length(bus) == 0
    for each in stored[:2]:
        result = decode(AnalysisResult, each.message.data, ContentType.MSGPACK)
        assert result.mask is not None
        assert result.mask.all()
        assert not result.values.any()
        assert result.engine.backend == "none"
    event = decode(StreamEvent, stored[2].message.data, ContentType.MSGPACK)
    assert (event.kind, event.first_sample) == ("dropped", stale.tile.first_sample)
    assert "stale_after_s = 1" in event.detail


async def test_a_flat_channel_is_told_as_one_event_however_often_its_window_is_computed() -> None:
    window = a_window_of(definition(hop_s=8))
    samples = np.array(window.samples)
    samples[:, 1] = 4.0
    window = window.model_copy(update={"samples": samples})
    bus = await a_bus(body(window), body(window))
    worker = a_worker(bus)
    await handle_next(bus, worker)
    await handle_next(bus, worker)
    result, event = await kept(bus, storage.RESULTS, 2)
    assert decode(AnalysisResult, result.message.data, ContentType.MSGPACK).mask is not None
    told = decode(StreamEvent, event.message.data, ContentType.MSGPACK)
    assert (told.kind, told.channel, told.first_sample) == ("flat", "y", 0)
    assert await bus.log.last_seq(storage.RESULTS) == 2


async def test_a_window_young_enough_is_computed() -> None:
    now = time.time_ns()
    times = WindowTimes(received=now, windowed=now)
    bus = await a_bus(body(a_window(stale_after_s=3600.0, times_ns=times)))
    await handle_next(bus, a_worker(bus))
    (stored,) = await kept(bus, storage.RESULTS, 1)
    result = decode(AnalysisResult, stored.message.data, ContentType.MSGPACK)
    assert result.engine.backend == "numpy"
    assert result.values.any()


async def test_a_failure_hands_the_window_back() -> None:
    bus = await a_bus(body(a_window()))
    await handle_next(bus, a_worker(bus, failing))
    assert await queue_length(bus) == 1
    await handle_next(bus, a_worker(bus))
    assert await bus.log.last_seq(storage.RESULTS) == 1


@pytest.mark.slow
async def test_after_the_last_try_there_is_a_dead_letter_and_an_event() -> None:
    bus = await a_bus(body(a_window()))
    for _ in range(2):
        await handle_next(bus, a_worker(bus, failing, tries=2))
    (letter,) = await kept(bus, storage.DEAD, 1)
    dead = decode(DeadLetter, letter.message.data, ContentType.MSGPACK)
    assert (dead.subject, dead.deliveries, dead.payload) == (SUBJECT, 2, body(a_window()))
    assert "MemoryError" in dead.reason
    (told,) = await kept(bus, storage.RESULTS, 1)
    assert decode(StreamEvent, told.message.data, ContentType.MSGPACK).kind == "dropped"
    assert await queue_length(bus) == 0


async def test_a_window_that_kills_its_workers_is_given_up_without_another_try() -> None:
    bus = await a_bus(body(a_window()))
    async with bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:
        for _ in range(2):  # two workers that died with it
            await (await consumer.next()).nak()
    await handle_next(bus, a_worker(bus, failing, tries=2))
    (letter,) = await kept(bus, storage.DEAD, 1)
    assert "never finished" in decode(DeadLetter, letter.message.data, ContentType.MSGPACK).reason


@pytest.mark.parametrize(
    "rubbish", [b"", b"\x00", body(a_window())[:-9], body(a_window(octave=50))]
)
def test_rubbish_on_the_queue_is_given_up_at_once(rubbish: bytes) -> None:
    async def scenario() -> None:
        bus = await a_bus(rubbish)
        await handle_next(bus, a_worker(bus))
        assert await bus.log.last_seq(storage.DEAD) == 1
        assert await queue_length(bus) == 0

    anyio.run(scenario)


async def test_asked_to_stop_a_worker_finishes_what_it_has() -> None:
    bus, stop = await a_bus(body(a_window())), Stop()

    def compute_then_stop(*args: Any) -> tuple[LiveResult, ...]:
        anyio.from_thread.run_sync(stop.set)
        return compute_window(*args)

    with fail_after(10):
        await a_worker(bus, compute_then_stop).run(stop)
    assert await bus.log.last_seq(storage.RESULTS) == 1
    assert await queue_length(bus) == 0


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        ("cwt.window.oops", {}),
        ("cwt.window.a b.c", {}),
        (SUBJECT, {"Content-Type": "x" * 5000, "Nats-Msg-Id": "y" * 2000}),
        ("cwt.window." + "z" * 400 + ".a", {"k" * 2000: "v"}),
        # With so many a letter could not be sent, and the window came back for ever.
        (SUBJECT, {f"H{i}": "\u00e9" * 250 for i in range(16_000)}),
    ],
)
@pytest.mark.parametrize("size", [1, MAX_MESSAGE_BYTES])
async def test_nothing_on_the_queue_takes_the_worker_with_it(
    subject: str, headers: dict[str, str], size: int
) -> None:
    message = Message(subject=subject, data=b"x" * size, headers=headers)
    stored = StoredMessage(message=message, seq=7, stored_ns=1)
    letter = dead_letter(stored, "r" * 9000, deliveries=3, now_ns=1)
    event = dropped_event(stored, "r" * 9000, now_ns=1)
    assert encode(letter, ContentType.MSGPACK)
    assert encode(event, ContentType.MSGPACK)
    assert event.stream in {"s", "nameless"}


async def test_what_the_library_refuses_is_given_up_without_another_try() -> None:
    def refusing(*args: Any) -> tuple[AnalysisResult, ...]:
        del args
        raise ValueError("no such thing")

    bus = await a_bus(body(a_window()))
    await handle_next(bus, a_worker(bus, refusing))
    assert await bus.log.last_seq(storage.DEAD) == 1
    assert await queue_length(bus) == 0


async def test_a_worker_outlives_a_window_whose_end_fails_too() -> None:
    bus, stop = await a_bus(b"rubbish", body(a_window())), Stop()
    store, failures = bus.log.store, 0

    async def failing_once(subject: str, data: bytes, **rest: Any) -> Any:
        nonlocal failures
        if subject.startswith("cwt.dead.") and failures == 0:
            failures += 1
            raise RuntimeError("the disk is on fire")
        return await store(subject, data, **rest)

    bus.log.store = failing_once  # type: ignore[method-assign]

    async def stop_when_done() -> None:
        while await bus.log.last_seq(storage.RESULTS) == 0:
            await anyio.lowlevel.checkpoint()
        stop.set()

    with fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_when_done)
            await a_worker(bus).run(stop)
    assert failures == 1


async def test_many_dropped_windows_are_a_few_events_that_count_all_of_them() -> None:
    """Each of them had an event of its own."""
    window = a_window(stale_after_s=1.0)
    each = window.tile.n
    tiles = [window.tile.model_copy(update={"first_sample": i * each}) for i in range(100)]
    late = [
        window.model_copy(update={"tile": tile, "id": f"{window.id}/{tile.first_sample}"})
        for tile in tiles
    ]
    bus, stop = await a_bus(*map(body, late)), Stop()
    with fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(a_worker(bus, failing).run, stop)
            while await queue_length(bus):
                await anyio.lowlevel.checkpoint()
            stop.set()
    async with bus.log.read(storage.RESULTS, (subjects.event("s"),)) as messages:
        bodies = [stored.message.data async for stored in messages]
    events = [decode(StreamEvent, found, ContentType.MSGPACK) for found in bodies]
    assert len(events) <= 30
    assert sum(event.count for event in events) == 100
    assert sum(event.n_samples or 0 for event in events) == 100 * each


async def test_the_sum_of_dropped_windows_is_published_while_the_worker_runs() -> None:
    bus, stop = await a_bus(*[b"rubbish"] * 30), Stop()
    counted = 0
    with fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(a_worker(bus).run, stop)
            async with bus.log.replay(storage.RESULTS, (subjects.event("s"),)) as messages:
                while counted < 30:
                    body = (await anext(messages)).message.data
                    counted += decode(StreamEvent, body, ContentType.MSGPACK).count
            stop.set()


async def test_a_worker_takes_one_window_more_than_it_has_threads_for() -> None:
    bus, stop, go = await a_bus(*[body(a_window(octave=i % 2)) for i in range(6)]), Stop(), Event()
    started = anyio.Event()

    def slow(*args: Any) -> tuple[AnalysisResult, ...]:
        del args
        anyio.from_thread.run_sync(started.set)
        assert go.wait(10)
        return ()

    with fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(a_worker(bus, slow).run, stop)
            await started.wait()
            await anyio.wait_all_tasks_blocked()
            backlog = await bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
            assert (backlog.in_flight, backlog.waiting) == (2, 4)
            stop.set()
            go.set()
    assert await queue_length(bus) == 4


def test_what_the_windows_of_an_octave_share_is_made_once() -> None:
    octave_kernel.cache_clear()
    for _ in range(3):
        compute_window(a_window(), ME)
    assert octave_kernel.cache_info().misses == 1
