"""The demo against services made of a few lines."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cwt_cli.demo import conclusion
from cwt_cli.demo_picture import coi_hz, draw
from cwt_cli.demo_run import DemoRun, until_stable
from cwt_cli.faults import CommandError
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE, EPOCH
from cwt_schemas.live import StreamEvent
from cwt_schemas.message import Message
from cwt_schemas.stream import (
    Channel,
    StreamDefinition,
    StreamGet,
    StreamList,
    StreamListing,
    StreamStatus,
)
from pycwt_client import Client
from pycwt_client.sources.csv_file import Recording
from tests.memory_bus import MemoryBus
from tests.text import numbers
from tests.unit.client.blocks import block
from tests.unit.client.conftest import serving

pytestmark = pytest.mark.anyio

DEFINITION = StreamDefinition(
    name="s", fs_hz=100.0, channels=(Channel(name="x"), Channel(name="y"))
)
RECORDING = Recording(columns=("x", "y"), samples=np.zeros((64, 2), dtype="<f4"), fs_hz=100.0)
MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}


def a_run() -> DemoRun:
    return DemoRun(DEFINITION, RECORDING, speed=0, epoch="e")


async def run_against_fakes(run: DemoRun, bus: MemoryBus, *, windows: int) -> None:
    status = StreamStatus(definition=DEFINITION, epoch="e", next_sample=64, windows=windows)

    def answer(_request: Message) -> Message:
        return status if run.played else StreamStatus(definition=DEFINITION)

    def listing(_request: Message) -> Message:
        return StreamListing(streams=(status,))

    async with (
        serving(bus, subjects.stream("put"), StreamDefinition, answer),
        serving(bus, subjects.stream("get"), StreamGet, answer),
        serving(bus, subjects.stream("list"), StreamList, listing),
    ):
        await run.run(Client(bus), Console(file=io.StringIO()))


async def keep_results(bus: MemoryBus, count: int) -> None:
    for number in range(count):
        each = block(0, 4 * number, value=0.25)
        body = encode(each, ContentType.MSGPACK)
        await bus.log.store(subjects.result("s", "a"), body, msg_id=each.id, headers=MSGPACK)


async def test_it_ends_when_every_window_has_its_result(bus: MemoryBus) -> None:
    run = a_run()
    await keep_results(bus, 3)
    await run_against_fakes(run, bus, windows=3)
    assert (run.results, run.played) == (3, 64)
    assert await bus.log.last_seq(storage.SIGNALS) == 5  # the chunks, and the end
    assert numbers(run.headline())[-1] == "3"


async def test_dead_lettered_window_states_reason(bus: MemoryBus) -> None:
    await keep_results(bus, 1)
    event = StreamEvent(id="d", stream="s", kind="dropped", detail="poison", t_ns=1)
    body = encode(event, ContentType.MSGPACK)
    await bus.log.store(subjects.event("s"), body, msg_id="d", headers=MSGPACK)
    with pytest.raises(ExceptionGroup) as caught:
        await run_against_fakes(a_run(), bus, windows=2)
    assert caught.group_contains(CommandError, match=r"\b1\b.*poison")


async def test_windows_given_up_on_that_one_event_reports_are_all_counted(bus: MemoryBus) -> None:
    """The demo waited for their results until its time was up."""
    await keep_results(bus, 1)
    event = StreamEvent(id="d", stream="s", kind="dropped", count=30, detail="poison", t_ns=1)
    body = encode(event, ContentType.MSGPACK)
    await bus.log.store(subjects.event("s"), body, msg_id="d", headers=MSGPACK)
    with pytest.raises(ExceptionGroup) as caught:
        await run_against_fakes(a_run(), bus, windows=31)
    assert caught.group_contains(CommandError, match=r"\b30\b.*poison")


async def test_the_recording_is_played_again_as_a_new_epoch(bus: MemoryBus) -> None:
    run = a_run()
    await run.play_again(Client(bus))
    async with bus.log.replay(storage.SIGNALS, (subjects.signal("s"),)) as stored:
        first = await anext(stored)
    assert first.message.headers[EPOCH] not in {"", run.epoch}
    assert await bus.log.last_seq(storage.SIGNALS) == 5


async def test_the_conclusion_names_pair_events_and_source(bus: MemoryBus) -> None:
    spec = {"name": "a", "op": "wct", "pairs": (("x", "y"),), "quantity": "coherence"}
    analysis = {**spec, "fmin_hz": 1.0, "fmax_hz": 8.0, "hop_s": 0.1}
    definition = StreamDefinition.model_validate(
        {**DEFINITION.model_dump(by_alias=True), "analyses": (analysis,)}
    )
    run = a_run()
    await keep_results(bus, 3)
    await run_against_fakes(run, bus, windows=3)
    run.definition = definition
    pictures = {channels: each.resample(12) for channels, each in run.scalograms.items()}
    lines = list(conclusion(run, pictures))
    (pair,) = [line for line in lines if "Hz" in line]
    assert re.search(r"\bx\b.*\by\b", pair)
    assert numbers(pair)[:3] == ["6.00", "360", "0.75"]
    assert any(line.startswith("events") for line in lines)
    assert any("MIMIC" in line for line in lines)


@pytest.mark.slow
async def test_the_picture_is_drawn(bus: MemoryBus, tmp_path: Path) -> None:
    run = a_run()
    await keep_results(bus, 3)
    await run_against_fakes(run, bus, windows=3)
    pictures = {channels: each.resample(12) for channels, each in run.scalograms.items()}
    draw(pictures, fs_hz=100.0, duration_s=0.64, path=tmp_path / "new" / "p.png")
    assert (tmp_path / "new" / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_cone_of_influence_is_widest_at_the_ends() -> None:
    edge = coi_hz(np.array([0.0, 10.0, 50.0, 100.0]), 100.0)
    assert edge[0] == edge[3] > edge[1] > edge[2]
    # Torrence & Compo: the Fourier period sqrt(2)-fold within a distance, 1.033 / 1.414.
    assert 1 / edge[1] == pytest.approx(10 * 1.033 / np.sqrt(2), rel=1e-3)


async def test_stable_is_two_polls_in_a_row() -> None:
    answers = [True, False, True, True]

    async def holds() -> bool:
        return answers.pop(0)

    await until_stable(holds, poll_s=0)
    assert answers == []
