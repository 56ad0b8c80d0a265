"""Large values: kept whole under a name, or not at all."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from cwt_runtime.bus import Bus, Objects
from cwt_runtime.bus.errors import StorageFullError
from cwt_schemas import storage

pytestmark = pytest.mark.anyio

#: Two of them fit a small bucket, three do not; more than one chunk each.
LARGE = np.random.default_rng(1).bytes(1_300_000)


@pytest.fixture
async def objects(bus: Bus) -> Objects:
    return await bus.log.objects(storage.OBJECTS)


@pytest.fixture
async def replies(bus: Bus) -> Objects:
    return await bus.log.objects(storage.REPLIES)


@pytest.mark.parametrize("data", [b"", b"small", LARGE])
async def test_stored_object_is_returned_with_hash(objects: Objects, data: bytes) -> None:
    told = await objects.put("a/b-1", data)
    assert await objects.get("a/b-1") == data
    assert (told.bucket, told.name, told.size) == (storage.OBJECTS, "a/b-1", len(data))
    assert told.sha256 == hashlib.sha256(data).hexdigest()


async def test_missing_key_is_none(objects: Objects) -> None:
    assert await objects.get("nothing") is None


async def test_the_newest_value_of_a_name_counts(objects: Objects) -> None:
    await objects.put("a", LARGE)
    await objects.put("a", b"new")
    assert await objects.get("a") == b"new"


async def test_deleting_is_idempotent(objects: Objects) -> None:
    await objects.put("a", b"x")
    await objects.delete("a")
    await objects.delete("a")
    assert await objects.get("a") is None


async def test_cleared_bucket_is_empty_and_writable(objects: Objects) -> None:
    await objects.put("a", LARGE)
    await objects.put("b", b"x")
    await objects.clear()
    assert (await objects.get("a"), await objects.get("b")) == (None, None)
    await objects.put("a", b"new")
    assert await objects.get("a") == b"new"


async def test_a_full_store_refuses_and_keeps_what_it_has(objects: Objects) -> None:
    await objects.put("1", LARGE)
    await objects.put("2", LARGE)
    with pytest.raises(StorageFullError):
        await objects.put("3", LARGE)
    assert await objects.get("3") is None
    assert [await objects.get(name) == LARGE for name in "12"] == [True, True]


async def test_full_replies_drop_the_oldest_and_never_hand_out_a_part(replies: Objects) -> None:
    for name in "123":
        await replies.put(name, LARGE)
    assert await replies.get("1") is None
    assert await replies.get("3") == LARGE


async def test_what_is_larger_than_the_whole_store_is_refused(
    objects: Objects, replies: Objects
) -> None:
    for store in (objects, replies):
        with pytest.raises(StorageFullError):
            await store.put("1", LARGE * 3)
        assert await store.get("1") is None
