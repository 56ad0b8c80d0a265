"""Several ingests: one works, and when it is gone, whatever the reason, another goes on."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from cli.discovery import count_services
from pycwt_client import Client
from schemas import storage
from services.runtime.logs import Action
from tests.system.conftest import RunningSystem, running_system
from tests.system.scenario import blank, collect, definition, expected, publish
from tests.system.scenario import signal as samples_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

#: What the operator is promised.
TAKEOVER_S = 10.0


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[RunningSystem]:
    """A system whose ingest has a standby, and a stream half of which has been published."""
    async with running_system(tmp_path, workers=1) as running:
        await running.start("standby", "ingest", until=Action.STANDBY)
        client = Client(running.bus)
        await client.put_stream(definition())
        await publish(client, samples_of()[:2000])
        await collect(client, 5)
        yield running


async def goes_on(running: RunningSystem) -> None:
    """Publish the other half, and find each result once and nothing else, such as a false event."""
    client, x = Client(running.bus), samples_of()
    await publish(client, x, first=2000)
    assert blank(await collect(client, len(expected(x)))) == blank(expected(x))
    assert await running.bus.log.last_seq(storage.RESULTS) == len(expected(x))


def actions(running: RunningSystem, name: str) -> list[object]:
    return [record["action"] for record in running.log(name)]


async def test_a_standby_answers_nothing_rejects_nothing_and_ends_when_asked(
    pair: RunningSystem,
) -> None:
    assert (await count_services(pair.bus, {"ingest": 2}))["ingest"] == 1
    await goes_on(pair)
    assert await pair.stop("standby") == 0
    assert actions(pair, "standby")[-4:] == ["bus_connected", "standby", "draining", "stopped"]


async def test_a_standby_goes_on_where_a_killed_ingest_was(pair: RunningSystem) -> None:
    pair.kill("ingest")
    with anyio.fail_after(TAKEOVER_S):
        await pair.said("standby", Action.READY)
    await goes_on(pair)


async def test_a_standby_goes_on_after_an_ingest_of_which_nothing_is_heard(
    pair: RunningSystem,
) -> None:
    pair.processes["ingest"].send_signal(signal.SIGSTOP)
    with anyio.fail_after(TAKEOVER_S):
        await pair.said("standby", Action.READY)
    pair.processes["ingest"].send_signal(signal.SIGCONT)
    assert await pair.ended("ingest") == 1
    assert "LeaseLostError" in str(pair.log("ingest"))
    await goes_on(pair)


async def test_a_standby_goes_on_at_once_when_ingest_is_stopped_in_order(
    pair: RunningSystem,
) -> None:
    assert await pair.stop("ingest") == 0
    await pair.said("standby", Action.READY)
    await goes_on(pair)


async def test_an_ingest_started_again_where_one_was_killed_does_not_wait(
    pair: RunningSystem,
) -> None:
    assert await pair.stop("standby") == 0
    pair.kill("ingest")
    await pair.start("again", "ingest")
    assert "standby" not in actions(pair, "again")
    await goes_on(pair)
