"""Recordings as a whole, and at another rate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cwt_schemas.stream import Channel
from pycwt_client.chunks import Piece
from pycwt_client.signals import Samples
from pycwt_client.sources import Signals, SourceError, SourceInfo
from pycwt_client.sources.whole import Resampled, Whole, read_whole, resampled

pytestmark = pytest.mark.anyio

INFO = SourceInfo(name="r", channels=(Channel(name="x"),), fs_hz=100.0, n_samples=1000)


@dataclass
class Pieces:
    """A source and its signals: given pieces, as (first sample, samples)."""

    parts: Sequence[tuple[int, Samples]]
    info: SourceInfo = INFO

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        yield self

    async def __aiter__(self) -> AsyncIterator[Piece]:
        for first, samples in self.parts:
            yield Piece(first_sample=first, t0_ns=first * 10_000_000, samples=samples)


def whole(signal: NDArray[np.floating], fs_hz: float = 100.0) -> Whole:
    info = replace(INFO, n_samples=len(signal), fs_hz=fs_hz)
    return Whole(info=info, samples=signal[:, None].astype(np.float64), t0_ns=None)


async def test_pieces_are_put_where_they_belong_and_gaps_are_missing() -> None:
    parts = [(0, np.ones((400, 1), dtype="<i2")), (500, np.full((500, 1), 2, dtype="<i2"))]
    found = await read_whole(Pieces(parts))
    assert found.samples.dtype == np.float32
    assert np.isnan(found.samples[400:500]).all()
    assert np.isfinite(found.samples).sum() == 900
    assert found.t0_ns == 0


async def test_integers_of_32_bits_stay_exact() -> None:
    odd = np.full((1000, 1), 2**24 + 1, dtype="<i4")
    assert (await read_whole(Pieces([(0, odd)]))).samples[0, 0] == 2**24 + 1


@pytest.mark.parametrize("n", [None, 1 << 40])
async def test_a_device_or_a_recording_without_end_is_refused(n: int | None) -> None:
    with pytest.raises(SourceError, match="has no end" if n is None else "too many"):
        await read_whole(Pieces([], replace(INFO, n_samples=n)))


@pytest.mark.parametrize("fs_hz", [25.0, 40.0, 93.2, 100.0, 250.0])
def test_a_tone_below_both_nyquist_frequencies_is_the_same_at_the_new_rate(fs_hz: float) -> None:
    tone_hz = 0.8 * min(fs_hz, 100.0) / 2
    t = np.arange(2000) / 100.0
    found = resampled(whole(np.sin(2 * np.pi * tone_hz * t)), fs_hz)
    at = np.arange(len(found.samples)) / fs_hz
    inside = (at > 1) & (at < 19)
    expected = np.sin(2 * np.pi * tone_hz * at)
    # The filter is flat within 0.02 dB there, 0.23 %, and images are 55 dB lower, 0.18 %.
    np.testing.assert_allclose(found.samples[inside, 0], expected[inside], rtol=0, atol=4.1e-3)
    assert found.info.fs_hz == fs_hz
    assert found.info.n_samples == len(found.samples)
    assert len(found.samples) / fs_hz == pytest.approx(20, abs=1 / fs_hz)


def test_a_tone_above_the_new_nyquist_frequency_is_gone() -> None:
    tone_hz = 1.2 * 25.0 / 2
    found = resampled(whole(np.sin(2 * np.pi * tone_hz * np.arange(4000) / 100.0)), 25.0)
    assert np.abs(found.samples[30:-30]).max() < 10 ** (-55 / 20)


def test_an_offset_and_a_trend_leave_no_ripples_and_no_steps() -> None:
    line = 9000.0 + 0.5 * np.arange(1000)
    found = resampled(whole(line), 30.0)
    expected = 9000.0 + 0.5 * 100 / 30 * np.arange(len(found.samples))
    np.testing.assert_allclose(found.samples[:, 0], expected, rtol=1e-9)


def test_where_samples_are_missing_those_that_the_filter_would_take_from_them_are() -> None:
    signal = np.random.default_rng(1).normal(size=1000)
    signal[500] = np.nan
    found = resampled(whole(signal), 50.0).samples[:, 0]
    # Half the filter is 10 samples of the lower rate, 20 of the higher one.
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found)), np.arange(240, 261))
    signal[500] = 1e9
    other = resampled(whole(signal), 50.0).samples[:, 0]
    clean = ~np.isnan(found)
    np.testing.assert_allclose(found[clean], other[clean], rtol=1e-6, atol=1e-4)
    assert np.isnan(resampled(whole(np.full(10, np.nan)), 50.0).samples).all()


@pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf, 1e-6])
def test_a_rate_that_is_none_is_refused(fs_hz: float) -> None:
    with pytest.raises(SourceError, match="cannot resample r from 100 Hz"):
        resampled(whole(np.zeros(10)), fs_hz)


async def test_a_source_can_be_played_at_another_rate() -> None:
    source = Resampled(Pieces([(0, np.zeros((1000, 1), dtype="<f4"))]), 50.0)
    async with source.open() as signals:
        pieces = [piece async for piece in signals]
    assert signals.info.fs_hz == 50.0
    assert sum(len(piece.samples) for piece in pieces) == 500
    assert pieces[1].t0_ns == pieces[1].first_sample * 20_000_000
