"""Fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from services.runtime.embedded_server import EmbeddedServer, start_server
from tests.seed import SEED


def pytest_report_header() -> str:
    """Say how to repeat what was random."""
    return f"random faults: FAULT_SEED={SEED}"


# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """nats-py is an asyncio library."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_stray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees the settings it makes, not those of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("CWT_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    structlog.reset_defaults()


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A real server of this test's own."""
    async with start_server(tmp_path / "nats") as server:
        yield server
