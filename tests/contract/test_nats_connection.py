"""Reaching a server, and giving up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import pytest

from pycwt_client import connect
from schemas.errors import Unavailable
from services.runtime.logs import logger
from services.runtime.nats_bus import connect_bus
from tests.servers import free_port

pytestmark = pytest.mark.anyio

LOG = logger("test")


async def give_up_connecting(url: str) -> None:
    with anyio.move_on_after(0.2) as gave_up:
        async with connect_bus(url, name="test", log=LOG):
            raise AssertionError
    assert gave_up.cancelled_caught


async def fail_to_connect(url: str) -> None:
    with pytest.raises(Unavailable):
        async with connect(url, timeout_s=0.2):
            raise AssertionError


each_way = pytest.mark.parametrize("give_up", [give_up_connecting, fail_to_connect])


@each_way
async def test_giving_up_on_a_server_that_says_nothing_closes_the_connection(
    give_up: Callable[[str], Awaitable[None]],
) -> None:
    ended = anyio.Event()

    async def say_nothing(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        ended.set()

    port = free_port()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, say_nothing)
        await give_up(f"nats://127.0.0.1:{port}")
        with anyio.fail_after(5):
            await ended.wait()
        tasks.cancel_scope.cancel()


@each_way
async def test_giving_up_on_a_server_that_is_away_leaves_no_task(
    give_up: Callable[[str], Awaitable[None]],
) -> None:
    before = asyncio.all_tasks()
    await give_up(f"nats://127.0.0.1:{free_port()}")
    assert asyncio.all_tasks() == before
