"""A rate that differs from the declared one is measured and reported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from cwt_schemas.stream import Channel
from pycwt_client.chunks import Piece
from pycwt_client.sources import (
    EdfSource,
    Signals,
    SourceError,
    SourceInfo,
    XdfSource,
    measured_fs_hz,
    named_source,
)
from pycwt_client.sources.rate import CHECK_S, RateChecked
from tests.deadlines import fail_after
from tests.unit.client.sources.test_files import read
from tests.unit.client.sources.test_incomplete import RECORDINGS

pytestmark = pytest.mark.anyio

DECLARED = SourceInfo(name="amp", channels=(Channel(name="x"),), fs_hz=200.0, n_samples=None)


class Device:
    """Declares a rate, and stamps at another one."""

    info = DECLARED

    def __init__(self, fs_hz: float, pieces: int | None = None) -> None:
        self.fs_hz = fs_hz
        self.pieces = pieces

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        yield self

    async def __aiter__(self) -> AsyncIterator[Piece]:
        number = 0
        while self.pieces is None or number < self.pieces:
            first = 20 * number
            t0_ns = 10**18 + round(first / self.fs_hz * 1e9)
            yield Piece(first_sample=first, t0_ns=t0_ns, samples=np.zeros((20, 1), "<f4"))
            number += 1


async def test_wrong_nominal_rate_is_reported_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pycwt_client.sources.rate.CHECK_S", 0.0)
    told: list[str] = []
    assert len([piece async for piece in RateChecked(Device(100.0, 50), told.append)]) == 50
    [text] = told
    assert "amp has 200 Hz, but its time stamps say 100.0 Hz" in text
    assert "2 times as high" in text
    assert "--fs measured" in text
    async for _ in RateChecked(Device(200.01, 50), told.append):
        pass
    assert len(told) == 1
    assert CHECK_S < 5


async def test_device_is_recorded_until_rate_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pycwt_client.sources.rate.MEASURE_S", 0.0)
    with fail_after(20):
        assert await measured_fs_hz(Device(93.2)) == pytest.approx(93.2)


async def test_measured_rate_of_recording_is_reported_and_used() -> None:
    """Declared 100 Hz, recorded at 93.2 Hz; its first 51 s, by which it is 93.4 Hz."""
    path = RECORDINGS / "clock_resets_cut.xdf"
    info, pieces = await read(XdfSource(path))
    assert info.fs_hz == 100
    assert info.measured_fs_hz == pytest.approx(93.4, abs=0.1)
    assert "BioSemi has 100 Hz, but its time stamps say 93." in info.warnings[-1]
    last = pieces[-1]
    seconds = ((last.t0_ns or 0) - (pieces[0].t0_ns or 0)) / 1e9
    assert last.first_sample / seconds == pytest.approx(93.4, rel=0.005)
    fs_hz = await measured_fs_hz(XdfSource(path))
    info, _ = await read(named_source(str(path), fs_hz=fs_hz))
    assert (info.fs_hz, len(info.warnings)) == (fs_hz, 2)  # those about its end


async def test_source_without_time_stamps_has_no_measured_rate() -> None:
    with pytest.raises(SourceError, match=r"bdf_stim_channel\.bdf.*no time stamps.*--fs"):
        await measured_fs_hz(EdfSource(RECORDINGS / "bdf_stim_channel.bdf"))


async def test_a_rate_can_be_given_to_every_file() -> None:
    info, pieces = await read(named_source(f"{RECORDINGS}/bdf_stim_channel.bdf", fs_hz=250.0))
    assert info == replace(info, fs_hz=250.0)
    assert (pieces[1].t0_ns or 0) - (pieces[0].t0_ns or 0) == 200_000_000
