"""Publish to durable storage: retry until the server acknowledges, and publish concurrently."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

import anyio

from cwt_runtime.bus import DurableLog, StoreAck
from cwt_runtime.bus.errors import BusError
from cwt_runtime.retry import GiveUp, RetryPolicy, decide
from cwt_runtime.telemetry.logs import Action, Log

__all__ = ["UNTIL_STORED", "publish_all", "publish_with_retry", "store_with_retry"]

T = TypeVar("T")
Item = TypeVar("Item")

#: No limit on tries: wait for an unreachable server or a full stream.
UNTIL_STORED = RetryPolicy(first_delay_s=0.1, max_delay_s=5.0, max_tries=None)


async def publish_with_retry(
    bus_log: DurableLog,
    subject: str,
    data: bytes,
    *,
    msg_id: str,
    log: Log,
    headers: Mapping[str, str] | None = None,
    policy: RetryPolicy = UNTIL_STORED,
    expect_seq: int | None = None,
) -> StoreAck:
    """Store a message; retry under the same id as long as `policy` allows.

    Raises
    ------
    BusError
        The last failure, if it is permanent or no tries are left.
    """
    store = partial(
        bus_log.store, subject, data, msg_id=msg_id, headers=headers, expect_seq=expect_seq
    )
    return await store_with_retry(store, log=log, policy=policy, subject=subject, id=msg_id)


async def store_with_retry(
    store: Callable[[], Awaitable[T]],
    *,
    log: Log,
    policy: RetryPolicy = UNTIL_STORED,
    **ids: str,
) -> T:
    """Call `store` until it succeeds, as long as `policy` allows, and return its result.

    Parameters
    ----------
    store
        Idempotent function that stores something; it may be called again after a success that was
        not acknowledged.
    ids
        Fields of the log record of a retry.

    Raises
    ------
    BusError
        The last failure, if it is permanent or no tries are left.
    """
    tries = 0
    while True:
        try:
            return await store()
        except BusError as error:
            tries += 1
            decision = decide(policy, tries=tries, transient=error.transient)
            if isinstance(decision, GiveUp):
                raise
            log.warning(Action.STORE_RETRIED, **ids, tries=tries, detail=str(error))
            await anyio.sleep(decision.delay_s)


async def publish_all(
    items: Iterable[Item], publish: Callable[[Item], Awaitable[None]], *, limit: int
) -> None:
    """Call `publish` for each item, with at most `limit` concurrent calls.

    Items are consumed only as slots become free. After a failure no further call is started, and
    the first failure is raised when the running calls have ended.
    """
    slots = anyio.Semaphore(limit)
    failures: list[Exception] = []

    async def run(item: Item) -> None:
        try:
            await publish(item)
        except Exception as error:  # noqa: BLE001 - raised below, outside the task group
            failures.append(error)
        finally:
            slots.release()

    rest = iter(items)
    async with anyio.create_task_group() as tasks:
        while True:
            await slots.acquire()
            if failures:
                break
            try:
                item = next(rest)
            except StopIteration:
                break
            tasks.start_soon(run, item)
    if failures:
        raise failures[0]
