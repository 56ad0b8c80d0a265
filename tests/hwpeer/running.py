"""The bridge on an in-memory bus, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.abc

from cwt_hwbridge.app import serve
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_hwbridge.tangnano9k.driver import MARGIN_S
from cwt_runtime.process.lifecycle import Context, Stop
from cwt_runtime.rpc.micro import Identity
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import ErrorBody
from cwt_schemas.hardware import HwEvent
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.hwops import HwInfo, HwInfoRequest
from cwt_schemas.message import Message
from cwt_schemas.subjects import HwVerb
from tests.deadlines import SCALE, fail_after
from tests.memory_bus import MemoryBus

R = TypeVar("R", bound=Message)


class Caller:
    """Send requests to the bridge, and receive its events."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.events: list[HwEvent] = []
        self._heard = anyio.Event()

    async def ask(self, subject: str, request: Message, reply: type[R]) -> R:
        answer = await self.bus.request(
            subject,
            encode(request, ContentType.MSGPACK),
            {CONTENT_TYPE: ContentType.MSGPACK.value},
            timeout_s=60 * SCALE,
        )
        kind = content_type_of(answer.headers)
        if "Nats-Service-Error" in answer.headers:
            raise decode(ErrorBody, answer.data, kind).exception()
        return decode(reply, answer.data, kind)

    async def device(self, verb: HwVerb, request: Message, reply: type[R]) -> R:
        return await self.ask(subjects.hw("fpga0", verb), request, reply)

    async def until(self, kind: str) -> HwEvent:
        """Wait for an event of a kind."""
        with fail_after(60):
            while True:
                for event in self.events:
                    if event.kind == kind:
                        return event
                await self._heard.wait()

    async def until_info(self, expected: Callable[[HwInfo], bool]) -> None:
        """Wait until the device is as expected."""
        with fail_after(30):
            while True:
                if expected(await self.device("info", HwInfoRequest(), HwInfo)):
                    return
                await anyio.sleep(0.02)

    async def listen(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with self.bus.subscribe(subjects.HW_EVENTS) as messages:
            task_status.started()
            async for message in messages:
                self.events.append(decode(HwEvent, message.data))
                self._heard.set()
                self._heard = anyio.Event()


@asynccontextmanager
async def bridge(ports: str) -> AsyncIterator[Caller]:
    bus = MemoryBus()
    await bus.log.declare(system_topology(StorageSettings()))
    stop = Stop()
    identity = Identity(name="hwbridge", id="h", version="0.0.1", description="")
    context = Context(bus=bus, identity=identity, log=logger("test"), stop=stop)
    caller = Caller(bus)
    settings = HwBridgeSettings(
        hw_ports=ports, hw_elm11_pace_s=0.0, hw_margin_s=min(MARGIN_S * SCALE, 1.0)
    )
    async with anyio.create_task_group() as listening:
        await listening.start(caller.listen)
        async with anyio.create_task_group() as serving:
            serving.start_soon(serve, context, settings)
            await context.is_ready.wait()
            try:
                yield caller
            finally:
                stop.set()
        listening.cancel_scope.cancel()
