"""One stream, from chunks of the log to windows and events: a pure function of the log.

The same log from the same checkpoint gives the same windows under the same ids. Chunks up to the
checkpoint's `last_seq` are read again only to fill the buffer; what they caused was published then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pycwt_mod.streaming import CutWindow, Windower
from schemas.checkpoint import ReplayState, StreamCheckpoint
from schemas.codec import decode_chunk
from schemas.errors import ContractError
from schemas.event import EventKind, StreamEvent
from schemas.ids import tile_id
from schemas.limits import MAX_INT64
from schemas.message import clipped
from schemas.signal import SignalChunk
from schemas.stream import StreamDefinition, StreamStatus
from schemas.timing import WindowTimes
from schemas.window import AnalysisWindow, Tile
from services.ingest.accounting import Accepted, Finding, Position, Refused, account, finished
from services.ingest.lanes import Batch, Lane, plan_lanes

__all__ = ["LogEntry", "Output", "StreamProcessor"]

Output = AnalysisWindow | StreamEvent
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One message of the signal log, and the time at which it is processed."""

    seq: int
    stored_ns: int
    headers: Mapping[str, str]
    body: bytes
    now_ns: int


@dataclass(frozen=True)
class _Anchor:
    """A chunk in the buffer: where to resume if its samples are needed again."""

    seq: int
    before: ReplayState
    end: int


class StreamProcessor:
    """The state of one stream.

    Parameters
    ----------
    definition
        The stream.
    checkpoint
        Where it stands; the caller feeds it the log from `checkpoint.replay_from_seq` on.
    """

    def __init__(self, definition: StreamDefinition, checkpoint: StreamCheckpoint) -> None:
        self.definition = definition
        self._lanes = plan_lanes(definition)
        self._replay_from = checkpoint.replay_from_seq
        self._last_seq = checkpoint.last_seq
        self._last_stored_ns = checkpoint.last_stored_ns
        self._position = _position(checkpoint.state)
        self._windower = Windower(
            self._lanes, len(definition.channels), first=self._position.expected
        )
        self._windower.resume([checkpoint.tiles.get(lane.key, 0) for lane in self._lanes])
        self._anchors: deque[_Anchor] = deque()
        self._clock = _clock(checkpoint.state)
        self._max_gap = max((lane.window for lane in self._lanes), default=MAX_INT64)
        self._chunks = self._windows = self._samples = 0
        self._last_chunk_ns: int | None = None

    @property
    def replay_from_seq(self) -> int:
        """The first message of the log that this state still needs."""
        return self._anchors[0].seq if self._anchors else self._replay_from

    @property
    def accepted_samples(self) -> int:
        """Samples accepted by this process, over all channels."""
        return self._samples

    def take(self, entry: LogEntry) -> Iterator[Output]:
        """Take one message of the stream's subject; yield what it causes, in order."""
        if entry.seq < self._replay_from:
            return
        known = entry.seq <= self._last_seq and entry.stored_ns <= self._last_stored_ns
        for output in self._take(entry, replaying=known):
            if not known:
                self._windows += isinstance(output, AnalysisWindow)
                yield output
        if not known:
            self._chunks += 1
            self._last_seq = entry.seq
            self._last_stored_ns = max(self._last_stored_ns, entry.stored_ns)
            self._last_chunk_ns = entry.stored_ns

    def checkpoint(self) -> StreamCheckpoint:
        """Return the state as a function of the log up to the last message taken."""
        anchor = self._anchors[0] if self._anchors else None
        return StreamCheckpoint(
            stream=self.definition.name,
            definition_hash=self.definition.definition_hash(),
            replay_from_seq=anchor.seq if anchor else self._last_seq + 1,
            last_seq=self._last_seq,
            last_stored_ns=self._last_stored_ns,
            tiles=dict(
                zip((lane.key for lane in self._lanes), self._windower.next_tiles, strict=True)
            ),
            state=anchor.before if anchor else self._state(),
        )

    def status(self) -> StreamStatus:
        """Return the stream and how far it has come."""
        started = self._position.epoch is not None
        return StreamStatus(
            definition=self.definition,
            sequenced=self._position.sequenced,
            epoch=self._position.epoch,
            next_sample=self._position.expected if started else None,
            chunks=self._chunks,
            windows=self._windows,
            last_chunk_ns=self._last_chunk_ns,
        )

    def _take(self, entry: LogEntry, *, replaying: bool) -> Iterator[Output]:
        try:
            chunk = decode_chunk(entry.headers, entry.body, len(self.definition.channels))
        except ContractError as error:
            yield self._event(entry, "rejected", detail=error.message)
            return
        if chunk.n_samples:
            yield from self._take_samples(entry, chunk, replaying=replaying)
        if chunk.final and chunk.epoch == self._position.epoch:
            if not replaying:
                yield from self._rest(entry)
            self._position = finished(self._position)

    def _take_samples(
        self, entry: LogEntry, chunk: SignalChunk, *, replaying: bool
    ) -> Iterator[Output]:
        verdict = account(
            self._position,
            epoch=chunk.epoch,
            first_sample=chunk.first_sample,
            n=chunk.n_samples,
            max_gap=self._max_gap,
        )
        if isinstance(verdict, Refused):
            self._position = verdict.position
            yield self._event(entry, "rejected", detail=verdict.reason)
            return
        if verdict.restart:
            if not replaying:
                yield from self._rest(entry)
            self._restart(verdict.first_sample, keep_tiles=replaying)
        before, self._position = self._state(), verdict.position
        for finding in verdict.findings:
            yield self._finding(entry, finding)
        if not replaying:
            self._samples += (chunk.n_samples - verdict.skip) * chunk.n_channels
        yield from self._append(entry, chunk, verdict, before)

    def _append(
        self, entry: LogEntry, chunk: SignalChunk, verdict: Accepted, before: ReplayState
    ) -> Iterator[Output]:
        samples = chunk.samples.reshape(chunk.n_samples, -1)[verdict.skip :]
        if not len(samples):
            return
        if (missing := _missing(samples, verdict.first_sample)) is not None:
            yield self._finding(entry, missing)
        end = verdict.first_sample + len(samples)
        self._anchors.append(_Anchor(entry.seq, before, end))
        if chunk.t0_ns is not None:
            self._clock = (verdict.first_sample - verdict.skip, chunk.t0_ns)
        for window in self._windower.push(verdict.first_sample, samples):
            yield from self._cut(entry, window)
        while self._anchors and self._anchors[0].end <= self._windower.needed_from:
            self._anchors.popleft()

    def _rest(self, entry: LogEntry) -> Iterator[Output]:
        """Cut the tiles that have begun and will not be completed any more."""
        for window in self._windower.flush():
            yield from self._cut(entry, window)

    def _restart(self, first: int, *, keep_tiles: bool) -> None:
        self._windower.restart(first, keep_tiles=keep_tiles)
        self._anchors.clear()
        self._clock = None

    def _state(self) -> ReplayState:
        sample, t0_ns = self._clock or (None, None)
        return ReplayState(
            epoch=self._position.epoch,
            next_sample=self._position.expected,
            ended_epochs=self._position.ended,
            sequenced=self._position.sequenced,
            suspect_end=self._position.suspect_end,
            clock_sample=sample,
            clock_ns=t0_ns,
        )

    def _cut(self, entry: LogEntry, window: CutWindow) -> Iterator[AnalysisWindow]:
        lane, first = self._lanes[window.lane], window.tile.first
        for batch in lane.batches:
            yield AnalysisWindow(
                id=self._window_id(lane, batch, first),
                stream=self.definition.name,
                epoch=self._position.epoch or "",
                analysis=batch.spec,
                fs_hz=self.definition.fs_hz,
                channels=batch.names,
                octave=lane.octave,
                tile=Tile(first_sample=first, n=window.tile.n),
                first_sample=window.first,
                samples=_narrow(window.samples[:, batch.columns]),
                t0_ns=self._time_of(first),
                spec_hash=batch.spec_hash,
                times_ns=WindowTimes(received=entry.stored_ns, windowed=entry.now_ns),
            )

    def _window_id(self, lane: Lane, batch: Batch, first: int) -> str:
        return tile_id(
            stream=self.definition.name,
            epoch=self._position.epoch or "",
            analysis=lane.analysis.name,
            spec_hash=batch.spec_hash,
            octave=lane.octave,
            first_sample=first,
        )

    def _time_of(self, sample: int) -> int | None:
        if self._clock is None:
            return None
        at, t0_ns = self._clock
        then = t0_ns + round((sample - at) * NANOSECONDS / self.definition.fs_hz)
        return then if 0 <= then <= MAX_INT64 else None

    def _finding(self, entry: LogEntry, finding: Finding) -> StreamEvent:
        return self._event(
            entry,
            finding.kind,
            first_sample=finding.first_sample,
            n_samples=finding.n_samples,
            detail=finding.detail,
        )

    def _event(
        self,
        entry: LogEntry,
        kind: EventKind,
        *,
        detail: str,
        first_sample: int | None = None,
        n_samples: int | None = None,
    ) -> StreamEvent:
        return StreamEvent(
            id=f"{self.definition.name}/{entry.seq}/{kind}",
            stream=self.definition.name,
            epoch=self._position.epoch,
            kind=kind,
            first_sample=first_sample,
            n_samples=n_samples,
            detail=clipped(detail),
            t_ns=entry.stored_ns,
        )


def _missing(samples: NDArray[np.generic], first: int) -> Finding | None:
    """Return the finding of NaN samples, None where there are none."""
    if samples.dtype.kind != "f":
        return None
    rows = np.flatnonzero(np.isnan(samples).any(axis=1))
    if not rows.size:
        return None
    return Finding(
        kind="missing",
        first_sample=first + int(rows[0]),
        n_samples=int(rows.size),
        detail=f"{rows.size} samples have no value in at least one channel",
    )


def _narrow(samples: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the samples as float32 where that loses nothing: half the bytes on the bus."""
    with np.errstate(over="ignore"):
        narrow = samples.astype(np.float32)
    return narrow if np.array_equal(narrow, samples, equal_nan=True) else samples


def _position(state: ReplayState) -> Position:
    return Position(
        epoch=state.epoch,
        expected=state.next_sample,
        ended=state.ended_epochs,
        sequenced=state.sequenced,
        suspect_end=state.suspect_end,
    )


def _clock(state: ReplayState) -> tuple[int, int] | None:
    if state.clock_sample is None or state.clock_ns is None:
        return None
    return state.clock_sample, state.clock_ns
