"""Coherence of all pairs of channels, with processes that die."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import pycwt_mod
from cwt_schemas.analysis import AnalysisSpec, SignificanceSpec
from cwt_schemas.live import AnalysisWindow
from cwt_schemas.pair_result import PairsResult
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client import Client
from tests import pipeline
from tests.deadlines import fail_after
from tests.system.conftest import running_system

pytestmark = [pytest.mark.anyio, pytest.mark.system]

FS, N, CHUNK, CHANNELS = 100.0, 12_000, 200, 8
VOICES, FMAX_HZ = 12, 16.0
#: Of the server: results are above it, windows below.
MAX_PAYLOAD = 192 * 1024


def definition() -> StreamDefinition:
    names = tuple(f"c{i}" for i in range(CHANNELS))
    spec = AnalysisSpec(
        name="all", op="wct", pairs="all", fmin_hz=4.1, fmax_hz=FMAX_HZ, voices_per_octave=VOICES,
        hop_s=4, quantity="coherence", significance=SignificanceSpec(level=0.95),
    )  # fmt: skip
    channels = tuple(Channel(name=name) for name in names)
    return StreamDefinition(name="s", fs_hz=FS, channels=channels, analyses=(spec,))


def recording() -> NDArray[np.float32]:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((N, CHANNELS)) + rng.standard_normal((N, 1))
    x[N // 2 : N // 2 + 5, 3] = np.nan
    return x.astype(np.float32)


async def test_results_equal_the_offline_ones_however_often_a_worker_is_killed(
    tmp_path: Path,
) -> None:
    stream, x = definition(), recording()
    windows = pipeline.outputs(stream, pipeline.chunks_of(x, repeat(CHUNK)))
    n_windows = sum(isinstance(each, AnalysisWindow) for each in windows)
    async with running_system(tmp_path, max_payload=MAX_PAYLOAD) as system:
        client = Client(system.bus)
        await client.put_stream(stream)
        async with (
            client.publisher("s", "e") as publisher,
            client.pair_results("s", "all") as feed,
        ):
            for at in range(0, N, CHUNK):
                await publisher.publish(x[at : at + CHUNK], first_sample=at)
            parts: dict[str, PairsResult] = {}
            pairs = 0
            with fail_after(15):
                while pairs < n_windows * 28:
                    result = await anext(feed)
                    if not parts:
                        system.kill("compute-0")
                        await system.start("compute-2", "compute")
                    assert result.id not in parts
                    parts[result.id] = result
                    pairs += len(result.pairs)
            assert feed.repeated == 0
    assert pairs == n_windows * 28
    assert {result.first_pair for result in parts.values()} != {0}, "no result was divided"
    check_offline(list(parts.values()), x)


def check_offline(results: list[PairsResult], x: NDArray[np.float32]) -> None:
    """Compare with the coherence of the whole recording where nothing is masked."""
    filled = np.where(np.isnan(x), 0, x).astype(np.float64)
    s0 = 1 / (pycwt_mod.Morlet().fourier_factor * FMAX_HZ)
    offline = pycwt_mod.wct_pairs(filled.T.copy(), 1 / FS, 1 / VOICES, s0, 2 * VOICES - 1)
    place = {tuple(pair): k for k, pair in enumerate(offline.pairs.tolist())}
    compared = 0
    for result in results:
        assert result.signif is not None
        at = [place[tuple(pair)] for pair in result.pairs.tolist()]
        for row, hz in enumerate(result.freqs_hz):
            octave = next(o for o in offline.octaves if np.isclose(o.freqs, hz, rtol=1e-9).any())
            (k,) = np.flatnonzero(np.isclose(octave.freqs, hz, rtol=1e-9))
            inside = (result.positions < N) & (result.positions % octave.step == 0)
            expected = octave.coherence[at, k][:, result.positions[inside] // octave.step]
            values = result.masked[:, row, inside]
            # Results are float32, as the samples.
            assert np.abs(values - expected).max() < 1e-4 or values.mask.all()
            compared += int(values.count())
    assert compared > 28 * 24 * N / 10
