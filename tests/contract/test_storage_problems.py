"""Problems of the storage are reported, one sentence each."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from cwt_runtime.bus import Bus, StreamSpec, Topology
from cwt_runtime.bus.errors import BusError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import start_server
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.health import storage_problems
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from tests.contract.conftest import small_topology
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


async def fill(bus: Bus, subject: str, size: int = 1024) -> None:
    """Store messages until one is refused."""
    number = 0
    with pytest.raises(BusError):  # noqa: PT012 - as many as there is room for
        while True:
            await bus.log.store(subject, b"x" * size, msg_id=f"{subject}/{number}")
            number += 1


async def test_no_problem_while_storage_has_space(bus: Bus) -> None:
    assert await storage_problems(bus.log) == ()


@pytest.mark.parametrize(
    ("subject", "stream", "consequence"),
    [
        (subjects.signal("s"), storage.SIGNALS, "devices cannot publish"),
        (subjects.window("s", "a"), storage.WINDOWS, "streams are not analysed"),
        (subjects.task("j"), storage.TASKS, "jobs do not start"),
    ],
)
async def test_full_stream_is_named_with_consequence(
    bus: Bus, subject: str, stream: str, consequence: str
) -> None:
    await fill(bus, subject)
    assert await storage_problems(bus.log) == (f"{stream}: full (0 MiB); {consequence}",)


async def test_a_stream_that_drops_the_oldest_is_never_full(bus: Bus) -> None:
    for number in range(100):
        await bus.log.store(subjects.event("s"), b"x" * 1024, msg_id=str(number))
    assert await storage_problems(bus.log) == ()


async def test_streams_that_are_missing_are_named(nats_url: str) -> None:
    async with connect_bus(nats_url, name="test", log=logger("test")) as bus:
        problems = await storage_problems(bus.log)
    assert len(problems) == len(storage.JETSTREAM)
    for stream, problem in zip(storage.JETSTREAM, problems, strict=True):
        assert problem.startswith(f"{stream}: stream not found")


async def test_paused_queue_is_reported_with_resume_command(nats_url: str) -> None:
    async with connect_bus(nats_url, name="test", log=logger("test")) as bus:
        await bus.log.declare(small_topology())
        pause = f"$JS.API.CONSUMER.PAUSE.{storage.WINDOWS}.{storage.COMPUTE_WINDOWS}"
        await bus.request(pause, b'{"pause_until":"2099-01-01T00:00:00Z"}', timeout_s=5)
        (problem,) = await storage_problems(bus.log)
        assert "is paused" in problem
        assert f"nats consumer resume {storage.WINDOWS} {storage.COMPUTE_WINDOWS}" in problem
        await bus.request(pause, b"{}", timeout_s=5)
        assert await storage_problems(bus.log) == ()


async def test_a_full_account_is_one_problem(tmp_path: Path) -> None:
    accounts = (
        "accounts { A { jetstream { max_file: 3MB }, users: [ { user: u, password: p } ] } }\n"
        "no_auth_user: u"
    )
    stream = StreamSpec(
        name=storage.SIGNALS, subjects=(subjects.SIGNALS,), retention="limits",
        when_full="refuse_new", max_bytes=-1,
    )  # fmt: skip
    async with (
        start_server(tmp_path, settings=accounts) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(Topology(streams=(stream,), consumers=(), buckets=()))
        await fill(bus, subjects.signal("s"))
        problems = await storage_problems(bus.log)
        assert problems == ("the storage of this account is full (3 MiB)",)


async def test_a_server_without_jetstream_says_so(tmp_path: Path) -> None:
    settings = "accounts { A { users: [ { user: u, password: p } ] } }\nno_auth_user: u"
    async with (
        start_server(tmp_path, settings=settings) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        (problem,) = await storage_problems(bus.log)
    assert "JetStream" in problem


async def test_a_stream_that_could_not_be_written_once_is_named_until_the_server_restarts(
    tmp_path: Path,
) -> None:
    """As on a full disk; the server takes nothing either when there is room again."""
    topology = system_topology(StorageSettings())
    async with (
        start_server(tmp_path) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        await bus.log.declare(topology)
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (MIB, hard))
        with fail_after(60):
            await fill(bus, subjects.signal("s"), 200_000)
            (problem,) = await storage_problems(bus.log)
        assert problem.startswith(f"{storage.SIGNALS}: cannot be written: ")
        assert "file too large" in problem
        assert problem.endswith("then restart it; devices cannot publish")
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (soft, hard))
        assert await storage_problems(bus.log) == (problem,)
    async with (
        start_server(tmp_path) as server,
        connect_bus(server.url, name="test", log=logger("test")) as bus,
    ):
        assert await storage_problems(bus.log) == ()
