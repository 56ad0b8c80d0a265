"""A cache of significance levels, shared by all workers, in the form that `pycwt_mod` takes.

It is used by computing threads. In front is this process's own memory; behind it the bucket
``cwt_significance``. A failure of the bucket is a miss, not an error. New levels are written
concurrently: their thread does not wait for that.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from typing import TypeAlias

import anyio
import anyio.from_thread
import numpy as np
from anyio.abc import TaskGroup

from pycwt_mod import MonteCarloLevels, MonteCarloPlan
from schemas import storage
from schemas.codec import ContentType, decode, encode
from schemas.errors import ContractError
from schemas.significance import KeptLevels
from services.runtime.bus import Bucket, DurableLog
from services.runtime.bus.errors import BusError

__all__ = ["LevelCache"]

#: What levels depend on: the plan, with the seed and the version of the simulation, and the level.
Key: TypeAlias = tuple[MonteCarloPlan, float]

#: Levels in this process's memory, of a few kilobytes each.
MAX_ENTRIES = 1024
#: A bucket that does not answer by then is slower than most simulations.
TIMEOUT_S = 0.5
#: After a failure the bucket is not used for so long.
PAUSE_S = 10.0


class LevelCache(MutableMapping[Key, MonteCarloLevels]):
    """See the module. Used from threads of anyio; ``len`` and iteration are of this process.

    Parameters
    ----------
    log
        Where the bucket is.
    tasks
        In which to write; closing it waits for what is being written.
    """

    def __init__(self, log: DurableLog, tasks: TaskGroup) -> None:
        self._log = log
        self._tasks = tasks
        self._entries: OrderedDict[Key, MonteCarloLevels] = OrderedDict()
        self._bucket: Bucket | None = None
        self._paused_until = -1.0

    def __getitem__(self, key: Key) -> MonteCarloLevels:
        if key not in self._entries:
            body = anyio.from_thread.run(self._read, name_of(key))
            if body is None:
                raise KeyError(key)
            try:
                kept = decode(KeptLevels, body, ContentType.MSGPACK)
            except ContractError:
                raise KeyError(key) from None  # written by another version
            self._insert(key, _levels(kept, key[0]))
        return self._entries[key]

    def __setitem__(self, key: Key, levels: MonteCarloLevels) -> None:
        self._insert(key, levels)
        anyio.from_thread.run_sync(self._tasks.start_soon, self._write, name_of(key), _body(levels))

    def __delitem__(self, key: Key) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _insert(self, key: Key, levels: MonteCarloLevels) -> None:
        self._entries[key] = levels
        while len(self._entries) > MAX_ENTRIES:
            with suppress(KeyError):  # another thread was faster
                self._entries.popitem(last=False)

    async def _read(self, name: str) -> bytes | None:
        if anyio.current_time() < self._paused_until:
            return None
        try:
            with anyio.fail_after(TIMEOUT_S):
                entry = await (await self._opened()).get(name)
        except (BusError, TimeoutError):
            self._paused_until = anyio.current_time() + PAUSE_S
            return None
        return None if entry is None else entry.value

    async def _write(self, name: str, body: bytes) -> None:
        if anyio.current_time() < self._paused_until:
            return
        try:
            with anyio.fail_after(TIMEOUT_S):
                await (await self._opened()).put(name, body)
        except (BusError, TimeoutError):
            self._paused_until = anyio.current_time() + PAUSE_S

    async def _opened(self) -> Bucket:
        if self._bucket is None:
            self._bucket = await self._log.bucket(storage.KV_SIGNIFICANCE)
        return self._bucket


def name_of(key: Key) -> str:
    """Return the key in the bucket: the plan is a value, and its text is all of it."""
    plan, level = key
    return hashlib.sha256(f"{plan!r} {level!r}".encode()).hexdigest()


def _body(levels: MonteCarloLevels) -> bytes:
    errors, pairs = levels.standard_error, levels.pairs
    kept = KeptLevels(
        signif=np.asarray(levels, dtype=np.float64),
        standard_error=np.full(levels.shape, np.nan) if errors is None else errors,
        pairs=() if pairs is None else tuple(pairs.tolist()),
    )
    return encode(kept, ContentType.MSGPACK)


def _levels(kept: KeptLevels, plan: MonteCarloPlan) -> MonteCarloLevels:
    levels = np.array(kept.signif).view(MonteCarloLevels)
    levels.standard_error = np.array(kept.standard_error)
    levels.pairs = np.array(kept.pairs, dtype=np.int64)
    levels.seed = plan.entropy
    levels.mc_count = plan.mc_count
    levels.method = "montecarlo"
    return levels
