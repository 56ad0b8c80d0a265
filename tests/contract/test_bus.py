"""What every bus promises: one body, run on the double and on a real server."""

from __future__ import annotations

import anyio
import pytest

from cwt_runtime.bus import Bus, Delivery, StoredMessage, Subscription
from cwt_runtime.bus.errors import (
    BusTimeoutError,
    BusUnreachableError,
    NoRespondersError,
    RevisionConflictError,
    StorageFullError,
)
from cwt_schemas import storage, subjects
from tests.contract.conftest import SMALL_STREAM_BYTES, small_topology
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

WINDOW = subjects.window("s", "a")


async def store_windows(bus: Bus, count: int) -> None:
    for i in range(count):
        await bus.log.store(WINDOW, b"%d" % i, msg_id=f"w{i}")


async def take(bus: Bus, count: int) -> list[Delivery]:
    async with bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:
        with fail_after(10):
            return [await consumer.next() for _ in range(count)]


async def read(
    bus: Bus, count: int, *, start_seq: int = 1, start_time_ns: int | None = None
) -> list[StoredMessage]:
    found: list[StoredMessage] = []
    async with bus.log.replay(
        storage.SIGNALS, (subjects.SIGNALS,), start_seq=start_seq, start_time_ns=start_time_ns
    ) as messages:
        with fail_after(10):
            async for stored in messages:
                found.append(stored)
                if len(found) == count:
                    break
    return found


async def test_a_published_message_reaches_every_plain_subscriber(bus: Bus) -> None:
    async with bus.subscribe("t.*") as one, bus.subscribe("t.>") as other:
        await bus.publish("t.x", b"hello", {"A": "b"})
        for subscription in (one, other):
            with fail_after(5):
                message = await anext(aiter(subscription))
            assert (message.subject, message.data, message.headers) == ("t.x", b"hello", {"A": "b"})


async def test_a_queue_group_shares_the_messages(bus: Bus) -> None:
    seen: list[bytes] = []

    async def pump(subscription: Subscription) -> None:
        async for message in subscription:
            seen.append(message.data)  # noqa: PERF401 - both pumps share the list

    async with (
        bus.subscribe("q", "g") as one,
        bus.subscribe("q", "g") as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(pump, one)
        tasks.start_soon(pump, other)
        for i in range(20):
            await bus.publish("q", b"%d" % i)
        await one.drain()
        await other.drain()
    assert sorted(seen, key=int) == [b"%d" % i for i in range(20)]


async def test_draining_hands_over_what_had_arrived_and_then_ends(bus: Bus) -> None:
    async with bus.subscribe("d") as subscription:
        for i in range(5):
            await bus.publish("d", b"%d" % i)
        await subscription.drain()
        with fail_after(5):
            assert [message.data async for message in subscription] == [b"%d" % i for i in range(5)]


async def test_a_request_gets_its_answer(bus: Bus) -> None:
    async def serve(subscription: Subscription) -> None:
        async for message in subscription:
            await bus.publish(message.reply or "", message.data.upper(), {"H": "1"})

    async with bus.subscribe("ask") as subscription, anyio.create_task_group() as tasks:
        tasks.start_soon(serve, subscription)
        answer = await bus.request("ask", b"hello", timeout_s=5)
        assert (answer.data, answer.headers["H"]) == (b"HELLO", "1")
        await subscription.drain()


async def test_query_to_all_is_answered_by_each_worker(bus: Bus) -> None:
    async def serve(subscription: Subscription, name: bytes) -> None:
        async for message in subscription:
            await bus.publish(message.reply or "", name)

    async with (
        bus.subscribe("who") as one,
        bus.subscribe("who") as other,
        bus.subscribe("answers") as answers,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(serve, one, b"one")
        tasks.start_soon(serve, other, b"other")
        await bus.publish("who", b"", reply="answers")
        with fail_after(5):
            came = [(await anext(aiter(answers))).data for _ in range(2)]
        assert sorted(came) == [b"one", b"other"]
        tasks.cancel_scope.cancel()


async def test_request_without_responder_fails_immediately(bus: Bus) -> None:
    with fail_after(2), pytest.raises(NoRespondersError):
        await bus.request("nobody", b"", timeout_s=60)


async def test_a_request_without_answer_times_out(bus: Bus) -> None:
    async with bus.subscribe("mute"):
        with pytest.raises(BusTimeoutError):
            await bus.request("mute", b"", timeout_s=0.05)


async def test_a_stored_message_is_read_back_in_order_with_its_headers(bus: Bus) -> None:
    acks = [
        await bus.log.store(subjects.signal("s"), b"%d" % i, msg_id=f"i{i}", headers={"N": str(i)})
        for i in range(3)
    ]
    assert [ack.seq for ack in acks] == [1, 2, 3]
    found = await read(bus, 3)
    assert [(s.seq, s.message.data, s.message.headers["N"]) for s in found] == [
        (1, b"0", "0"),
        (2, b"1", "1"),
        (3, b"2", "2"),
    ]
    assert await bus.log.last_seq(storage.SIGNALS) == 3


async def test_a_stored_message_reaches_those_who_listen(bus: Bus) -> None:
    async with bus.subscribe(subjects.event("s")) as subscription:
        await bus.log.store(subjects.event("s"), b"x", msg_id="1", headers={"A": "b"})
        with fail_after(5):
            message = await anext(aiter(subscription))
    assert (message.data, message.headers["A"]) == (b"x", "b")


async def test_a_known_message_id_is_not_stored_again(bus: Bus) -> None:
    first = await bus.log.store(subjects.signal("s"), b"x", msg_id="same")
    second = await bus.log.store(subjects.signal("s"), b"x", msg_id="same")
    assert (first.duplicate, second.duplicate) == (False, True)
    assert await bus.log.last_seq(storage.SIGNALS) == 1


async def test_replay_starts_at_requested_position_and_continues_live(bus: Bus) -> None:
    for i in range(4):
        await bus.log.store(subjects.signal("s"), b"%d" % i, msg_id=f"i{i}")
    found: list[bytes] = []
    async with bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,), start_seq=3) as messages:
        with fail_after(10):
            async for stored in messages:
                found.append(stored.message.data)
                if stored.seq == 4:
                    await bus.log.store(subjects.signal("s"), b"new", msg_id="new")
                if stored.seq == 5:
                    break
    assert found == [b"2", b"3", b"new"]


async def test_replay_starts_at_requested_nanosecond(bus: Bus) -> None:
    for i in range(6):
        await bus.log.store(subjects.signal("s"), b"%d" % i, msg_id=f"i{i}")
    stored = await read(bus, 6)
    for at in range(1, 6):
        exactly, before = stored[at].stored_ns, stored[at - 1].stored_ns + 1
        assert await read(bus, 6 - at, start_time_ns=exactly) == stored[at:]
        assert await read(bus, 6 - at, start_time_ns=before) == stored[at:]


async def test_replay_from_a_time_and_a_place_starts_at_the_later_one(bus: Bus) -> None:
    for i in range(4):
        await bus.log.store(subjects.signal("s"), b"%d" % i, msg_id=f"i{i}")
    stored = await read(bus, 4)
    early, late = stored[0].stored_ns, stored[3].stored_ns
    assert await read(bus, 2, start_seq=3, start_time_ns=early) == stored[2:]
    assert await read(bus, 1, start_seq=2, start_time_ns=late) == stored[3:]


async def test_replay_of_more_than_a_batch_has_no_hole(bus: Bus) -> None:
    async def store(i: int) -> None:
        await bus.log.store(subjects.signal("s"), b"%d" % i, msg_id=f"i{i}")

    async with anyio.create_task_group() as tasks:
        for i in range(300):
            tasks.start_soon(store, i)
    assert [stored.seq for stored in await read(bus, 300)] == list(range(1, 301))


async def test_abandoned_read_loses_and_repeats_nothing(bus: Bus) -> None:
    async def store(first: int, end: int) -> None:
        for i in range(first, end):
            await bus.log.store(subjects.signal("s"), b"%d" % i, msg_id=f"i{i}")

    found: list[int] = []
    await store(0, 3)
    async with bus.log.replay(storage.SIGNALS, (subjects.SIGNALS,)) as messages:
        with fail_after(20):
            for start in (3, 6, 9):
                while len(found) < start:
                    found.append((await anext(messages)).seq)
                with anyio.move_on_after(0.05) as gave_up:
                    found.append((await anext(messages)).seq)
                assert gave_up.cancelled_caught
                await store(start, start + 3)
            found.extend([(await anext(messages)).seq for _ in range(3)])
    assert found == list(range(1, 13))


async def test_a_wait_for_a_window_that_was_given_up_loses_none(bus: Bus) -> None:
    async with bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:
        with anyio.move_on_after(0.05) as gave_up:
            await consumer.next()
        assert gave_up.cancelled_caught
        await store_windows(bus, 3)
        with fail_after(10):
            for i in range(3):
                delivery = await consumer.next()
                assert (delivery.stored.message.data, delivery.deliveries) == (b"%d" % i, 1)
                await delivery.ack()


async def test_each_window_goes_to_one_consumer(bus: Bus) -> None:
    await store_windows(bus, 6)
    async with (
        bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as one,
        bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as other,
    ):
        with fail_after(10):
            taken = [await consumer.next() for consumer in (one, other) * 3]
        assert sorted(d.stored.message.data for d in taken) == [b"%d" % i for i in range(6)]
        for delivery in taken:
            await delivery.ack()


async def test_an_acknowledged_window_does_not_come_back(bus: Bus) -> None:
    await store_windows(bus, 2)
    for delivery in await take(bus, 2):
        await delivery.ack()
    await store_windows(bus, 3)  # 0 and 1 are duplicates
    (delivery,) = await take(bus, 1)
    assert delivery.stored.message.data == b"2"


async def test_returned_window_is_redelivered_and_counted(bus: Bus) -> None:
    await store_windows(bus, 1)
    (first,) = await take(bus, 1)
    await first.nak()
    (second,) = await take(bus, 1)
    assert (first.deliveries, second.deliveries) == (1, 2)
    await second.ack()


async def test_a_silent_consumer_loses_its_window_to_another(bus: Bus) -> None:
    await bus.log.declare(small_topology(ack_wait_s=0.3), update=True)
    await store_windows(bus, 1)
    await take(bus, 1)
    (again,) = await take(bus, 1)
    assert again.deliveries == 2
    await again.ack()


async def test_dead_lettered_window_is_not_redelivered(bus: Bus) -> None:
    await store_windows(bus, 2)
    first, second = await take(bus, 2)
    await first.term("poison")
    await second.in_progress()
    await second.nak()
    (again,) = await take(bus, 1)
    assert again.stored.message.data == second.stored.message.data
    await again.ack()


async def test_the_backlog_counts_what_waits_and_what_is_out(bus: Bus) -> None:
    await store_windows(bus, 3)
    async with bus.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as consumer:
        delivery = await consumer.next()
        backlog = await bus.log.backlog(storage.WINDOWS, storage.COMPUTE_WINDOWS)
        assert (backlog.waiting, backlog.in_flight) == (2, 1)
        await delivery.ack()


async def test_full_stream_error_reaches_publisher(bus: Bus) -> None:
    await bus.log.store(WINDOW, bytes(SMALL_STREAM_BYTES * 3 // 4), msg_id="fits")
    with pytest.raises(StorageFullError):
        await bus.log.store(WINDOW, bytes(SMALL_STREAM_BYTES // 2), msg_id="does not")


async def test_a_subject_that_no_stream_holds_counts_as_unreachable(bus: Bus) -> None:
    with pytest.raises(BusUnreachableError):
        await bus.log.store("other.subject", b"", msg_id="x")


@pytest.mark.parametrize("subject", ["cwt.window.s", "cwt.result.s.a.b", "cwt.event.s.x"])
async def test_what_has_not_the_form_of_its_kind_is_not_kept(bus: Bus, subject: str) -> None:
    with pytest.raises(BusUnreachableError):
        await bus.log.store(subject, b"", msg_id="x")


async def test_a_bucket_keeps_the_newest_value(bus: Bus) -> None:
    bucket = await bus.log.bucket(storage.KV_STREAMS)
    assert await bucket.get("k") is None
    await bucket.put("k", b"1")
    revision = await bucket.put("k", b"2")
    entry = await bucket.get("k")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"2", revision)


async def test_replacing_needs_the_present_revision(bus: Bus) -> None:
    bucket = await bus.log.bucket(storage.KV_STREAMS)
    revision = await bucket.replace("k", b"1", 0)
    with pytest.raises(RevisionConflictError):
        await bucket.replace("k", b"other", 0)
    await bucket.replace("k", b"2", revision)
    with pytest.raises(RevisionConflictError):
        await bucket.replace("k", b"3", revision)


async def test_deleted_key_is_absent_and_can_be_created_again(bus: Bus) -> None:
    bucket = await bus.log.bucket(storage.KV_STREAMS)
    await bucket.delete("k")
    await bucket.put("k", b"1")
    await bucket.put("other", b"1")
    await bucket.delete("k")
    assert await bucket.get("k") is None
    assert await bucket.keys() == ("other",)
    await bucket.replace("k", b"again", 0)
    assert await bucket.keys() == ("k", "other")


async def test_watch_yields_newest_values_then_changes(bus: Bus) -> None:
    bucket = await bus.log.bucket(storage.KV_STREAMS)
    for value in (b"old", b"new"):
        await bucket.put("a.1", value)
    await bucket.put("b", b"other")
    async with bucket.watch("a.*") as changes:
        with fail_after(10):
            first = await anext(changes)
            again = await bucket.put("a.2", b"more")
            second = await anext(changes)
            await bucket.delete("a.1")
            third = await anext(changes)
    assert (first.key, first.value) == ("a.1", b"new")
    assert (second.key, second.value, second.revision) == ("a.2", b"more", again)
    assert (third.key, third.value) == ("a.1", None)


async def test_abandoned_watch_misses_nothing(bus: Bus) -> None:
    bucket = await bus.log.bucket(storage.KV_STREAMS)
    async with bucket.watch() as changes:
        with anyio.move_on_after(0.05):
            await anext(changes)
        await bucket.put("a", b"1")
        with fail_after(10):
            assert (await anext(changes)).value == b"1"


async def test_a_revision_from_before_a_deletion_replaces_nothing(bus: Bus) -> None:
    bucket = await bus.log.bucket(storage.KV_STREAMS)
    revision = await bucket.put("a", b"1")
    await bucket.delete("a")
    with pytest.raises(RevisionConflictError):
        await bucket.replace("a", b"2", revision)


async def test_reader_knows_number_of_remaining_messages(bus: Bus) -> None:
    for i in range(3):
        await bus.log.store(subjects.signal("s"), b"x", msg_id=f"{i}")
    assert [stored.pending for stored in await read(bus, 3)] == [2, 1, 0]


async def test_messages_are_counted_by_subject(bus: Bus) -> None:
    for i, name in enumerate(("s", "s", "other")):
        await bus.log.store(subjects.signal(name), b"x", msg_id=f"{i}")
    counts = await bus.log.subject_counts(storage.SIGNALS, subjects.SIGNALS)
    assert dict(counts) == {subjects.signal("s"): 2, subjects.signal("other"): 1}
    assert not await bus.log.subject_counts(storage.SIGNALS, subjects.signal("nobody"))


async def test_declaring_twice_is_declaring_once(bus: Bus) -> None:
    await bus.log.store(subjects.signal("s"), b"x", msg_id="x")
    await bus.log.declare(small_topology(), update=True)
    assert await bus.log.last_seq(storage.SIGNALS) == 1
