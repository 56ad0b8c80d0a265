"""Reading of provisional estimates with the client, on both buses."""

from __future__ import annotations

import anyio.lowlevel
import numpy as np
import pytest

from cwt_runtime.bus import Bus
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, encode
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.provisional import EstimateTimes, OctaveRows, ProvisionalEstimate
from pycwt_client import Client
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

MSGPACK = {CONTENT_TYPE: ContentType.MSGPACK.value}


def estimate(newest: int, epoch: str = "e", analysis: str = "a") -> ProvisionalEstimate:
    ones = np.ones((1, 2), np.float32)
    return ProvisionalEstimate(
        stream="s",
        epoch=epoch,
        analysis=analysis,
        channels=("x",),
        fs_hz=100.0,
        newest_sample=newest,
        freqs_hz=np.array([4.0, 2.0]),
        delay_s=np.array([[0.1, 0.2]], np.float32),
        phase=ones,
        std=ones,
        rms=ones,
        octaves=(OctaveRows(octave=0, n=1, tile=50), OctaveRows(octave=1, n=1, tile=100)),
        spec_hashes=("0" * 16,),
        worker="w",
        times_ns=EstimateTimes(received=1, sent=2),
    )


async def send(bus: Bus, each: ProvisionalEstimate) -> None:
    subject = subjects.now(each.stream, each.analysis)
    await bus.publish(subject, encode(each, ContentType.MSGPACK), MSGPACK)


async def test_an_estimate_that_arrives_after_a_newer_one_is_skipped(bus: Bus) -> None:
    async with Client(bus).now("s", "a") as estimates:
        for each in (estimate(19), estimate(9), estimate(4, epoch="f")):
            await send(bus, each)
            if each.newest_sample != 9:
                with fail_after(10):
                    assert await anext(estimates) == each
        assert estimates.skipped == 1


async def test_a_slow_reader_gets_the_newest_estimate_of_each_analysis(bus: Bus) -> None:
    async with Client(bus).now("s") as estimates:
        for newest in range(10):
            await send(bus, estimate(newest))
        await send(bus, estimate(3, analysis="b"))
        with fail_after(10):
            while estimates.skipped < 9:
                await anyio.lowlevel.checkpoint()
            arrived = [await anext(estimates), await anext(estimates)]
    assert {each.analysis: each.newest_sample for each in arrived} == {"a": 9, "b": 3}


async def test_an_unreadable_estimate_is_skipped(bus: Bus) -> None:
    async with Client(bus).now("s", "a") as estimates:
        await bus.publish(subjects.now("s", "a"), b"?", MSGPACK)
        await send(bus, estimate(19))
        with fail_after(10):
            assert (await anext(estimates)).newest_sample == 19


async def test_an_error_of_the_reader_is_raised_as_it_is(bus: Bus) -> None:
    with pytest.raises(ZeroDivisionError):
        async with Client(bus).now("s"):
            raise ZeroDivisionError


def test_the_result_of_an_estimate_is_the_tile_at_its_position() -> None:
    each = estimate(119)
    np.testing.assert_array_equal(each.positions, [[109, 99]])
    assert each.result_id(0, 0) == f"s/e/a/{'0' * 16}/0/100"
    assert each.result_id(0, 1) == f"s/e/a/{'0' * 16}/1/0"
