"""A service that sets up while the server goes away, and one whose work fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from cwt_runtime.bus.errors import BusTimeoutError, NotStoredError
from cwt_runtime.process.embedded_server import EmbeddedServer
from cwt_runtime.process.lifecycle import Context, ShutdownWatchdog, serve_on_bus
from cwt_runtime.rpc.micro import Identity
from cwt_runtime.settings import ServiceSettings

pytestmark = pytest.mark.anyio


async def run(url: str, work: Callable[[Context], Awaitable[None]]) -> int:
    """Run `work` as a service; return its exit code."""

    async def serve(context: Context, settings: ServiceSettings) -> None:
        assert settings.nats_url == url
        await work(context)

    identity = Identity(name="x", id="x-1", version="0.0.1", description="")
    settings = ServiceSettings(nats_url=url)
    return await serve_on_bus(identity, settings, serve, ShutdownWatchdog())


@pytest.mark.parametrize("wrapped", [False, True])
async def test_setting_up_starts_again_after_a_failure_that_passes(
    nats_server: EmbeddedServer, wrapped: bool
) -> None:
    tries = 0

    async def serve(context: Context) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            error = BusTimeoutError("nats: timeout")
            raise ExceptionGroup("one of the tasks", [error]) if wrapped else error
        context.ready()

    assert await run(nats_server.url, serve) == 0
    assert tries == 3


@pytest.mark.parametrize("error", [NotStoredError("no"), ValueError("wrong")])
async def test_setting_up_fails_where_another_try_would_too(
    nats_server: EmbeddedServer, error: Exception
) -> None:
    tries = 0

    async def serve(context: Context) -> None:
        nonlocal tries
        tries += 1
        assert not context.is_ready.is_set()
        raise ExceptionGroup("both", [BusTimeoutError("nats: timeout"), error])

    assert await run(nats_server.url, serve) == 1
    assert tries == 1


async def test_a_service_that_worked_is_not_set_up_again(nats_server: EmbeddedServer) -> None:
    """Its supervisor restarts it: another process may own its streams by then."""

    async def serve(context: Context) -> None:
        assert not context.is_ready.is_set()
        context.ready()
        raise BusTimeoutError("nats: timeout")

    assert await run(nats_server.url, serve) == 1


async def test_a_service_that_is_asked_to_stop_is_not_set_up_again(
    nats_server: EmbeddedServer,
) -> None:
    async def serve(context: Context) -> None:
        context.stop.set()
        raise BusTimeoutError("nats: timeout")

    assert await run(nats_server.url, serve) == 0
