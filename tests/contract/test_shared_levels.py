"""Levels that one worker simulated, seen by another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio.to_thread
import numpy as np
import pytest

from pycwt_mod import MonteCarloLevels, wct_significance
from schemas import storage
from services.compute.shared_levels import SharedLevels, name_of
from services.runtime.bus import Bus
from services.runtime.memory_bus import MemoryBus
from services.runtime.topology import BucketSpec, Topology

pytestmark = pytest.mark.anyio

BUCKET = Topology(streams=(), consumers=(), buckets=(BucketSpec(name=storage.KV_SIGNIFICANCE),))
simulate: Callable[..., MonteCarloLevels] = partial(
    wct_significance, 0.5, 0.5, 1.0, 0.5, 2.0, 6, mc_count=20
)


async def levels_from(cache: SharedLevels, **changes: Any) -> MonteCarloLevels:
    return await anyio.to_thread.run_sync(partial(simulate, cache=cache, **{"rng": 1, **changes}))


async def test_a_level_is_simulated_by_one_worker_and_found_by_the_others(bus: Bus) -> None:
    await bus.log.declare(BUCKET)
    one, other = SharedLevels(bus.log), SharedLevels(bus.log)
    first = await levels_from(one)
    calls: list[tuple[int, ...]] = []
    found = await levels_from(other, progress=lambda *done: calls.append(done))
    assert calls == []
    np.testing.assert_array_equal(found, first)
    for fact in ("standard_error", "pairs", "seed", "mc_count", "method"):
        np.testing.assert_array_equal(getattr(found, fact), getattr(first, fact))
    assert len(other) == 1


@pytest.mark.parametrize("changes", [{"rng": 2}, {"significance_level": 0.9}, {"mc_count": 21}])
async def test_another_seed_level_or_number_of_pairs_is_another_entry(
    changes: dict[str, Any],
) -> None:
    memory = MemoryBus()
    await memory.log.declare(BUCKET)
    cache = SharedLevels(memory.log)
    await levels_from(cache)
    await levels_from(cache, **changes)
    assert len(set(map(name_of, cache))) == 2
    assert len(await (await memory.log.bucket(storage.KV_SIGNIFICANCE)).keys()) == 2


async def test_without_a_bucket_levels_are_simulated_all_the_same() -> None:
    cache = SharedLevels(MemoryBus().log)
    np.testing.assert_array_equal(await levels_from(cache), simulate(rng=1))


async def test_what_cannot_be_read_is_simulated_again() -> None:
    memory = MemoryBus()
    await memory.log.declare(BUCKET)
    one = SharedLevels(memory.log)
    first = await levels_from(one)
    bucket = await memory.log.bucket(storage.KV_SIGNIFICANCE)
    for key in await bucket.keys():
        await bucket.put(key, b"of another version")
    np.testing.assert_array_equal(await levels_from(SharedLevels(memory.log)), first)
