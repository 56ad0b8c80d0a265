"""What `publish` says of events, and of samples that are not kept or are refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cwt_cli.faults import CommandError
from cwt_cli.publish import is_there
from cwt_cli.publish_report import MAX_LINES, PublishReport, failure
from cwt_runtime.bus import StoreAck
from cwt_runtime.bus.errors import StorageFullError
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.live import EventKind, StreamEvent
from cwt_schemas.stream import Channel, StreamDefinition, StreamStatus
from cwt_schemas.subjects import event as event_subject
from pycwt_client import Client, Publisher
from pycwt_client.publisher import open_publisher
from pycwt_client.sending import Sending
from pycwt_client.sources import SourceInfo
from tests.memory_bus import MemoryBus
from tests.memory_bus.log import MemoryLog

pytestmark = pytest.mark.anyio

CHANNELS = (Channel(name="x"),)
DEFINED = StreamDefinition(name="s", fs_hz=100.0, channels=CHANNELS)


def event(kind: EventKind, number: int, *, epoch: str = "e", detail: str = "why") -> StreamEvent:
    return StreamEvent(
        id=f"{number}", stream="s", epoch=epoch, kind=kind, detail=detail, t_ns=number
    )


def test_many_events_of_a_kind_are_counted() -> None:
    screen = io.StringIO()
    report = PublishReport(Console(file=screen, width=300))
    for number in range(20):
        report.show(event("gap", number))
    assert screen.getvalue().count("event: s gap why") == MAX_LINES


def test_reset_event_of_own_epoch_is_not_shown() -> None:
    screen = io.StringIO()
    report = PublishReport(Console(file=screen, width=300), "e")
    report.show(event("reset", 1))
    assert screen.getvalue() == ""
    report.show(event("reset", 2, epoch="f"))
    assert "reset" in screen.getvalue()


async def concluded(*events: StreamEvent) -> str:
    bus, screen = MemoryBus(), io.StringIO()
    await bus.log.declare(system_topology(StorageSettings()))
    report = PublishReport(Console(file=screen, width=300))
    async with Client(bus).publisher("s", "e", on_event=report.show) as publisher:
        for each in events:
            body = encode(each, ContentType.JSON)
            headers = {CONTENT_TYPE: ContentType.JSON.value}
            await bus.publish(event_subject("s"), body, headers)
        await report.settle(Client(bus), publisher)
    report.conclude(publisher)
    return screen.getvalue()


async def test_refused_samples_of_the_run_are_a_failure_and_those_of_others_are_not() -> None:
    others = [event("rejected", number, epoch="other") for number in range(20)]
    assert "20 x rejected" in await concluded(*others)
    with pytest.raises(CommandError, match=r"epoch e were refused.* mine"):
        await concluded(*others, event("rejected", 21, detail="mine"))


def info(n_samples: int | None) -> SourceInfo:
    return SourceInfo(name="f", channels=CHANNELS, fs_hz=100.0, n_samples=n_samples)


def test_a_recording_that_was_published_as_this_epoch_is_there() -> None:
    status = StreamStatus(definition=DEFINED, epoch="e", next_sample=100, ended_epochs=("d", "e"))
    assert is_there(status, "e", info(100))
    assert not is_there(status, "f", info(100))
    for n_samples in (101, None):
        with pytest.raises(CommandError, match=r"epoch e of s has ended at sample 100.*--epoch"):
            is_there(status, "e", info(n_samples))
    with pytest.raises(CommandError, match=r"epoch d of s has ended, .*--epoch"):
        is_there(status, "d", info(100))


async def test_failure_names_epoch_sample_and_how_to_continue() -> None:
    class FullLog(MemoryLog):
        async def store(self, *_given: Any, **_options: Any) -> StoreAck:
            raise StorageFullError("full")

    opened: list[Publisher] = []

    async def publish() -> None:
        sending = Sending(retry=RetryPolicy(first_delay_s=0.0, max_tries=1))
        async with open_publisher(FullLog(), "s", "e", sending=sending) as publisher:
            opened.append(publisher)
            await publisher.publish(np.zeros(5), first_sample=500)

    with pytest.raises(StorageFullError) as full:
        await publish()
    again = failure(full.value, opened[0], live=False)
    lost = failure(full.value, opened[0], live=True)
    bug = failure(ZeroDivisionError(), opened[0], live=True)
    assert "signal log is full" in str(again)
    assert "Sample 500 is the first of epoch e that is not stored" in str(again)
    assert "--epoch e" in str(again)
    assert "start again" in str(lost)
    assert isinstance(bug, ZeroDivisionError)
