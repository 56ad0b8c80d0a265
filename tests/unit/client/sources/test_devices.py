"""Devices as sources: an outlet of the Lab Streaming Layer, and BrainFlow's synthetic board."""

from __future__ import annotations

import itertools
import os
import time

import numpy as np
import pylsl
import pytest

from cwt_schemas.stream import Channel
from pycwt_client.chunks import Piece
from pycwt_client.sources import (
    BrainflowSource,
    LslSource,
    Signals,
    SourceError,
    named_source,
)
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

FS = 200.0


NUMBERS = itertools.count()


@pytest.fixture
def name() -> str:
    """A name of this test alone: others on the network stream, too, or are still listed."""
    # Its records are no warnings of this project's.
    pylsl.set_config_content("[log]\nlevel = -3\n[multicast]\nResolveScope = machine\n")
    return f"test-{os.getpid()}-{next(NUMBERS)}"


@pytest.fixture
def outlet(name: str) -> pylsl.StreamOutlet:
    info = pylsl.StreamInfo(name, "EEG", 2, FS, "float32", name)
    channels = info.desc().append_child("channels")
    for label in ("Fz", "Cz"):
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", "microvolts")
    return pylsl.StreamOutlet(info)


async def take(signals: Signals, samples: int) -> list[Piece]:
    pieces: list[Piece] = []
    with fail_after(20):
        async for piece in signals:
            pieces.append(piece)
            if sum(len(each.samples) for each in pieces) >= samples:
                break
    return pieces


def rows(first: int, n: int) -> list[list[float]]:
    return [[float(at), -float(at)] for at in range(first, first + n)]


async def test_an_outlet_is_read_with_its_names_times_and_gaps(
    outlet: pylsl.StreamOutlet, name: str
) -> None:
    async with LslSource(name, chunk_s=0.05).open() as signals:
        assert signals.info.channels == (
            Channel(name="Fz", unit="uV"),
            Channel(name="Cz", unit="uV"),
        )
        assert (signals.info.fs_hz, signals.info.live) == (FS, True)
        begin = pylsl.local_clock()
        outlet.push_chunk(rows(0, 100), begin + 99 / FS)  # the time is that of the last one
        outlet.push_chunk(rows(300, 100), begin + 399 / FS)  # 200 samples did not come
        pieces = await take(signals, 200)
    found = {
        piece.first_sample + at: row for piece in pieces for at, row in enumerate(piece.samples)
    }
    assert sorted(found) == [*range(100), *range(300, 400)]
    assert all(row.tolist() == [at, -at] for at, row in found.items())
    t0_ns = pieces[0].t0_ns
    assert t0_ns is not None
    assert abs(t0_ns - (time.time_ns() - (pylsl.local_clock() - begin) * 1e9)) < 50e6


async def test_temporary_time_stamp_jump_of_outlet_changes_nothing(
    outlet: pylsl.StreamOutlet, name: str
) -> None:
    """Everything after five samples that were stamped late was as much later, for good."""
    async with LslSource(name, chunk_s=0.05).open() as signals:
        begin = pylsl.local_clock()
        outlet.push_chunk(rows(0, 100), begin + 99 / FS)
        outlet.push_chunk(rows(100, 5), begin + 104 / FS + 1000)
        outlet.push_chunk(rows(105, 95), begin + 199 / FS)
        pieces = await take(signals, 200)
    places = np.concatenate([np.arange(each.first_sample, each.next_sample) for each in pieces])
    np.testing.assert_array_equal(places, np.arange(200))
    np.testing.assert_array_equal(np.concatenate([each.samples for each in pieces])[:, 0], places)


async def test_a_stream_is_found_by_another_property(outlet: pylsl.StreamOutlet, name: str) -> None:
    del outlet
    async with named_source(f"lsl:source_id={name}").open() as signals:
        assert signals.info.name == name


async def test_a_device_that_was_started_again_is_found_as_it_is_now(name: str) -> None:
    before, now = (
        pylsl.StreamOutlet(pylsl.StreamInfo(name, "EEG", channels, FS, "float32", name))
        for channels in (2, 3)
    )
    async with LslSource(name).open() as signals:
        assert len(signals.info.channels) == 3
    del before, now


async def test_streams_with_equal_names_are_ambiguous(
    outlet: pylsl.StreamOutlet, name: str
) -> None:
    info = pylsl.StreamInfo(name, "EEG", 1, FS, "float32", f"{name}-second")
    second = pylsl.StreamOutlet(info)
    with pytest.raises(SourceError, match=rf"2 streams .*source_id={name}-second"):
        async with LslSource(name).open():
            pass
    async with named_source(f"lsl:name={name},source_id={name}-second").open() as signals:
        assert len(signals.info.channels) == 1
    del outlet, second


async def test_unknown_stream_property_is_reported() -> None:
    with pytest.raises(SourceError, match=r"'colour' is not a property .*hostname"):
        async with LslSource("colour=red").open():
            pass


@pytest.mark.slow
async def test_unknown_stream_error_lists_known_streams(
    outlet: pylsl.StreamOutlet, name: str
) -> None:
    del outlet
    with pytest.raises(SourceError, match=f"none.*{name}"):
        async with LslSource("none", find_s=0.1).open():
            pass


async def test_stream_of_events_is_not_a_source(name: str) -> None:
    info = pylsl.StreamInfo(f"{name}-events", "Markers", 1, 0, "string", f"{name}-events")
    outlet = pylsl.StreamOutlet(info)
    with pytest.raises(SourceError, match="events"):
        async with LslSource(f"{name}-events").open():
            pass
    del outlet


async def test_the_synthetic_board_gives_samples_that_follow_each_other() -> None:
    async with named_source("brainflow:synthetic").open() as signals:
        info = signals.info
        pieces = await take(signals, 100)
    assert (info.fs_hz, info.live, len(info.channels)) == (250, True, 16)
    assert info.channels[:2] == (Channel(name="Fz", unit="uV"), Channel(name="C3", unit="uV"))
    ends = [0, *(piece.next_sample for piece in pieces[:-1])]
    assert [piece.first_sample for piece in pieces] == ends
    assert np.isfinite(np.concatenate([piece.samples for piece in pieces])).all()
    now_ns = time.time_ns()
    assert all(piece.t0_ns is not None for piece in pieces)
    assert all(0 < now_ns - (piece.t0_ns or 0) < 20e9 for piece in pieces)


@pytest.mark.parametrize(
    ("board", "fault"),
    [
        ("toaster", "toaster"),
        ("cyton,speed=9", "speed.*serial_port"),
        ("cyton,speed", "speed"),
        ("cyton,serial_port=/dev/none", "cyton"),
    ],
)
async def test_board_that_cannot_run_is_reported(board: str, fault: str) -> None:
    async def open_it() -> None:
        async with named_source(f"brainflow:{board}").open():
            pass

    with pytest.raises(SourceError, match=fault):
        await open_it()


def test_a_board_is_named_without_touching_it() -> None:
    BrainflowSource("cyton", {"serial_port": "/dev/none"})
