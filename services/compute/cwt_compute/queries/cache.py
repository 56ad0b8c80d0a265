"""Caches of replies and of significance thresholds, shared by all workers.

The caches are optional: a failed or slow access counts as a miss, and the store is then not used
for some time (`CircuitBreaker`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import suppress
from functools import partial
from typing import TypeAlias, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
import numpy as np
from anyio.abc import TaskGroup

from cwt_runtime.bus import Bucket, DurableLog, Objects
from cwt_runtime.bus.errors import BusError
from cwt_schemas import storage
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.message import Message, content_digest
from cwt_schemas.query import KeptLevels
from pycwt_mod import MonteCarloLevels, MonteCarloPlan, __version__

__all__ = ["CircuitBreaker", "LevelCache", "ReplyCache"]

T = TypeVar("T")
Reply = TypeVar("Reply", bound=Message)
#: Key of thresholds: the plan, with seed and version of the simulation, and the level.
LevelKey: TypeAlias = tuple[MonteCarloPlan, float]

#: Time limit of an access: a slower one would take longer than computing.
TIMEOUT_S = 0.5
LEAST_BYTES_PER_S = 50e6
#: Time for which the store is not used after a failure, seconds.
PAUSE_S = 10.0
#: Maximum number of entries in the memory of this process, of a few kilobytes each.
MAX_LEVELS = 1024


class CircuitBreaker:
    """Suspend calls to a store for `PAUSE_S` after a failure or time-out."""

    def __init__(self) -> None:
        self._open_until = -1.0

    @property
    def is_open(self) -> bool:
        """Whether calls are suspended."""
        return anyio.current_time() < self._open_until

    async def call(self, function: Callable[[], Awaitable[T]], *, size: int = 0) -> T | None:
        """Return the result of `function`, or None if it failed or was not called.

        `size` is the approximate number of bytes to transfer, which extends the time limit.
        """
        if self.is_open:
            return None
        try:
            with anyio.fail_after(TIMEOUT_S + size / LEAST_BYTES_PER_S):
                return await function()
        except (BusError, TimeoutError):
            self._open_until = anyio.current_time() + PAUSE_S
            return None


class ReplyCache:
    """Cache of expensive replies in the object bucket ``cwt_answers``, which drops the oldest."""

    def __init__(self, log: DurableLog) -> None:
        self._log = log
        self._bucket: Objects | None = None
        self._breaker = CircuitBreaker()

    async def get(self, key: str, reply: type[Reply], *, about_bytes: int = 0) -> Reply | None:
        """Return the reply under `key`, of about `about_bytes` bytes, or None."""
        body = await self._breaker.call(partial(self._read, key), size=about_bytes)
        if body is None:
            return None
        try:
            return await anyio.to_thread.run_sync(
                partial(decode, reply, body, ContentType.MSGPACK, max_bytes=None)
            )
        except ContractError:  # from a different build with the same version number
            return None

    async def put(self, key: str, reply: Message) -> None:
        """Store `reply`, unless calls are suspended after a failure."""
        if self._breaker.is_open:
            return
        body = await anyio.to_thread.run_sync(
            partial(encode, reply, ContentType.MSGPACK, max_bytes=None)
        )
        await self._breaker.call(partial(self._write, key, body), size=len(body))

    async def _read(self, key: str) -> bytes | None:
        return await (await self._opened()).get(key)

    async def _write(self, key: str, body: bytes) -> None:
        await (await self._opened()).put(key, body)

    async def _opened(self) -> Objects:
        if self._bucket is None:
            self._bucket = await self._log.objects(storage.ANSWERS)
        return self._bucket


def reply_key(request: Message) -> str:
    """Return the key of the reply to a request: its content and the version of the code."""
    engine = f"{__version__}.{MonteCarloPlan.version}"
    return f"{type(request).__name__}-{engine}-{content_digest(request).hex()}"


class LevelCache(MutableMapping[LevelKey, MonteCarloLevels]):
    """Cache of significance thresholds, for the argument `cache` of `pycwt_mod`.

    Entries are in the memory of this process and in the bucket ``cwt_significance``. Computing
    threads use it: a read of an entry that is not in memory waits for the bucket; a new entry is
    written in the background. ``len`` and iteration cover the entries in memory.

    Parameters
    ----------
    log
        Log with the bucket.
    tasks
        Task group for writes; leaving it waits for pending writes.
    """

    def __init__(self, log: DurableLog, tasks: TaskGroup) -> None:
        self._log = log
        self._tasks = tasks
        self._bucket: Bucket | None = None
        self._breaker = CircuitBreaker()
        self._entries: OrderedDict[LevelKey, MonteCarloLevels] = OrderedDict()

    def __getitem__(self, key: LevelKey) -> MonteCarloLevels:
        if key not in self._entries and (stored := self._levels_of_bucket(key)) is not None:
            self._insert(key, stored)
        return self._entries[key]

    def __setitem__(self, key: LevelKey, levels: MonteCarloLevels) -> None:
        self._insert(key, levels)
        write = partial(self._breaker.call, partial(self._write, level_name(key), _encoded(levels)))
        anyio.from_thread.run_sync(self._tasks.start_soon, write)

    def __delitem__(self, key: LevelKey) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[LevelKey]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _insert(self, key: LevelKey, levels: MonteCarloLevels) -> None:
        self._entries[key] = levels
        while len(self._entries) > MAX_LEVELS:
            with suppress(KeyError):  # removed by another thread
                self._entries.popitem(last=False)

    def _levels_of_bucket(self, key: LevelKey) -> MonteCarloLevels | None:
        read = partial(self._read, level_name(key))
        body = anyio.from_thread.run(self._breaker.call, read)
        try:
            return None if body is None else _decoded(body, key[0])
        except ContractError:  # written by another version
            return None

    async def _read(self, name: str) -> bytes | None:
        entry = await (await self._opened()).get(name)
        return None if entry is None else entry.value

    async def _write(self, name: str, body: bytes) -> None:
        await (await self._opened()).put(name, body)

    async def _opened(self) -> Bucket:
        if self._bucket is None:
            self._bucket = await self._log.bucket(storage.KV_SIGNIFICANCE)
        return self._bucket


def level_name(key: LevelKey) -> str:
    """Return the key in the bucket, a hash of the text of plan and level."""
    plan, level = key
    return hashlib.sha256(f"{plan!r} {level!r}".encode()).hexdigest()


def _encoded(levels: MonteCarloLevels) -> bytes:
    errors, pairs = levels.standard_error, levels.pairs
    kept = KeptLevels(
        signif=np.asarray(levels, dtype=np.float64),
        standard_error=np.full(levels.shape, np.nan) if errors is None else errors,
        pairs=() if pairs is None else tuple(pairs.tolist()),
    )
    return encode(kept, ContentType.MSGPACK)


def _decoded(body: bytes, plan: MonteCarloPlan) -> MonteCarloLevels:
    kept = decode(KeptLevels, body, ContentType.MSGPACK)
    levels = np.array(kept.signif).view(MonteCarloLevels)
    levels.standard_error = np.array(kept.standard_error)
    levels.pairs = np.array(kept.pairs, dtype=np.int64)
    levels.seed = plan.entropy
    levels.mc_count = plan.mc_count
    levels.method = "montecarlo"
    return levels
