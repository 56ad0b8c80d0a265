"""A recording, the part of it that arrives, and the expected results: the offline transform.

The device's whole recording is the truth, also of the samples that got lost on the way: a value
that is not masked has nothing to do with them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pycwt_mod
from cwt_runtime.analysis import plan_analysis
from cwt_schemas.analysis import AnalysisSpec, ChannelSet
from cwt_schemas.live import AnalysisResult, SignalChunk
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_mod.streaming import OctaveLayout

__all__ = [
    "CHUNK", "Block", "Recording", "block_of", "check", "definition",
    "expected_count", "final", "only", "shuffled",
]  # fmt: skip

FS = 100.0
CHUNK = 50
#: Of the row's RMS.
TOLERANCE = 1e-5
Real = NDArray[np.float64]
#: An analysis, a tile's first sample, and its length.
Block = tuple[str, int, int]


def definition(name: str, **changes: object) -> StreamDefinition:
    """Return a stream with coherence of a pair, and power of both its channels."""
    axis: dict[str, Any] = {"fmin_hz": 2.0, "fmax_hz": 16.0, "hop_s": 0.5}
    coherence = AnalysisSpec(name="c", op="wct", pairs=(("x", "y"),), quantity="coherence", **axis)
    power = AnalysisSpec(name="p", op="cwt", channels=("x", "y"), quantity="power", **axis)
    fields: dict[str, Any] = {
        "name": name,
        "fs_hz": FS,
        "channels": (Channel(name="x"), Channel(name="y")),
        "analyses": (coherence, power),
        **changes,
    }
    return StreamDefinition(**fields)


@dataclass(frozen=True)
class Recording:
    """Samples of x and y from the start of an epoch."""

    samples: Real
    epoch: str = "e"

    @classmethod
    def of(cls, rng: random.Random, n: int = 4000, epoch: str = "e") -> Recording:
        """Return red noise with something in common; no value is exact in single precision."""
        seed = rng.randrange(2**32)
        common = pycwt_mod.rednoise(n, 0.8, rng=seed)
        own = [pycwt_mod.rednoise(n, 0.4, rng=seed + i) for i in (1, 2)]
        return cls(np.stack([own[0] + common, own[1] + 0.5 * common], axis=1), epoch)

    def chunks(self, *, until: int | None = None) -> list[SignalChunk]:
        """Return the chunks of the whole recording."""
        n = len(self.samples) if until is None else until
        return [
            SignalChunk(epoch=self.epoch, first_sample=at, samples=self.samples[at : at + CHUNK])
            for at in range(0, n, CHUNK)
        ]


def final(recording: Recording) -> SignalChunk:
    """Return the final chunk of the recording."""
    nothing = np.zeros(0, np.float32)
    return SignalChunk(
        epoch=recording.epoch, first_sample=len(recording.samples), samples=nothing, final=True
    )


def shuffled(
    rng: random.Random, chunks: Sequence[SignalChunk], *, within: int
) -> list[SignalChunk]:
    """Return the chunks out of order, none more than `within` places from its own."""
    keys = [at + rng.uniform(0, within) for at in range(len(chunks))]
    return [chunks[at] for at in sorted(range(len(chunks)), key=keys.__getitem__)]


def only(stream: StreamDefinition, sets: Iterable[ChannelSet]) -> StreamDefinition:
    """Return the stream with only these channel sets."""
    wanted = set(sets)
    analyses = [
        spec.narrowed(*(each for each in spec.channel_sets if each in wanted))
        for spec in stream.analyses
        if wanted.intersection(spec.channel_sets)
    ]
    return stream.model_copy(update={"analyses": tuple(analyses)})


def layouts(spec: AnalysisSpec) -> tuple[OctaveLayout, ...]:
    return plan_analysis(spec, FS).layouts


def expected_count(stream: StreamDefinition, recordings: Iterable[Recording]) -> int:
    """Return how many results the recordings have: every tile that begins before their end."""
    return sum(
        len(spec.channel_sets) * -(-len(recording.samples) // layout.tile)
        for recording in recordings
        for spec in stream.analyses
        for layout in layouts(spec)
    )


def check(
    results: Sequence[AnalysisResult],
    stream: StreamDefinition,
    recording: Recording,
    lost: Sequence[tuple[int, int]] = (),
    dropped: Container[Block] = (),
) -> None:
    """Assert that the results of the recording's epoch are complete, right, and masked as needed.

    `lost` are ranges of samples that did not arrive, first and one past the last; `dropped` are
    the blocks that were not computed.
    """
    own = [result for result in results if result.epoch == recording.epoch]
    n = len(recording.samples)
    for spec in stream.analyses:
        for layout in layouts(spec):
            here = [r for r in own if (r.analysis, r.octave) == (spec.name, layout.octave)]
            firsts = Counter((r.channels, r.t.first_sample) for r in here)
            tiles = range(0, n, layout.tile)
            assert firsts == Counter((each, at) for each in spec.channel_sets for at in tiles)
            for result in here:
                if block_of(result) in dropped:
                    assert result.mask is not None, f"{result.id} was dropped and is not masked"
                    assert result.mask.all(), f"{result.id} was dropped and is not masked"
                else:
                    _check_block(result, layout, spec, recording, lost)


def block_of(result: AnalysisResult) -> Block:
    """Return which block a result is, of whichever channels."""
    return result.analysis, result.t.first_sample, result.t.step * result.t.n


def _check_block(
    result: AnalysisResult,
    layout: OctaveLayout,
    spec: AnalysisSpec,
    recording: Recording,
    lost: Sequence[tuple[int, int]],
) -> None:
    n = len(recording.samples)
    at = result.t.first_sample + result.t.step * np.arange(result.t.n)
    masked = np.zeros(result.values.shape, bool) if result.mask is None else result.mask
    truth = _offline(spec, result.channels, recording.samples.tobytes())[layout.voices]
    rms = np.sqrt((truth**2).mean(axis=1, keepdims=True))
    expected = truth[:, np.minimum(at, n - 1)]
    wrong = ~masked & (np.abs(result.values - expected) > TOLERANCE * rms)
    assert not wrong.any(), f"{result.id} differs from the offline transform"
    far = np.ones(len(at), bool)
    for first, end in ((-1, 0), (n, n + 1), *lost):
        far &= (at < first - layout.margin) | (at >= end + layout.margin)
        inside = (at >= first) & (at < end)
        assert masked[:, inside].all(), (
            f"{result.id} has unmasked values for samples that did not arrive"
        )
    assert not masked[:, far].any(), f"{result.id} is masked where nothing is missing"


@lru_cache(maxsize=64)
def _offline(spec: AnalysisSpec, channels: ChannelSet, samples: bytes) -> Real:
    """Return the offline rows of a channel set, of the analysis's quantity."""
    recording = np.frombuffer(samples).reshape(-1, 2)
    columns = [recording[:, "xy".index(name)] for name in channels]
    grid = plan_analysis(spec, FS).grid
    if spec.op == "wct":
        dj, s0, j = 1 / grid.voices_per_octave, grid.scales_s[0], grid.n_voices - 1
        found = pycwt_mod.wct(columns[0], columns[1], 1 / FS, dj, s0, j, sig=False)
        return np.asarray(found.coherence)
    (column,) = columns
    rows = pycwt_mod.cwt(column - column.mean(), 1 / FS, freqs=grid.freqs_hz).coefs
    return np.asarray(np.abs(rows) ** 2)
