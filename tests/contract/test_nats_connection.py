"""Reaching a server, and giving up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.abc
import pytest

from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.telemetry.logs import logger
from cwt_schemas.errors import Unavailable
from pycwt_client import connect
from tests.credentials import credentials_server
from tests.deadlines import fail_after
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
        with fail_after(5):
            await ended.wait()
        tasks.cancel_scope.cancel()


@each_way
async def test_giving_up_on_a_server_that_is_away_leaves_no_task(
    give_up: Callable[[str], Awaitable[None]],
) -> None:
    before = asyncio.all_tasks()
    await give_up(f"nats://127.0.0.1:{free_port()}")
    assert asyncio.all_tasks() == before


async def test_a_credentials_file_lets_its_user_in(tmp_path: Path) -> None:
    async with credentials_server(tmp_path) as issuer:
        async with (
            connect(issuer.url, creds=str(issuer.creds), timeout_s=20) as client,
            client.bus.subscribe("a") as heard,
        ):
            await client.bus.publish("a", b"in")
            assert (await anext(aiter(heard))).data == b"in"
        with pytest.raises(Unavailable, match="user"):
            async with connect(issuer.url, timeout_s=0.5):
                pass


@pytest.mark.parametrize("content", [None, "", "-----BEGIN NATS USER JWT-----\n"])
async def test_invalid_credentials_file_is_named(tmp_path: Path, content: str | None) -> None:
    creds = tmp_path / "user.creds"
    if content is not None:
        creds.write_text(content)
    with pytest.raises(Unavailable, match=r"user\.creds"):
        async with connect("nats://127.0.0.1:1", creds=str(creds), timeout_s=5):
            pass


@pytest.mark.parametrize("url", ["", "nats://", "nats://localhost:99999", "nats://localhost:x"])
async def test_invalid_address_is_named(url: str) -> None:
    with pytest.raises(Unavailable, match="CWT_NATS_URL"):
        async with connect(url, timeout_s=0.2):
            pass


async def test_a_cancelled_subscription_leaves_the_connection_alone(nats_url: str) -> None:
    """The reply to a cancelled ping arrives; the driver would stop reading."""

    async def subscribe() -> None:
        async with bus.subscribe("cancelled"):
            await anyio.sleep_forever()

    async with connect_bus(nats_url, name="test", log=LOG) as bus:
        for steps in range(40):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(subscribe)
                for _ in range(steps):
                    await asyncio.sleep(0)
                tasks.cancel_scope.cancel()
        with fail_after(10):
            async with bus.subscribe("heard") as messages:
                await bus.publish("heard", b"x")
                assert (await anext(aiter(messages))).data == b"x"
