"""Several ingests: each stream followed by one, and always by a next one."""

from __future__ import annotations

from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from cwt_ingest.liveness import assigned_instance
from cwt_ingest.member import this_process
from cwt_ingest.membership import key_of
from cwt_ingest.ownership import (
    Claim,
    Defined,
    OwnedElsewhere,
    Ownership,
    OwnershipLostError,
    checkpoint_key,
)
from cwt_schemas import storage
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.errors import Conflict, Unprocessable
from cwt_schemas.limits import MAX_ANALYSES, MAX_CHANNELS, MAX_JSON_BYTES
from cwt_schemas.stream import Channel, StreamDelete, StreamGet
from tests.unit.ingest.parts import (
    LOG,
    QUICK,
    a_log,
    an_ingest,
    checkpoint,
    definition,
    owned,
    running,
    saved,
    send,
    windows,
)

pytestmark = pytest.mark.anyio
NAMES = [f"s{i}" for i in range(8)]


async def test_streams_are_shared_out_and_taken_over_when_somebody_leaves() -> None:
    log = await a_log()
    async with running(await an_ingest(log, "one")) as one:
        async with running(await an_ingest(log, "two")):
            for name in NAMES:
                await one.catalogue.put(definition(name))
            for name in NAMES:
                await owned(log, assigned_instance(name, ("one", "two")), name)
                await send(log, 0, stream=name)
            for seq, name in enumerate(NAMES, 1):
                await saved(log, seq, name)
        for name in NAMES:
            await owned(log, "one", name)
        assert {assigned_instance(name, ("one", "two")) for name in NAMES} == {"one", "two"}


@pytest.mark.slow
async def test_who_comes_later_gets_its_share_and_goes_on_where_the_other_was() -> None:
    log = await a_log()
    async with running(await an_ingest(log, "one")) as one:
        for name in NAMES:
            await one.catalogue.put(definition(name))
            await send(log, 0, 1000, stream=name)
        for seq, name in enumerate(NAMES, 1):
            await saved(log, seq, name)
        async with running(await an_ingest(log, "two")):
            for name in NAMES:
                await owned(log, assigned_instance(name, ("one", "two")), name)
                await send(log, 1000, 1000, stream=name)
            for seq, name in enumerate(NAMES, len(NAMES) + 1):
                assert (await saved(log, seq, name)).state.epoch == "e"
    found = await windows(log)
    assert len(set(found)) == len(found)
    straight = await a_log()
    async with running(await an_ingest(straight)) as alone:
        for name in NAMES:
            await alone.catalogue.put(definition(name))
        for name in NAMES:
            await send(straight, 0, 2000, stream=name)
        for seq, name in enumerate(NAMES, 1):
            await saved(straight, seq, name)
    assert sorted(found) == sorted(await windows(straight))


async def test_any_ingest_tells_of_every_stream() -> None:
    log = await a_log()
    async with (
        running(await an_ingest(log, "one")) as one,
        running(await an_ingest(log, "two")) as two,
    ):
        await one.catalogue.put(definition())
        owner = assigned_instance("s", ("one", "two"))
        await owned(log, owner)
        await send(log, 0)
        await saved(log, 1)
        for each in (one, two):
            status = await each.catalogue.get(StreamGet(name="s"))
            assert (status.owner, status.chunks, status.next_sample) == (owner, 1, 100)


async def test_a_changed_definition_starts_afresh_and_the_same_one_does_not() -> None:
    log = await a_log()
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0)
        await saved(log, 1)
        assert (await ingest.catalogue.put(definition())).chunks == 1
        assert (await ingest.catalogue.put(definition(fs_hz=200.0))).chunks == 0
        await send(log, 100)
        while (found := await saved(log, 2)).definition_revision == 1:  # the last of the old one
            await anyio.lowlevel.checkpoint()
        assert found.progress.chunks == 1


async def test_a_definition_that_is_longer_in_json_than_clients_may_send_is_read_again() -> None:
    """It was accepted in msgpack, stored as JSON, and could not be read from then on."""
    names = [f"channel-{i:032}" for i in range(MAX_CHANNELS)]
    analyses = [
        AnalysisSpec(
            name=f"a{i}", op="wct", pairs=tuple(zip(names, names[1:] + names[:1], strict=True)),
            fmin_hz=1, fmax_hz=2, hop_s=30.0, quantity="coherence",
        )
        for i in range(MAX_ANALYSES)
    ]  # fmt: skip
    channels = tuple(Channel(name=name) for name in names)
    large = definition(channels=channels, analyses=analyses)
    assert len(encode(large, ContentType.JSON)) > MAX_JSON_BYTES
    ingest = await an_ingest(await a_log())
    await ingest.catalogue.put(large)
    assert (await ingest.catalogue.get(StreamGet(name="s"))).definition.same_as(large)


async def test_a_stream_can_begin_in_the_past() -> None:
    log = await a_log()
    for first in range(0, 500, 100):
        await send(log, first)
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition(start_seq=3))
        assert (await saved(log, 5)).progress.chunks == 3


async def test_a_stream_cannot_begin_in_a_future_that_nobody_knows() -> None:
    ingest = await an_ingest(await a_log())
    with pytest.raises(Unprocessable, match=r"\b0 messages"):
        await ingest.catalogue.put(definition(start_seq=2))


async def test_a_deleted_stream_is_left_and_its_checkpoint_is_gone() -> None:
    log = await a_log()
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        await send(log, 0)
        await saved(log, 1)
        assert (await ingest.catalogue.delete(StreamDelete(name="s"))).chunks == 1
        await ingest.catalogue.put(definition("t"))
        await owned(log, "me", "t")
        assert await checkpoint(log) is None


async def test_what_somebody_has_who_is_there_is_not_taken_and_later_is() -> None:
    log = await a_log()
    bucket = await log.bucket(storage.KV_CHECKPOINTS)
    # A renewal between the removal of the key and the end would find the key removed.
    seldom = replace(QUICK, renew_s=QUICK.give_up_s / 2)
    one, two = await an_ingest(log, "one", timing=seldom), await an_ingest(log, "two")
    defined = Defined(definition=definition(start_seq=1), revision=1)
    async with one.membership.joined():
        first = await Ownership(log, bucket, one.membership, LOG).claim(defined)
        assert isinstance(first, Claim)
        async with two.membership.joined():
            second = Ownership(log, bucket, two.membership, LOG)
            assert await second.claim(defined) == OwnedElsewhere("one")
            await bucket.delete(key_of("one"))  # as if it had been taken for dead
            assert isinstance(await second.claim(defined), Claim)
            with pytest.raises(OwnershipLostError):
                await first.write(first.checkpoint)
            await bucket.put(key_of("one"), b"")  # so that leaving finds something
    assert (await owned(log, "two")).stream == "s"


async def test_a_checkpoint_of_a_newer_version_is_refused_and_kept() -> None:
    """The analysis started with the next chunk, and the stored chunks were not analysed."""
    log = await a_log()
    bucket = await log.bucket(storage.KV_CHECKPOINTS)
    newer = b'{"schema": "stream.checkpoint/99"}'
    await bucket.put(checkpoint_key("s"), newer)
    ingest = await an_ingest(log)
    async with ingest.membership.joined():
        ownership = Ownership(log, bucket, ingest.membership, LOG)
        defined = Defined(definition=definition(start_seq=1), revision=1)
        with pytest.raises(Conflict, match=r"checkpoint version '99'.*start_seq"):
            await ownership.claim(defined)
    entry = await bucket.get(checkpoint_key("s"))
    assert entry is not None
    assert entry.value == newer


async def test_an_owner_that_was_taken_for_dead_leaves_the_stream_alone() -> None:
    log = await a_log()
    bucket = await log.bucket(storage.KV_CHECKPOINTS)
    async with running(await an_ingest(log)) as ingest:
        await ingest.catalogue.put(definition())
        mine = await owned(log, "me")
        theirs = mine.model_copy(update={"owner": "other"})
        await bucket.put(key_of("other"), this_process("other").model_dump_json().encode())
        await bucket.put("stream.s", theirs.model_dump_json(by_alias=True).encode())
        await send(log, 0)
        with anyio.move_on_after(0.2):
            await owned(log, "me")
            pytest.fail("it wrote into a stream that is another's")


async def test_a_stream_that_an_ingest_owned_before_it_rejoined_is_left_to_the_next_one() -> None:
    """It rejoined under its name, so the ingest that its stream was assigned to waited forever."""
    log = await a_log()
    async with running(await an_ingest(log, "one")) as one:
        for name in NAMES:
            await one.catalogue.put(definition(name))
        before = [await owned(log, "one", name) for name in NAMES]
    bucket = await log.bucket(storage.KV_CHECKPOINTS)
    for each in before:  # as if it had lost the server, and could not release them
        await bucket.put(checkpoint_key(each.stream), encode(each, ContentType.JSON))
    async with running(await an_ingest(log, "two")), running(await an_ingest(log, "one")):
        for name in NAMES:
            await owned(log, assigned_instance(name, ("one", "two")), name)


async def test_a_stream_whose_release_failed_is_released_again() -> None:
    """The ingest that it was assigned to waited until the other one ended."""
    log = await a_log()
    async with running(await an_ingest(log, "one")) as one:
        for name in NAMES:
            await one.catalogue.put(definition(name))
        for name in NAMES:
            await owned(log, "one", name)
        log.checkpoints.lost_releases = len(NAMES)
        async with running(await an_ingest(log, "two")):
            for name in NAMES:
                await owned(log, assigned_instance(name, ("one", "two")), name)
    assert log.checkpoints.lost_releases < len(NAMES)
