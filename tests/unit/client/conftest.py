"""A bus in memory with the system's streams, and a small fake service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from cwt_runtime.bus import Bus, Subscription
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.message import Message as Model
from tests.memory_bus import MemoryBus


@pytest.fixture
async def bus() -> MemoryBus:
    memory = MemoryBus()
    await memory.log.declare(system_topology(StorageSettings()))
    return memory


@asynccontextmanager
async def serving(
    bus: Bus, subject: str, request: type[Model], handle: Callable[[Model], Model]
) -> AsyncIterator[None]:
    """Answer on `subject` in msgpack, refusals as the services do."""

    async def serve(subscription: Subscription) -> None:
        async for message in subscription:
            headers = {CONTENT_TYPE: ContentType.MSGPACK.value}
            try:
                answer = handle(decode(request, message.data, ContentType.MSGPACK))
            except ContractError as error:
                answer, headers = error.body(), {**headers, **error.headers()}
            await bus.publish(message.reply or "", encode(answer, ContentType.MSGPACK), headers)

    async with bus.subscribe(subject) as subscription, anyio.create_task_group() as tasks:
        tasks.start_soon(serve, subscription)
        yield
        tasks.cancel_scope.cancel()
