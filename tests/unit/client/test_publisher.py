"""Published samples are stored once, or the caller gets an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from numpy.typing import ArrayLike

from cwt_runtime.bus import DUPLICATE_WINDOW_S, StoreAck
from cwt_runtime.bus.errors import BusError, BusTimeoutError, NotStoredError, StorageFullError
from cwt_runtime.bus.nats.client import STORE_TIMEOUT_S
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas import storage, subjects
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.codec import ContentType
from cwt_schemas.errors import Unprocessable
from cwt_schemas.live import SignalChunk
from pycwt_client import Client
from pycwt_client.chunk_messages import MAX_CHUNK_BYTES
from pycwt_client.publisher import Publisher, open_publisher
from pycwt_client.sending import PATIENT, Sending
from tests.deadlines import fail_after
from tests.memory_bus import MemoryBus
from tests.memory_bus.log import MemoryLog

pytestmark = pytest.mark.anyio

AT_ONCE = RetryPolicy(first_delay_s=0.0, max_tries=4)
PAIR = np.arange(6, dtype="<f4").reshape(3, 2)


class FaultyLog(MemoryLog):
    """Fails as told, one fault a call, before it stores; `after` fails having stored."""

    def __init__(self, *faults: BusError | None, after: bool = False) -> None:
        super().__init__()
        self.faults = list(faults)
        self.after = after
        self.failed = anyio.Event()

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            self.failed.set()
        if fault is not None and not self.after:
            raise fault
        ack = await super().store(
            subject, data, msg_id=msg_id, headers=headers, expect_seq=expect_seq
        )
        if fault is not None:
            raise fault
        return ack


async def declared(log: FaultyLog) -> FaultyLog:
    await log.declare(system_topology(StorageSettings()))
    return log


async def kept(log: MemoryLog, channels: int = 2) -> list[SignalChunk]:
    count = await log.last_seq(storage.SIGNALS)
    async with log.replay(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
        stored = [(await anext(messages)).message for _ in range(count)]
    return [decode_chunk(message.headers, message.data, channels) for message in stored]


@pytest.mark.parametrize("encoding", [ContentType.OCTETS, ContentType.MSGPACK])
async def test_chunks_follow_each_other_with_their_times(
    bus: MemoryBus, encoding: ContentType
) -> None:
    assert encoding is not ContentType.JSON
    async with Client(bus).publisher("s", "e", encoding=encoding) as publisher:
        await publisher.publish(PAIR, t0_ns=5)
        await publisher.publish(PAIR)
    assert publisher.kept == 2
    assert await kept(bus.log) == [
        SignalChunk(epoch="e", first_sample=0, t0_ns=5, samples=PAIR),
        SignalChunk(epoch="e", first_sample=3, samples=PAIR),
    ]


async def test_two_runs_share_no_ids_even_at_the_same_positions(bus: MemoryBus) -> None:
    for _ in range(2):
        async with Client(bus).publisher("s", "e") as publisher:
            await publisher.publish(PAIR)
            await publisher.publish(PAIR, first_sample=0)  # the counter of the device has wrapped
        assert (publisher.kept, publisher.duplicates) == (2, 0)
    assert [each.first_sample for each in await kept(bus.log)] == [0, 0, 0, 0]


class OccupiedLog(MemoryLog):
    """Has a message of another stream under each of the first `taken` ids before it is used."""

    def __init__(self, taken: int) -> None:
        super().__init__()
        self.taken = taken

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        if self.taken:
            self.taken -= 1
            await super().store(subjects.signal("other"), b"", msg_id=msg_id)
        return await super().store(
            subject, data, msg_id=msg_id, headers=headers, expect_seq=expect_seq
        )


@pytest.mark.parametrize("taken", [1, 2])
async def test_a_chunk_whose_id_another_client_used_is_stored(taken: int) -> None:
    """It was dropped as a duplicate, and acknowledged."""
    log = OccupiedLog(taken)
    await log.declare(system_topology(StorageSettings()))
    publisher = await send(log, 3, in_flight=2)
    assert await log.subject_counts(storage.SIGNALS, subjects.signal("s")) == {"cwt.signal.s": 3}
    assert (publisher.kept, publisher.duplicates) == (3, 0)


async def test_a_client_that_uses_up_every_id_ends_the_publishing() -> None:
    log = OccupiedLog(100)
    await log.declare(system_topology(StorageSettings()))
    with pytest.raises(NotStoredError, match="another client") as caught:
        await send(log, 1)
    assert "Sample 0 of epoch" in caught.value.__notes__[0]


async def send(log: MemoryLog, chunks: int, *, in_flight: int = 1) -> Publisher:
    async with open_publisher(
        log, "s", "e", sending=Sending(in_flight=in_flight, retry=AT_ONCE)
    ) as publisher:
        for _ in range(chunks):
            await publisher.publish(PAIR)
    return publisher


async def test_transient_error_neither_loses_nor_reorders() -> None:
    log = await declared(FaultyLog(None, BusTimeoutError("slow"), BusTimeoutError("slow")))
    publisher = await send(log, 4)
    assert [chunk.first_sample for chunk in await kept(log)] == [0, 3, 6, 9]
    assert (publisher.kept, publisher.resent) == (4, 1)


async def test_lost_acknowledgement_is_requested_again() -> None:
    log = await declared(FaultyLog(BusTimeoutError("lost"), after=True))
    publisher = await send(log, 2)
    assert (publisher.kept, publisher.duplicates) == (2, 1)


async def test_many_in_flight_are_all_waited_for() -> None:
    log = await declared(FaultyLog())
    assert (await send(log, 50, in_flight=8)).kept == 50


@pytest.mark.parametrize("in_flight", [1, 4])
async def test_storage_that_stays_full_reaches_the_caller(in_flight: int) -> None:
    log = await declared(FaultyLog(*[StorageFullError("full")] * 100))
    with pytest.raises(StorageFullError, match="full"):
        await send(log, 20, in_flight=in_flight)


@pytest.mark.parametrize("in_flight", [1, 4])
async def test_the_end_of_an_epoch_is_said_after_everything_else_is_kept(in_flight: int) -> None:
    log = await declared(FaultyLog(None, StorageFullError("full")))
    async with open_publisher(
        log, "icu", "a", sending=Sending(in_flight=in_flight, retry=AT_ONCE)
    ) as publisher:
        for _ in range(3):
            await publisher.publish(PAIR)
        await publisher.finish()
    chunks = await kept(log)
    assert [chunk.final for chunk in chunks] == [False, False, False, True]
    assert chunks[-1].first_sample == 9
    assert chunks[-1].n_samples == 0


async def test_unstorable_end_marker_raises_for_caller() -> None:
    log = await declared(FaultyLog(None, NotStoredError("no")))
    async with open_publisher(
        log, "icu", "a", sending=Sending(in_flight=1, retry=AT_ONCE)
    ) as publisher:
        await publisher.publish(PAIR)
        with pytest.raises(NotStoredError):
            await publisher.finish()
    assert [chunk.final for chunk in await kept(log)] == [False]


async def test_a_permanent_fault_is_not_tried_again() -> None:
    log = await declared(FaultyLog(NotStoredError("never")))
    with pytest.raises(NotStoredError, match="never"):
        await send(log, 1)
    assert log.faults == []


async def test_a_chunk_that_was_given_up_while_another_is_sent_again_takes_no_slot() -> None:
    log = await declared(FaultyLog(*[BusTimeoutError("slow")] * 2))
    patient = RetryPolicy(first_delay_s=0.3, max_tries=None)
    with fail_after(10):
        async with open_publisher(
            log, "s", "e", sending=Sending(in_flight=2, retry=patient)
        ) as publisher:
            await publisher.publish(PAIR)
            await log.failed.wait()
            with anyio.move_on_after(0.05) as gave_up:
                await publisher.publish(PAIR)
            assert gave_up.cancelled_caught
            assert publisher.next_sample == 3
            for _ in range(3):
                await publisher.publish(PAIR)
    assert [chunk.first_sample for chunk in await kept(log)] == [0, 3, 6, 9]


async def test_full_log_error_states_where_to_resume() -> None:
    log = await declared(FaultyLog(None, None, *[StorageFullError("full")] * 100))
    sending = Sending(in_flight=8, retry=AT_ONCE)
    opened: list[Publisher] = []

    async def overflow() -> None:
        async with open_publisher(log, "s", "e", sending=sending) as publisher:
            opened.append(publisher)
            for _ in range(20):
                await publisher.publish(PAIR)

    with pytest.raises(StorageFullError) as caught:
        await overflow()
    assert opened[0].first_unkept == 2 * len(PAIR)
    assert caught.value.__notes__[0].startswith("Sample 6 of epoch e of s is the first")
    tries = 100 - len(log.faults)
    assert tries <= 8 + (AT_ONCE.max_tries or 0)  # each in flight once, and one of them to the end
    log.faults.clear()
    async with open_publisher(log, "s", "e", sending=sending) as publisher:
        await publisher.publish(PAIR, first_sample=2 * len(PAIR))
    assert [chunk.first_sample for chunk in await kept(log)] == [0, 3, 6]


class GatedLog(MemoryLog):
    """A log that delays ids ending in `holding` until released, and counts waiting publishes."""

    def __init__(self, holding: str = "") -> None:
        super().__init__()
        self.holding = holding
        self.waiting = 0
        self.arrived = anyio.Event()
        self.gate = anyio.Event()

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        headers: Mapping[str, str] | None = None,
        expect_seq: int | None = None,
    ) -> StoreAck:
        if self.holding in msg_id:
            self.waiting += 1
            self.arrived.set()
            await self.gate.wait()
        return await super().store(
            subject, data, msg_id=msg_id, headers=headers, expect_seq=expect_seq
        )


async def test_the_first_chunk_of_an_epoch_goes_by_itself_and_then_as_many_as_allowed() -> None:
    log = GatedLog()
    await log.declare(system_topology(StorageSettings()))

    async def send_all(publisher: Publisher) -> None:
        for _ in range(20):
            await publisher.publish(PAIR)

    async with (
        open_publisher(log, "s", "e", sending=Sending(in_flight=4)) as publisher,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(send_all, publisher)
        await log.arrived.wait()
        await anyio.wait_all_tasks_blocked()
        assert log.waiting == 1
        gate, log.gate = log.gate, anyio.Event()
        gate.set()
        await anyio.wait_all_tasks_blocked()
        assert (log.waiting, publisher.kept) == (5, 1)
        log.gate.set()
    assert publisher.kept == 20


async def test_small_pushes_are_joined_to_chunks(bus: MemoryBus) -> None:
    rows = np.arange(60, dtype="<f4").reshape(30, 2)
    async with Client(bus).publisher("s", "e", batch_samples=8) as publisher:
        for at, row in enumerate(rows):
            await publisher.push(row[None], t0_ns=1000 + at)
    chunks = await kept(bus.log)
    assert [chunk.n_samples for chunk in chunks] == [8, 8, 8, 6]
    assert [chunk.t0_ns for chunk in chunks] == [1000, 1008, 1016, 1024]
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), rows)


async def test_what_is_pushed_leaves_in_time_without_more(bus: MemoryBus) -> None:
    async with Client(bus).publisher("s", "e", batch_s=0.01) as publisher:
        with fail_after(10):
            for count in (1, 2, 3):
                await publisher.push(PAIR)
                async with bus.log.replay(
                    storage.SIGNALS, (subjects.SIGNALS,), start_seq=count
                ) as messages:
                    await anext(messages)


async def test_the_end_comes_after_what_was_pushed(bus: MemoryBus) -> None:
    async with Client(bus).publisher("s", "e", batch_s=60) as publisher:
        await publisher.push(PAIR)
        await publisher.finish()
    assert [chunk.final for chunk in await kept(bus.log)] == [False, True]


async def test_an_array_can_be_filled_again_as_soon_as_it_was_pushed(bus: MemoryBus) -> None:
    buffer = np.zeros((3, 2), "<f4")
    async with Client(bus).publisher("s", "e", batch_s=60) as publisher:
        for value in (1, 2, 3):
            buffer[:] = value
            await publisher.push(buffer)
    (chunk,) = await kept(bus.log)
    np.testing.assert_array_equal(chunk.samples[::3, 0], [1, 2, 3])


async def test_calls_at_the_same_time_get_places_one_after_the_other() -> None:
    log = GatedLog()
    await log.declare(system_topology(StorageSettings()))
    sending = Sending(in_flight=1)
    async with (
        open_publisher(log, "s", "e", sending=sending) as publisher,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(3):
            tasks.start_soon(publisher.publish, PAIR)
        await log.arrived.wait()
        log.gate.set()
    assert (publisher.kept, publisher.duplicates, publisher.next_sample) == (3, 0, 9)
    assert sorted(chunk.first_sample or 0 for chunk in await kept(log)) == [0, 3, 6]


async def test_a_chunk_that_was_given_up_leaves_its_place_to_the_next() -> None:
    log = GatedLog()
    await log.declare(system_topology(StorageSettings()))
    async with open_publisher(log, "s", "e", sending=Sending(in_flight=1)) as publisher:
        await publisher.publish(PAIR)
        with anyio.move_on_after(0.01) as gave_up:
            await publisher.publish(PAIR, first_sample=100)
        assert gave_up.cancelled_caught
        assert publisher.next_sample == 3
        log.gate.set()


async def test_samples_resent_in_other_chunks_are_all_stored(bus: MemoryBus) -> None:
    rows = np.arange(10, dtype="<f4")
    for cuts in ([4, 10], [6, 10]):
        async with Client(bus).publisher("s", "e") as publisher:
            for first, stop in zip([0, *cuts], cuts, strict=False):
                await publisher.publish(rows[first:stop])
            await publisher.finish()
    chunks = await kept(bus.log, channels=1)
    assert [(c.first_sample, c.n_samples) for c in chunks] == [
        (0, 4), (4, 6), (10, 0), (0, 6), (6, 4), (10, 0),
    ]  # fmt: skip


async def test_invalid_stream_name_is_refused(bus: MemoryBus) -> None:
    with pytest.raises(Unprocessable, match="stream"):
        async with Client(bus).publisher("a b"):
            pass


async def test_after_its_end_an_epoch_takes_no_more_until_another_begins(bus: MemoryBus) -> None:
    async with Client(bus).publisher("s", "one") as publisher:
        await publisher.publish(PAIR)
        await publisher.finish()
        await publisher.finish()
        for call in (publisher.publish, publisher.push):
            with pytest.raises(RuntimeError, match=r"\bone\b.*ended"):
                await call(PAIR)
        await publisher.restart("two")
        await publisher.publish(PAIR)
    assert [(c.epoch, c.n_samples) for c in await kept(bus.log)] == [
        ("one", 3), ("one", 0), ("two", 3),
    ]  # fmt: skip


async def test_closed_publisher_raises(bus: MemoryBus) -> None:
    async with Client(bus).publisher("s") as publisher:
        await publisher.publish(PAIR)
    for call in (publisher.publish, publisher.push):
        with pytest.raises(RuntimeError, match="closed"):
            await call(PAIR)
    with pytest.raises(RuntimeError, match="closed"):
        await publisher.finish()


async def test_abandoned_push_is_still_sent() -> None:
    log = GatedLog()
    await log.declare(system_topology(StorageSettings()))
    sending = Sending(in_flight=1, batch_samples=3)
    async with open_publisher(log, "s", "e", sending=sending) as publisher:
        await publisher.push(PAIR)
        with anyio.move_on_after(0.01) as gave_up:
            await publisher.push(PAIR)
        assert gave_up.cancelled_caught
        log.gate.set()
        await publisher.push(PAIR)
    assert [chunk.first_sample for chunk in await kept(log)] == [0, 3, 6]


async def test_a_new_epoch_counts_from_the_start(bus: MemoryBus) -> None:
    async with Client(bus).publisher("s", "one") as publisher:
        await publisher.push(PAIR)
        await publisher.restart("two")
        await publisher.push(PAIR)
        await publisher.restart()
        await publisher.push(PAIR)
    chunks = await kept(bus.log)
    assert [chunk.first_sample for chunk in chunks] == [0, 0, 0]
    assert [chunk.epoch for chunk in chunks] == ["one", "two", publisher.epoch]
    assert publisher.epoch > "2026"


async def test_without_a_name_an_epoch_is_named_by_the_time(bus: MemoryBus) -> None:
    async with Client(bus).publisher("s") as publisher:
        await publisher.publish(PAIR)
    assert [chunk.epoch for chunk in await kept(bus.log)] == [publisher.epoch]


async def test_a_large_chunk_goes_out_in_several_and_nothing_is_lost(bus: MemoryBus) -> None:
    samples = np.arange(700_000, dtype="<f4").reshape(-1, 2)
    async with Client(bus).publisher("s", "e") as publisher:
        await publisher.publish(samples, t0_ns=5)
    chunks = await kept(bus.log)
    assert max(chunk.samples.nbytes for chunk in chunks) <= MAX_CHUNK_BYTES
    assert [chunk.t0_ns for chunk in chunks] == [5, None, None]
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), samples)


async def test_masked_samples_are_missing_ones(bus: MemoryBus) -> None:
    masked = np.ma.MaskedArray(np.array([1, 2, 3], "<i2"), [False, True, False])
    async with Client(bus).publisher("s", "e") as publisher:
        await publisher.push(masked)
    (chunk,) = await kept(bus.log, channels=1)
    np.testing.assert_array_equal(chunk.samples, [1, np.nan, 3])


@pytest.mark.parametrize("encoding", [ContentType.OCTETS, ContentType.MSGPACK])
async def test_infinite_samples_are_missing_ones(
    bus: MemoryBus, encoding: Literal[ContentType.OCTETS, ContentType.MSGPACK]
) -> None:
    """One ended the publishing."""
    samples = np.array([1, np.inf, 3, -np.inf, 5], "<f4")
    async with Client(bus).publisher("s", "e", encoding=encoding) as publisher:
        await publisher.publish(samples)
        await publisher.push(samples[:2])
    first, second = await kept(bus.log, channels=1)
    np.testing.assert_array_equal(first.samples, [1, np.nan, 3, np.nan, 5])
    np.testing.assert_array_equal(second.samples, [1, np.nan])
    assert np.isinf(samples).sum() == 2


@pytest.mark.parametrize("dtype", ["i8", "u8", ">i8", "u4", "i2", ">i2", ">f4", "f2", "f8"])
async def test_numbers_of_any_width_and_order_are_kept_as_they_are(
    bus: MemoryBus, dtype: str
) -> None:
    numbers = np.arange(20).reshape(10, 2).astype(dtype)
    async with Client(bus).publisher("s", "e") as publisher:
        await publisher.publish(numbers)
        await publisher.publish(numbers[::-1, ::-1])
    first, second = await kept(bus.log)
    np.testing.assert_array_equal(first.samples, numbers)
    np.testing.assert_array_equal(second.samples, numbers[::-1, ::-1])


async def push_for_ever(bus: MemoryBus, *samples: ArrayLike) -> None:
    """Push the samples, and then valid ones until an error is raised."""
    async with Client(bus).publisher("s", "e", batch_s=0.001) as publisher:
        for each in samples:
            await publisher.push(each)  # type: ignore[arg-type] # as a caller without types may
        with fail_after(10):
            while True:
                await publisher.push(np.array([1.0]))
                await anyio.lowlevel.checkpoint()


async def test_samples_that_no_chunk_can_have_reach_the_caller(bus: MemoryBus) -> None:
    with pytest.raises(ValueError, match=r"\(1, channel\)"):
        await push_for_ever(bus, 3.0)
    with pytest.raises(ValueError, match="channels"):
        await push_for_ever(bus, np.zeros((1, 2)))


async def test_the_callers_own_error_comes_out_as_it_is(bus: MemoryBus) -> None:
    with pytest.raises(ZeroDivisionError):
        async with Client(bus).publisher("s", "e"):
            raise ZeroDivisionError


def test_the_server_remembers_an_id_for_longer_than_it_is_tried() -> None:
    assert PATIENT.max_tries is not None
    pauses = sum(PATIENT.ceiling_s(tries) for tries in range(1, PATIENT.max_tries))
    assert pauses + (PATIENT.max_tries + 1) * STORE_TIMEOUT_S < DUPLICATE_WINDOW_S


async def test_unacknowledged_chunk_is_overtaken_by_few() -> None:
    log = GatedLog(holding="/1+1/")  # its request was lost with a server
    await log.declare(system_topology(StorageSettings()))
    async with open_publisher(log, "s", "e", sending=Sending(in_flight=4)) as publisher:
        with anyio.move_on_after(0.1):
            for _ in range(20):
                await publisher.publish(np.zeros(1))
        assert await log.last_seq(storage.SIGNALS) == 1 + 3  # the first, and three behind the stuck
        log.gate.set()
    assert publisher.kept == 5
