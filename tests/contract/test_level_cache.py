"""Levels that one worker simulated, seen by another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest

from cwt_compute.queries.cache import LevelCache, level_name
from cwt_runtime.bus import BucketSpec, Bus, Topology
from cwt_schemas import storage
from pycwt_mod import MonteCarloLevels, wct_significance
from tests.memory_bus import MemoryBus

pytestmark = pytest.mark.anyio

BUCKET = Topology(streams=(), consumers=(), buckets=(BucketSpec(name=storage.KV_SIGNIFICANCE),))
simulate: Callable[..., MonteCarloLevels] = partial(
    wct_significance, 0.5, 0.5, 1.0, 0.5, 2.0, 6, mc_count=20
)


async def levels_from(cache: LevelCache, **changes: Any) -> MonteCarloLevels:
    return await anyio.to_thread.run_sync(partial(simulate, cache=cache, **{"rng": 1, **changes}))


async def levels_of_a_worker(bus: Bus, **changes: Any) -> MonteCarloLevels:
    """Return the levels that a worker of its own found or simulated; they are written then."""
    async with anyio.create_task_group() as tasks:
        cache = LevelCache(bus.log, tasks)
        found = await levels_from(cache, **changes)
    return found  # noqa: RET504 - once it is written


async def test_a_level_is_simulated_by_one_worker_and_found_by_the_others(bus: Bus) -> None:
    await bus.log.declare(BUCKET)
    first = await levels_of_a_worker(bus)
    calls: list[tuple[int, ...]] = []
    found = await levels_of_a_worker(bus, progress=lambda *done: calls.append(done))
    assert calls == []
    np.testing.assert_array_equal(found, first)
    for fact in ("standard_error", "pairs", "seed", "mc_count", "method"):
        np.testing.assert_array_equal(getattr(found, fact), getattr(first, fact))


async def test_a_level_is_found_in_memory_before_it_is_written() -> None:
    memory = MemoryBus()  # without a bucket
    async with anyio.create_task_group() as tasks:
        cache = LevelCache(memory.log, tasks)
        first = await levels_from(cache)
        calls: list[tuple[int, ...]] = []
        again = await levels_from(cache, progress=lambda *done: calls.append(done))
    assert (calls, len(cache)) == ([], 1)
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize("changes", [{"rng": 2}, {"significance_level": 0.9}, {"mc_count": 21}])
async def test_another_seed_level_or_number_of_pairs_is_another_entry(
    changes: dict[str, Any],
) -> None:
    memory = MemoryBus()
    await memory.log.declare(BUCKET)
    async with anyio.create_task_group() as tasks:
        cache = LevelCache(memory.log, tasks)
        await levels_from(cache)
        await levels_from(cache, **changes)
    assert len(set(map(level_name, cache))) == 2
    assert len(await (await memory.log.bucket(storage.KV_SIGNIFICANCE)).keys()) == 2


async def test_without_a_bucket_levels_are_simulated_all_the_same() -> None:
    found = await levels_of_a_worker(MemoryBus())
    np.testing.assert_array_equal(found, simulate(rng=1))


async def test_unreadable_cached_threshold_is_simulated_again() -> None:
    memory = MemoryBus()
    await memory.log.declare(BUCKET)
    first = await levels_of_a_worker(memory)
    bucket = await memory.log.bucket(storage.KV_SIGNIFICANCE)
    for key in await bucket.keys():
        await bucket.put(key, b"of another version")
    np.testing.assert_array_equal(await levels_of_a_worker(memory), first)
