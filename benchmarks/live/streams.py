"""Definitions of the measured streams."""

from __future__ import annotations

from cwt_ingest.lanes import plan_lanes
from cwt_runtime.analysis import plan_analysis
from cwt_schemas.analysis import AnalysisSpec, SignificanceSpec
from cwt_schemas.stream import Channel, StreamDefinition

__all__ = ["CLOSED_LOOP_HOP_S", "PAIR_HOP_S", "all_pairs", "coherence", "heavy", "octaves", "pair",
           "power", "results_of"]  # fmt: skip

#: Hop at which 2.5 times the samples of a pair are sent, whose margins in the highest octave are
#: 0.3 s on either side.
PAIR_HOP_S = 0.4
#: Hop for more frequent results, which cost more bytes and computation.
CLOSED_LOOP_HOP_S = 0.1

#: Hop of all pairs, whose results are megabytes.
ALL_PAIRS_HOP_S = 0.5


def power(name: str, channels: int, *, hop_s: float) -> StreamDefinition:
    """Return a stream of many channels at 1 kHz: power of each, 12 voices in 8 octaves."""
    names = tuple(f"c{i}" for i in range(channels))
    spec = AnalysisSpec(
        name="power", op="cwt", channels=names, fmin_hz=1.0, fmax_hz=255.0, hop_s=hop_s,
        quantity="power",
    )  # fmt: skip
    return _stream(name, 1000.0, names, spec)


def coherence(name: str, *, fs_hz: float, hop_s: float) -> StreamDefinition:
    """Return a stream of two channels: coherence with its 95 % level, 12 voices in 4 octaves."""
    spec = AnalysisSpec(
        name="coherence", op="wct", pairs=(("x", "y"),), fmin_hz=fs_hz / 250, fmax_hz=fs_hz / 16,
        hop_s=hop_s, quantity="coherence", significance=SignificanceSpec(level=0.95),
    )  # fmt: skip
    return _stream(name, fs_hz, ("x", "y"), spec)


def pair(name: str, hop_s: float) -> StreamDefinition:
    """Return the stream for measuring latency and traffic."""
    return coherence(name, fs_hz=1000.0, hop_s=hop_s)


def heavy(name: str, voices: int) -> StreamDefinition:
    """Return a stream of four pairs whose windows need much computation per byte transferred.

    Paul's wavelet of order 3 decays so slowly that a window has thousands of samples for each
    tile; the cross spectrum needs each of them, in a row for each voice; and counts of 32 bits are
    computed in float64.
    """
    names = tuple(f"c{i}" for i in range(8))
    spec = AnalysisSpec(
        name="heavy", op="xwt", pairs=tuple(zip(names[::2], names[1::2], strict=True)),
        wavelet="paul", param=3.0, fmin_hz=5.6, fmax_hz=11.1, voices_per_octave=voices, hop_s=0.02,
        quantity="power",
    )  # fmt: skip
    return _stream(name, 250.0, names, spec)


def all_pairs(name: str, channels: int, fs_hz: float) -> StreamDefinition:
    """Return a stream with the coherence of all pairs of channels: 8 voices in 4 octaves."""
    names = tuple(f"c{i}" for i in range(channels))
    fmax_hz = fs_hz / 4
    spec = AnalysisSpec(
        name="pairs", op="wct", pairs="all", channels=names, fmin_hz=fmax_hz * 2 ** (-31 / 8),
        fmax_hz=fmax_hz, voices_per_octave=8, hop_s=ALL_PAIRS_HOP_S, quantity="coherence",
        significance=SignificanceSpec(level=0.95),
    )  # fmt: skip
    return _stream(name, fs_hz, names, spec)


def octaves(stream: StreamDefinition) -> int:
    """Return the number of octaves of the stream's analysis."""
    return len(plan_analysis(stream.analyses[0], stream.fs_hz).layouts)


def results_of(stream: StreamDefinition, n_samples: int) -> int:
    """Return the number of results of `n_samples` samples before the end of the epoch."""
    return sum(
        max(n_samples - lane.margin, 0) // lane.tile * lane.messages for lane in plan_lanes(stream)
    )


def _stream(
    name: str, fs_hz: float, channels: tuple[str, ...], spec: AnalysisSpec
) -> StreamDefinition:
    each = tuple(Channel(name=channel) for channel in channels)
    return StreamDefinition(name=name, fs_hz=fs_hz, channels=each, analyses=(spec,))
