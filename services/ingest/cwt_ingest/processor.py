"""One stream, from chunks of the log to windows and events: a pure function of the log.

The same log from the same checkpoint gives the same windows under the same ids. Chunks up to the
checkpoint's `last_seq` are read again only to fill the buffer; what they caused was published then.

Chunks are taken in the order of their samples, not of the log (`reordering`). So a checkpoint is
the state before the first chunk, in that order, whose samples are still needed; reading begins at
the earliest place in the log of such a chunk. What else is met there again counts as known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cwt_ingest.accounting import Accepted, Finding, Position, Refused, account, finished
from cwt_ingest.clock import Clock
from cwt_ingest.lanes import plan_lanes
from cwt_ingest.reordering import Arrival, Reordering
from cwt_schemas.codec import decode_chunk
from cwt_schemas.errors import ContractError
from cwt_schemas.limits import MAX_INT64
from cwt_schemas.live import (
    AnalysisWindow,
    EventKind,
    SignalChunk,
    StreamEvent,
    Tile,
    WindowTimes,
    tile_id,
)
from cwt_schemas.message import clipped
from cwt_schemas.stream import ReplayState, StreamCheckpoint, StreamDefinition, StreamProgress
from pycwt_mod.streaming import CutWindow, Windower

__all__ = ["LogEntry", "Output", "StreamProcessor"]

Output = AnalysisWindow | StreamEvent
#: A publisher that lost its server sends a chunk again after five seconds, and once more after
#: another five: a quiet log is waited for as long as that takes, by a stream of usual patience.
QUIET_S = 15.0
QUIET_FACTOR = 15.0


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One message of the signal log, and the time at which it is processed."""

    seq: int
    stored_ns: int
    headers: Mapping[str, str]
    body: bytes
    now_ns: int


@dataclass(frozen=True, kw_only=True)
class _Cause:
    """What the outputs of one step are due to: the time, and whether they are known already."""

    stored_ns: int
    now_ns: int
    known: bool


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
        self._revision = checkpoint.definition_revision
        #: Where reading again began, until it has come to where the checkpoint was written.
        self._resumed: StreamCheckpoint | None = checkpoint
        self._lanes = plan_lanes(definition)
        self._last_seq = checkpoint.last_seq
        self._last_stored_ns = checkpoint.last_stored_ns
        self._released_after = checkpoint.released_after
        self._position = _position(checkpoint.state)
        self._clock = _clock(checkpoint.state, definition.fs_hz)
        self._windower = Windower(
            self._lanes, len(definition.channels), first=self._position.expected
        )
        self._windower.resume([checkpoint.tiles.get(lane.key, 0) for lane in self._lanes])
        self._anchors: deque[_Anchor] = deque()
        self._max_gap = max((lane.window for lane in self._lanes), default=MAX_INT64)
        self._reordering = Reordering(round(definition.reorder_s * definition.fs_hz), self._max_gap)
        done = checkpoint.progress
        self._chunks, self._windows, self._samples = done.chunks, done.windows, 0
        self._last_chunk_ns = done.last_chunk_ns

    @property
    def replay_from_seq(self) -> int:
        """The first message of the log that this state still needs."""
        if self._resumed is not None:
            return self._resumed.replay_from_seq
        needed = (*(anchor.seq for anchor in self._anchors), *self._reordering.seqs)
        return min(needed, default=self._last_seq + 1)

    @property
    def accepted_samples(self) -> int:
        """Samples accepted by this process, over all channels."""
        return self._samples

    @property
    def waiting_s(self) -> float:
        """How long the log may be quiet before `release`, seconds; 0 where nothing waits."""
        longest_s = self._reordering.longest / self.definition.fs_hz
        if not longest_s:
            return 0.0
        patience_s = self.definition.reorder_s
        quiet_s = min(QUIET_FACTOR * patience_s, max(QUIET_S, patience_s))
        # The next chunk is not late before its own length has passed.
        return max(quiet_s, min(2 * longest_s, QUIET_S))

    def take(self, entry: LogEntry) -> Iterator[Output]:
        """Take one message of the stream's subject; yield what it causes, in order."""
        if self._resumed is not None and entry.seq < self._resumed.replay_from_seq:
            return
        known = entry.seq <= self._last_seq and entry.stored_ns <= self._last_stored_ns
        cause = _Cause(stored_ns=entry.stored_ns, now_ns=entry.now_ns, known=known)
        yield from self._told(self._take(entry, cause), cause)
        if not known:
            self._resumed = None
            self._chunks += 1
            self._last_seq = entry.seq
            self._last_stored_ns = max(self._last_stored_ns, entry.stored_ns)
            self._last_chunk_ns = entry.stored_ns
        elif entry.seq in self._released_after:
            # The last one was perhaps written down and not carried out; its outputs have ids.
            again = entry.seq == self._last_seq
            cause = _Cause(stored_ns=entry.stored_ns, now_ns=entry.now_ns, known=not again)
            yield from self._told(self._let_go(cause), cause)
        if known and entry.seq == self._last_seq:
            self._resumed = None

    def note_release(self) -> None:
        """Put it into the checkpoint that `release` follows now."""
        self._resumed = None  # the log is quiet: there is nothing more to read again
        if self._last_seq not in self._released_after:
            kept = [seq for seq in self._released_after if seq >= self.replay_from_seq]
            self._released_after = (*kept, self._last_seq)

    def release(self, now_ns: int) -> Iterator[Output]:
        """Wait no longer for what is missing before the chunks that came; yield what that causes.

        The checkpoint has to be kept between `note_release` and this, for it is not in the log
        that it went quiet.
        """
        cause = _Cause(stored_ns=self._last_stored_ns, now_ns=now_ns, known=False)
        yield from self._told(self._let_go(cause), cause)

    def checkpoint(self) -> StreamCheckpoint:
        """Return the state as a function of the log up to the last message taken."""
        if self._resumed is not None:
            return self._resumed
        start = self.replay_from_seq
        return StreamCheckpoint(
            stream=self.definition.name,
            definition_revision=self._revision,
            replay_from_seq=start,
            last_seq=self._last_seq,
            last_stored_ns=self._last_stored_ns,
            released_after=tuple(seq for seq in self._released_after if seq >= start),
            tiles=dict(
                zip((lane.key for lane in self._lanes), self._windower.next_tiles, strict=True)
            ),
            state=self._anchors[0].before if self._anchors else self._state(),
            progress=self.progress(),
        )

    def progress(self) -> StreamProgress:
        """Return how far the stream has come."""
        started = self._position.epoch is not None
        return StreamProgress(
            sequenced=self._position.sequenced,
            epoch=self._position.epoch,
            next_sample=self._position.expected if started else None,
            chunks=self._chunks,
            windows=self._windows,
            last_chunk_ns=self._last_chunk_ns,
            clock=self._clock.status() if self._clock else None,
        )

    def _told(self, outputs: Iterator[Output], cause: _Cause) -> Iterator[Output]:
        for output in outputs:
            if not cause.known:
                self._windows += isinstance(output, AnalysisWindow)
                yield output

    def _take(self, entry: LogEntry, cause: _Cause) -> Iterator[Output]:
        try:
            chunk = decode_chunk(entry.headers, entry.body, len(self.definition.channels))
        except ContractError as error:
            yield self._event(entry.seq, cause, "rejected", detail=error.message)
            return
        self._reordering.add(Arrival(seq=entry.seq, chunk=chunk))
        yield from self._take_in_turn(cause)

    def _let_go(self, cause: _Cause) -> Iterator[Output]:
        self._reordering.release()
        yield from self._take_in_turn(cause)

    def _take_in_turn(self, cause: _Cause) -> Iterator[Output]:
        while (turn := self._reordering.pop(self._position)) is not None:
            arrival, chunk = turn.arrival, turn.arrival.chunk
            if turn.stray:
                yield self._event(arrival.seq, cause, "rejected", detail=self._why_stray(chunk))
            elif chunk.n_samples:
                yield from self._take_samples(arrival, cause)
            if chunk.final and chunk.epoch == self._position.epoch:
                if not cause.known:
                    yield from self._rest(cause)
                self._position = finished(self._position)

    def _why_stray(self, chunk: SignalChunk) -> str:
        return f"epoch {chunk.epoch!r} did not begin: {self._position.epoch!r} went on"

    def _take_samples(self, arrival: Arrival, cause: _Cause) -> Iterator[Output]:
        chunk = arrival.chunk
        verdict = account(
            self._position,
            epoch=chunk.epoch,
            first_sample=chunk.first_sample,
            n=chunk.n_samples,
            max_gap=self._max_gap,
            late=self._late(chunk),
        )
        if isinstance(verdict, Refused):
            self._position = verdict.position
            yield self._event(arrival.seq, cause, "rejected", detail=verdict.reason)
            return
        if verdict.restart:
            if not cause.known:
                yield from self._rest(cause)
            self._restart(verdict.first_sample, keep_tiles=cause.known)
        before, self._position = self._state(), verdict.position
        for finding in verdict.findings:
            yield self._finding(arrival.seq, cause, finding)
        if not cause.known:
            self._samples += (chunk.n_samples - verdict.skip) * chunk.n_channels
        yield from self._append(arrival, cause, verdict, before)

    def _append(
        self, arrival: Arrival, cause: _Cause, verdict: Accepted, before: ReplayState
    ) -> Iterator[Output]:
        chunk = arrival.chunk
        samples = chunk.samples.reshape(chunk.n_samples, -1)[verdict.skip :]
        if not len(samples):
            return
        if (missing := _missing_in(samples, verdict.first_sample)) is not None:
            yield self._finding(arrival.seq, cause, missing)
        end = verdict.first_sample + len(samples)
        self._anchors.append(_Anchor(arrival.seq, before, end))
        if chunk.t0_ns is not None:
            self._stamp(verdict.first_sample - verdict.skip, chunk.t0_ns)
        for window in self._windower.push(verdict.first_sample, samples):
            yield from self._cut(cause, window)
        while self._anchors and self._anchors[0].end <= self._windower.needed_from:
            self._anchors.popleft()

    def _late(self, chunk: SignalChunk) -> int:
        """Return how many samples are missing before a chunk without index, by its time stamp."""
        if self._clock is None or chunk.t0_ns is None or chunk.first_sample is not None:
            return 0
        return self._clock.lost_before(self._position.expected, chunk.t0_ns, chunk.n_samples)

    def _stamp(self, sample: int, t_ns: int) -> None:
        if self._clock is None:
            self._clock = Clock.started(self.definition.fs_hz, sample, t_ns)
        else:
            self._clock = self._clock.stamped(sample, t_ns)

    def _rest(self, cause: _Cause) -> Iterator[Output]:
        """Cut the tiles that have begun and will not be completed any more."""
        for window in self._windower.flush():
            yield from self._cut(cause, window)

    def _restart(self, first: int, *, keep_tiles: bool) -> None:
        self._windower.restart(first, keep_tiles=keep_tiles)
        self._anchors.clear()
        self._clock = None

    def _state(self) -> ReplayState:
        return ReplayState(
            epoch=self._position.epoch,
            next_sample=self._position.expected,
            ended_epochs=self._position.ended,
            sequenced=self._position.sequenced,
            suspect_end=self._position.suspect_end,
            clock=self._clock.state if self._clock else None,
        )

    def _cut(self, cause: _Cause, cut: CutWindow) -> Iterator[AnalysisWindow]:
        """Yield what travels of a window of a lane: one message for each batch of channel sets."""
        definition, lane, epoch = self.definition, self._lanes[cut.lane], self._position.epoch or ""
        first = cut.tile.first
        for batch in lane.batches:
            yield AnalysisWindow(
                id=tile_id(
                    stream=definition.name,
                    epoch=epoch,
                    analysis=lane.analysis.name,
                    spec_hash=batch.spec_hash,
                    octave=lane.octave,
                    first_sample=first,
                ),
                stream=definition.name,
                epoch=epoch,
                analysis=batch.spec,
                fs_hz=definition.fs_hz,
                channels=batch.names,
                octave=lane.octave,
                tile=Tile(first_sample=first, n=cut.tile.n),
                first_sample=cut.first,
                samples=_narrow(cut.samples[:, batch.columns], cut.exact_dtype),
                t0_ns=self._clock.time_of(first) if self._clock else None,
                t0_raw_ns=self._clock.raw_time_of(first) if self._clock else None,
                stale_after_s=definition.drop_after_s,
                spec_hash=batch.spec_hash,
                times_ns=WindowTimes(received=cause.stored_ns, windowed=cause.now_ns),
            )

    def _finding(self, seq: int, cause: _Cause, finding: Finding) -> StreamEvent:
        return self._event(
            seq,
            cause,
            finding.kind,
            first_sample=finding.first_sample,
            n_samples=finding.n_samples,
            detail=finding.detail,
        )

    def _event(
        self,
        seq: int,
        cause: _Cause,
        kind: EventKind,
        *,
        detail: str,
        first_sample: int | None = None,
        n_samples: int | None = None,
    ) -> StreamEvent:
        return StreamEvent(
            id=f"{self.definition.name}/{seq}/{kind}",
            stream=self.definition.name,
            epoch=self._position.epoch,
            kind=kind,
            first_sample=first_sample,
            n_samples=n_samples,
            detail=clipped(detail),
            t_ns=cause.stored_ns,
        )


def _position(state: ReplayState) -> Position:
    return Position(
        epoch=state.epoch,
        expected=state.next_sample,
        ended=state.ended_epochs,
        sequenced=state.sequenced,
        suspect_end=state.suspect_end,
    )


def _clock(state: ReplayState, fs_hz: float) -> Clock | None:
    return None if state.clock is None else Clock(fs_hz=fs_hz, state=state.clock)


def _missing_in(samples: NDArray[np.generic], first: int) -> Finding | None:
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


def _narrow(
    samples: NDArray[np.floating], exact: np.dtype[Any]
) -> NDArray[np.floating | np.integer]:
    """Return the samples in the narrowest type that loses nothing, for the bytes on the bus.

    That is what the device sent; of float64, float32 where that is as good.
    """
    narrow: NDArray[np.floating | np.integer]
    if exact == np.float64:
        with np.errstate(over="ignore"):
            narrow = samples.astype(np.float32, order="C")
        if not np.array_equal(narrow, samples, equal_nan=True):
            narrow = np.ascontiguousarray(samples)
    else:
        narrow = samples.astype(exact, order="C")
    narrow.flags.writeable = False  # a message takes it without a copy
    return narrow
