"""A simulated device, of which the truth is known: what it sampled when, and what it lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from cwt_ingest.processor import Output, StreamProcessor
from cwt_schemas.live import AnalysisWindow, EventKind, SignalChunk, StreamEvent
from cwt_schemas.stream import ClockStatus, StreamDefinition
from tests import pipeline

T0_NS = 10**18


@dataclass(frozen=True, kw_only=True)
class Device:
    """Samples at `true_hz`, and says `fs_hz`; its samples are numbered by their values."""

    fs_hz: float = 100.0
    true_hz: float = 100.0
    #: Samples in a chunk.
    n: int = 10
    chunks: int = 300
    jitter_s: float = 0.0
    #: Where its counter wraps; 0: it has none.
    modulus: int = 2**53
    #: Chunks that are lost.
    lost: Iterable[int] = ()
    #: Seconds that the stamps of chunks are wrong by.
    wrong_s: Mapping[int, float] = field(default_factory=dict)
    seed: int = 0

    def sent(self) -> list[SignalChunk]:
        """Return the chunks that arrive."""
        rng, lost = np.random.default_rng(self.seed), set(self.lost)
        jitter = rng.normal(0, self.jitter_s, self.chunks)
        found = []
        for i in range(self.chunks):
            if i in lost:
                continue
            first = i * self.n
            late_s = first / self.true_hz + jitter[i] + self.wrong_s.get(i, 0.0)
            found.append(
                SignalChunk(
                    epoch="e",
                    first_sample=first % self.modulus if self.modulus else None,
                    t0_ns=T0_NS + round(late_s * 1e9),
                    samples=np.arange(first, first + self.n, dtype="<f8"),
                )
            )
        return found


@dataclass(frozen=True)
class Taken:
    """What ingest made of a device's chunks."""

    outputs: list[Output]
    clock: ClockStatus

    def told(self, *kinds: EventKind) -> list[StreamEvent]:
        """Return the events of these kinds, of all without any."""
        events = [each for each in self.outputs if isinstance(each, StreamEvent)]
        return [each for each in events if not kinds or each.kind in kinds]

    @property
    def misplaced(self) -> int:
        """How many samples are not where they belong."""
        count = 0
        for window in self.outputs:
            if isinstance(window, AnalysisWindow):
                place = window.first_sample + np.arange(window.n_samples)
                there = window.samples[:, 0]
                count += int(np.sum(~np.isnan(there) & (there != place)))
        return count

    @property
    def covered(self) -> int:
        """How many different samples reached a window."""
        found: set[int] = set()
        for window in self.outputs:
            if isinstance(window, AnalysisWindow):
                found.update(window.samples[~np.isnan(window.samples[:, 0]), 0].astype(int))
        return len(found)

    @property
    def worst_time_s(self) -> float:
        """By how much the time of a window is wrong at most, for a device at 100 Hz."""
        return max(
            abs(window.t0_ns - T0_NS - window.tile.first_sample / 100.0 * 1e9) / 1e9
            for window in self.outputs
            if isinstance(window, AnalysisWindow) and window.t0_ns is not None
        )


def taken(definition: StreamDefinition, chunks: Iterable[SignalChunk]) -> Taken:
    """Return what ingest makes of the chunks, the last of which ends the epoch."""
    processor = StreamProcessor(definition, pipeline.fresh(definition))
    outputs: list[Output] = []
    listed = list(chunks)
    for seq, chunk in enumerate(listed, 1):
        final = chunk.model_copy(update={"final": True}) if seq == len(listed) else chunk
        outputs.extend(processor.take(pipeline.entry(final, seq)))
    processor.note_release()
    outputs.extend(processor.release(0))
    clock = processor.progress().clock
    assert clock is not None
    return Taken(outputs, clock)
