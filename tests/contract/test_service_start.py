"""A service that sets up while the server goes away, and one whose work fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cwt_runtime.bus.errors import BusTimeoutError, NotStoredError
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.process.embedded_server import EmbeddedServer
from cwt_runtime.process.lifecycle import (
    EX_CONFIG,
    Context,
    RestartNeededError,
    ShutdownWatchdog,
    serve_on_bus,
)
from cwt_runtime.rpc.micro import Identity
from cwt_runtime.settings import ServiceSettings

pytestmark = pytest.mark.anyio


async def run(server: str | ConnectSettings, work: Callable[[Context], Awaitable[None]]) -> int:
    """Run `work` as a service; return its exit code."""
    nats = ConnectSettings(url=server) if isinstance(server, str) else server

    async def serve(context: Context, settings: ServiceSettings) -> None:
        assert settings.nats == nats
        await work(context)

    identity = Identity(name="x", id="x-1", version="0.0.1", description="")
    settings = ServiceSettings(nats=nats)
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


@pytest.mark.parametrize("error", [BusTimeoutError("nats: timeout"), RestartNeededError("why")])
async def test_a_service_that_worked_is_set_up_again_after_a_failure_that_passes(
    nats_server: EmbeddedServer, error: Exception
) -> None:
    """It ended with exit code 1 after an outage of the server."""
    lives = 0

    async def serve(context: Context) -> None:
        nonlocal lives
        lives += 1
        assert not context.is_ready.is_set()
        context.ready()
        if lives < 3:
            raise ExceptionGroup("one of the tasks", [error])

    assert await run(nats_server.url, serve) == 0
    assert lives == 3


async def test_a_service_that_worked_fails_where_another_try_would_too(
    nats_server: EmbeddedServer,
) -> None:
    async def serve(context: Context) -> None:
        context.ready()
        raise ValueError("wrong")

    assert await run(nats_server.url, serve) == 1


async def test_a_service_that_is_asked_to_stop_is_not_set_up_again(
    nats_server: EmbeddedServer,
) -> None:
    async def serve(context: Context) -> None:
        context.stop.set()
        raise BusTimeoutError("nats: timeout")

    assert await run(nats_server.url, serve) == 0


async def test_a_file_of_credentials_that_is_missing_is_a_fault_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ended with exit code 1, so that its supervisor started it again and again."""

    async def serve(_context: Context) -> None:
        raise AssertionError

    creds = tmp_path / "missing.creds"
    assert await run(ConnectSettings(creds=str(creds)), serve) == EX_CONFIG
    assert f"cannot read the credentials file {creds}" in capsys.readouterr().out
