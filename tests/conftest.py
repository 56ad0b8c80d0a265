"""Fixtures that all tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from cwt_runtime.process.embedded_server import EmbeddedServer, start_server
from tests.deadlines import SCALE
from tests.fork_server import FORK_SERVER
from tests.seed import SEED
from tests.servers import SharedServer, shared_server
from tests.thorough import cases


def pytest_report_header() -> list[str]:
    """Report the random seed, and the scale of deadlines."""
    return [f"random faults: FAULT_SEED={SEED}", f"deadlines: TEST_DEADLINE_SCALE={SCALE:g}"]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Start two worker processes a core and one more: a test waits for half of its time or more.

    The fast tests hardly wait, and each worker process takes seconds to import and collect them.
    """
    cores = os.cpu_count() or 1
    return cores + 1 if config.option.markexpr == "not slow" else 2 * cores + 1


def pytest_configure() -> None:
    """Collect no garbage while tests are collected: all of it stays, and a pass takes long."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Exclude the objects made by test collection from later garbage collections."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Scale the time after which a test is stopped, as all other deadlines."""
    usual = float(config.getini("timeout"))
    for item in items:
        marker = item.get_closest_marker("timeout")
        limit = float(marker.args[0]) if marker else usual
        item.add_marker(pytest.mark.timeout(limit * SCALE), append=False)


# The duration of an example depends more on the machine than on the code.
hypothesis.settings.register_profile("usual", deadline=None, max_examples=cases(100))
hypothesis.settings.load_profile("usual")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """nats-py is an asyncio library."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_stray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolate tests from the settings in the environment of the developer."""
    for name in [name for name in os.environ if name.startswith("CWT_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    """Log as an unconfigured process, but without the variables of a traceback.

    Printing them for one exception takes seconds of processor time.
    """
    structlog.reset_defaults()
    *processors, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*processors, plain])


@pytest.fixture(scope="session", autouse=True)
def _fork_server() -> Iterator[None]:
    """End the fork server before its coverage data is collected."""
    yield
    FORK_SERVER.close()


@pytest.fixture(scope="session")
def nats_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServer]:
    """The server of this worker process; `SharedServer.account` is a test's own part of it."""
    with shared_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def nats_url(nats_shared: SharedServer) -> AsyncIterator[str]:
    """URL of an empty account on the server, for this test only."""
    async with nats_shared.account() as url:
        yield url


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A server that this test may configure, halt or kill."""
    async with start_server(tmp_path / "nats") as server:
        yield server
