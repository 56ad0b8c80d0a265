"""What is started, and what keeps it from being started."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest
from rich.console import Console

from cwt_cli.faults import CommandError
from cwt_cli.shell import program
from cwt_cli.system import SystemPlan, check_jetstream, check_port
from cwt_cli.up import welcome
from tests.memory_bus import MemoryBus

PLAN = SystemPlan(url=None, folder=Path("d"), host="127.0.0.1", port=4222, workers=2)


def test_every_worker_is_a_process_of_its_own_name() -> None:
    programs = PLAN.programs()
    assert [program.name for program in programs] == [
        "ingest",
        "compute-1",
        "compute-2",
        "hwbridge",
    ]
    assert programs[1].command[1:] == ("-m", "cwt_compute")


def test_a_port_that_is_taken_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CommandError, match=f"CWT_NATS_URL=nats://127.0.0.1:{port}.*--port"):
            check_port("127.0.0.1", port)


def test_any_free_port_needs_no_check() -> None:
    check_port("127.0.0.1", -1)


def test_an_address_that_is_not_here_is_a_fault() -> None:
    with pytest.raises(CommandError, match=r"203\.0\.113\.1:4222"):
        check_port("203.0.113.1", 4222)


@pytest.mark.anyio
async def test_a_server_that_keeps_nothing_is_told_before_anything_is_started() -> None:
    """It was told after a minute, as services that do not answer."""
    with pytest.raises(CommandError, match=r"nats://far:1\b.*JetStream"):
        await check_jetstream(MemoryBus(), "nats://user:secret@far:1")


@pytest.mark.parametrize(
    ("url", "told"), [("nats://127.0.0.1:4222", False), ("nats://127.0.0.1:5000", True)]
)
def test_the_welcome_tells_what_to_try(url: str, told: bool) -> None:
    text = io.StringIO()
    welcome(PLAN, url, Console(file=text, width=60))
    assert "1 x ingest, 2 x compute, 1 x hwbridge" in text.getvalue()
    assert (f"CWT_NATS_URL={url}" in text.getvalue()) == told
    assert f"\n  {program()} watch\n" in text.getvalue()
