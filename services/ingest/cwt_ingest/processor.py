"""One stream, from chunks of the log to windows and events: a pure function of the log.

The same log from the same checkpoint gives the same windows under the same ids. Chunks up to the
checkpoint's `last_seq` are read again only to fill the buffer; their outputs are already published.

Chunks are processed in the order of their samples, not of the log (`reordering`). A checkpoint is
the state before the first chunk, in that order, whose samples are still needed; reading resumes at
the earliest log entry of such a chunk. Other entries after that place count as already processed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cwt_ingest.accounting import Accepted, Finding, Position, Refused, account, finished
from cwt_ingest.clock import Clock, ClockFinding
from cwt_ingest.confirmation import Confirmation, Placed
from cwt_ingest.counter import Counters
from cwt_ingest.estimates import EstimateFeed, Fit
from cwt_ingest.lanes import MAX_HELD_BYTES, SAMPLE_BYTES, plan_lanes
from cwt_ingest.missing import RECOVERED_S, MissingChannels
from cwt_ingest.reordering import Arrival, Reordering
from cwt_ingest.windows import window_messages
from cwt_runtime.event_rate import EVENTS_QUIET_S, EventRate
from cwt_schemas.checkpoint import MissingState, ReplayState, StreamCheckpoint
from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.errors import ContractError
from cwt_schemas.limits import MAX_INT64, MAX_MESSAGE_BYTES
from cwt_schemas.live import (
    AnalysisWindow,
    EventKind,
    SignalChunk,
    StreamEvent,
    Tile,
    WindowTimes,
)
from cwt_schemas.message import clipped
from cwt_schemas.provisional import EstimateTimes, NewestSamples
from cwt_schemas.stream import StreamDefinition, StreamProgress
from pycwt_mod.streaming import CutWindow, Windower

__all__ = ["LogEntry", "Output", "Stored", "StreamProcessor", "read_chunk"]

#: Outputs that are stored, each with an id.
Stored = AnalysisWindow | StreamEvent
Output = Stored | NewestSamples | Fit
#: Time to wait for a quiet log at the default `reorder_s`: a publisher that lost its server retries
#: a chunk after five seconds, and once more after another five.
QUIET_S = 15.0
QUIET_FACTOR = 15.0


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """A message of the signal log and its processing time."""

    seq: int
    stored_ns: int
    #: The decoded chunk, or the reason for which it cannot be decoded.
    chunk: SignalChunk | ContractError
    now_ns: int
    #: Whether it was the newest message when it was read; only then estimates are worth anything.
    is_newest: bool = True


@dataclass(frozen=True, kw_only=True)
class _Cause:
    """Cause of the outputs of one step: its times, and whether it was processed before."""

    stored_ns: int
    now_ns: int
    known: bool
    is_newest: bool = False


class _Known(NamedTuple):
    """State of the stream before a chunk, from which a checkpoint can be made."""

    position: Position
    clock: Clock | None
    missing: MissingChannels

    def state(self, counters: Counters) -> ReplayState:
        """Return the state as stored in a checkpoint."""
        return ReplayState(
            epoch=self.position.epoch,
            next_sample=self.position.expected,
            ended_epochs=self.position.ended,
            sequenced=self.position.sequenced,
            clock=self.clock.state if self.clock else None,
            missing=self.missing.state,
            counters=counters.states(),
        )


@dataclass(frozen=True)
class _Anchor:
    """A buffered chunk: the place to resume from if its samples are needed again."""

    arrival: Arrival
    before: _Known
    end: int


def read_chunk(
    headers: Mapping[str, str], body: bytes, channels: int
) -> SignalChunk | ContractError:
    """Return the chunk in a message of the log; `channels` is the stream's number of channels."""
    try:
        return decode_chunk(headers, body, channels)
    except ContractError as error:
        return error


class StreamProcessor:
    """The state of one stream.

    Parameters
    ----------
    definition
        The stream.
    checkpoint
        Its last state; the caller passes the log from `checkpoint.replay_from_seq` on.
    max_message_bytes
        Maximum size of a message.

    Raises
    ------
    Unprocessable
        An analysis cannot be run with messages of this size.
    """

    def __init__(
        self,
        definition: StreamDefinition,
        checkpoint: StreamCheckpoint,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.definition = definition
        self._revision = checkpoint.definition_revision
        #: Start of the replay, until it has reached the place at which the checkpoint was written.
        self._resumed: StreamCheckpoint | None = checkpoint
        self._lanes = plan_lanes(definition, max_message_bytes=max_message_bytes)
        self._last_seq = checkpoint.last_seq
        self._last_stored_ns = checkpoint.last_stored_ns
        self._released_after = checkpoint.released_after
        self._position = _position(checkpoint.state)
        self._clock = _clock(checkpoint.state, definition.fs_hz)
        self._missing = MissingChannels.of(checkpoint.state.missing, len(definition.channels))
        self._channel_names = definition.channel_names
        self._recovered_after = round(RECOVERED_S * definition.fs_hz)
        self._windower = Windower(
            self._lanes, len(definition.channels), first=self._position.expected
        )
        self._windower.resume([checkpoint.tiles.get(lane.key, 0) for lane in self._lanes])
        self._estimates = EstimateFeed(definition, self._position.expected)
        self._anchors: deque[_Anchor] = deque()
        self._max_gap = max((lane.window for lane in self._lanes), default=MAX_INT64)
        self._reordering = Reordering(round(definition.reorder_s * definition.fs_hz), self._max_gap)
        self._counters = Counters.from_states(checkpoint.state.counters)
        row_bytes = len(definition.channels) * SAMPLE_BYTES
        self._confirmation = Confirmation(
            definition.fs_hz, self._max_gap, MAX_HELD_BYTES // row_bytes
        )
        self._events = EventRate(checkpoint.events)
        done = checkpoint.progress
        self._chunks, self._windows, self._samples = done.chunks, done.windows, 0
        self._last_chunk_ns = done.last_chunk_ns

    @property
    def replay_from_seq(self) -> int:
        """The first message of the log that this state still needs."""
        if self._resumed is not None:
            return self._resumed.replay_from_seq
        oldest = self._oldest_needed()
        return self._last_seq + 1 if oldest is None else oldest.seq

    @property
    def last_seq(self) -> int:
        """The newest processed message of the log."""
        return self._last_seq

    @property
    def accepted_samples(self) -> int:
        """Samples accepted by this process, over all channels."""
        return self._samples

    @property
    def waiting_s(self) -> float:
        """Time of a quiet log after which to call `release`, seconds; 0 if nothing waits."""
        longest_s = self._reordering.longest / self.definition.fs_hz
        if not longest_s:
            return EVENTS_QUIET_S if self._events.waiting else 0.0
        patience_s = self.definition.reorder_s
        quiet_s = min(QUIET_FACTOR * patience_s, max(QUIET_S, patience_s))
        # The next chunk cannot arrive before its own duration has passed.
        return max(quiet_s, min(2 * longest_s, QUIET_S))

    def take(self, entry: LogEntry) -> Iterator[Output]:
        """Process one message of the stream's subject; yield its outputs in order."""
        if self._resumed is not None and entry.seq < self._resumed.replay_from_seq:
            return
        cause = self._cause(entry)
        known = cause.known
        yield from self._told(self._take(entry, cause), cause)
        yield from self._added_up(f"{entry.seq}/more", cause, quiet=False)
        if not known:
            self._resumed = None
            self._chunks += 1
            self._last_seq = entry.seq
            self._last_stored_ns = max(self._last_stored_ns, entry.stored_ns)
            self._last_chunk_ns = entry.stored_ns
        elif entry.seq in self._released_after:
            # The last release may be recorded but not carried out; its outputs keep their ids.
            again = entry.seq == self._last_seq
            cause = _Cause(stored_ns=entry.stored_ns, now_ns=entry.now_ns, known=not again)
            yield from self._told(self._let_go(cause), cause)
        if known and entry.seq == self._last_seq:
            self._resumed = None

    def failed(self, error: Exception, entry: LogEntry | None = None) -> Iterator[Output]:
        """Yield the report of an `error` in `take` at `entry`, or in `release` without one."""
        if entry is not None:
            seq, cause = entry.seq, self._cause(entry)
        else:
            then = self._last_stored_ns
            seq, cause = self._last_seq, _Cause(stored_ns=then, now_ns=then, known=False)
        detail = f"the chunk could not be processed: {type(error).__name__}"
        yield from self._told([self._event(seq, cause, "rejected", detail=detail)], cause)
        yield from self._added_up(f"{seq}/failed", cause, quiet=False)

    def admits(self, event: StreamEvent) -> bool:
        """Return whether to publish another event of the stream now.

        Otherwise it is counted in the summary that `take` or `release` yields later.
        """
        return self._events.admits(event)

    def note_release(self) -> None:
        """Record in the checkpoint that `release` follows."""
        self._resumed = None  # the log is quiet, so the replay is complete
        if self._last_seq not in self._released_after:
            kept = [seq for seq in self._released_after if seq >= self.replay_from_seq]
            self._released_after = (*kept, self._last_seq)

    def release(self, now_ns: int) -> Iterator[Output]:
        """Stop waiting for chunks that are missing; yield the outputs that result.

        Store the checkpoint after `note_release` and before this call: the log does not contain
        that it was quiet.
        """
        cause = _Cause(stored_ns=self._last_stored_ns, now_ns=now_ns, known=False)
        yield from self._told(self._let_go(cause), cause)
        yield from self._added_up(f"{self._last_seq}/rest", cause, quiet=True)

    def checkpoint(self) -> StreamCheckpoint:
        """Return the state after the last processed message."""
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
            state=self._state_to_resume(),
            progress=self.progress(),
            events=self._events.budgets,
        )

    def _cause(self, entry: LogEntry) -> _Cause:
        known = entry.seq <= self._last_seq and entry.stored_ns <= self._last_stored_ns
        return _Cause(
            stored_ns=entry.stored_ns,
            now_ns=entry.now_ns,
            known=known,
            is_newest=entry.is_newest and not known,
        )

    def _oldest_needed(self) -> Arrival | None:
        """Return the needed chunk that is earliest in the log."""
        needed = (
            *(anchor.arrival for anchor in self._anchors),
            *self._reordering.waiting,
            *self._confirmation.waiting,
        )
        return min(needed, key=lambda arrival: arrival.seq, default=None)

    def _state_to_resume(self) -> ReplayState:
        """Return the state before the first chunk that is needed, by sample and by arrival."""
        known = self._anchors[0].before if self._anchors else self._known()
        oldest = self._oldest_needed()
        return known.state(self._counters if oldest is None else oldest.counters)

    def progress(self) -> StreamProgress:
        """Return the progress of the stream."""
        started = self._position.epoch is not None
        return StreamProgress(
            sequenced=self._position.sequenced,
            epoch=self._position.epoch,
            next_sample=self._position.expected if started else None,
            chunks=self._chunks,
            windows=self._windows,
            last_chunk_ns=self._last_chunk_ns,
            last_seq=self._last_seq,
            ended_epochs=self._position.ended,
            clock=self._clock.status() if self._clock else None,
            provisional=self._estimates.status(),
        )

    def _told(self, outputs: Iterable[Output], cause: _Cause) -> Iterator[Output]:
        for output in outputs:
            if cause.known:
                continue
            if isinstance(output, AnalysisWindow):
                self._windows += 1
            if not isinstance(output, StreamEvent) or self._events.admits(output):
                yield output

    def _added_up(self, name: str, cause: _Cause, *, quiet: bool) -> Iterator[StreamEvent]:
        """Yield the summary events that are due."""
        if not cause.known:
            stream = self.definition.name
            yield from self._events.due(f"{stream}/{name}", stream, cause.stored_ns, quiet=quiet)

    def _take(self, entry: LogEntry, cause: _Cause) -> Iterator[Output]:
        chunk = entry.chunk
        if isinstance(chunk, ContractError):
            yield self._event(entry.seq, cause, "rejected", detail=chunk.message)
            return
        before = self._counters
        self._counters, chunk, restarted = before.follow(chunk, self.definition.fs_hz)
        if restarted:
            detail = f"the device's counter restarted and continues from {chunk.first_sample}"
            yield self._event(
                entry.seq, cause, "reset",
                detail=detail, first_sample=chunk.first_sample, n_samples=chunk.n_samples,
            )  # fmt: skip
        self._reordering.add(Arrival(seq=entry.seq, chunk=chunk, counters=before))
        yield from self._take_in_turn(cause)

    def _let_go(self, cause: _Cause) -> Iterator[Output]:
        self._reordering.release()
        yield from self._take_in_turn(cause)

    def _take_in_turn(self, cause: _Cause) -> Iterator[Output]:
        while (turn := self._reordering.pop(self._position)) is not None:
            arrival, chunk = turn.arrival, turn.arrival.chunk
            if turn.stray:
                yield self._rejected(arrival, cause, self._why_stray(chunk))
            else:
                yield from self._take_confirmed(arrival, cause)
            if chunk.final and chunk.epoch == self._position.epoch:
                yield from self._take_all(
                    self._confirmation.give_up(self._position, self._clock), cause
                )
                if not cause.known:
                    yield from self._rest(cause)
                self._position = finished(self._position)

    def _why_stray(self, chunk: SignalChunk) -> str:
        return f"epoch {chunk.epoch!r} did not begin: {self._position.epoch!r} continued"

    def _take_confirmed(self, arrival: Arrival, cause: _Cause) -> Iterator[Output]:
        """Process a chunk and those that it confirms or contradicts."""
        settled = self._confirmation.take(arrival, self._position, self._clock)
        yield from self._take_all(settled, cause)

    def _take_all(self, settled: Iterable[Placed], cause: _Cause) -> Iterator[Output]:
        for placed in settled:
            if placed.refusal is not None:
                yield self._rejected(placed.arrival, cause, placed.refusal)
            elif placed.arrival.chunk.n_samples:
                yield from self._take_samples(placed, cause)

    def _take_samples(self, placed: Placed, cause: _Cause) -> Iterator[Output]:
        arrival, chunk = placed.arrival, placed.arrival.chunk
        verdict = account(
            self._position,
            epoch=chunk.epoch,
            first_sample=chunk.first_sample,
            n=chunk.n_samples,
            max_gap=self._max_gap,
            late=placed.late,
        )
        if isinstance(verdict, Refused):
            self._position = verdict.position
            yield self._rejected(arrival, cause, verdict.reason)
            return
        if verdict.restart:
            if not cause.known:
                yield from self._rest(cause)
            self._restart(verdict.first_sample, keep_tiles=cause.known)
        if chunk.epoch != self._position.epoch:
            self._clock = None
        before, self._position = self._known(), verdict.position
        for finding in verdict.findings:
            yield self._finding(arrival.seq, cause, finding)
        if not cause.known:
            self._samples += (chunk.n_samples - verdict.skip) * chunk.n_channels
        yield from self._append(arrival, cause, verdict, before)

    def _append(
        self, arrival: Arrival, cause: _Cause, verdict: Accepted, before: _Known
    ) -> Iterator[Output]:
        chunk = arrival.chunk
        samples = chunk.samples.reshape(chunk.n_samples, -1)[verdict.skip :]
        if not len(samples):
            return
        self._missing, findings = self._missing.after(
            verdict.first_sample,
            samples,
            names=self._channel_names,
            patience=self._recovered_after,
        )
        for number, finding in enumerate(findings):
            yield self._finding(arrival.seq, cause, finding, number)
        end = verdict.first_sample + len(samples)
        self._anchors.append(_Anchor(arrival, before, end))
        if chunk.t0_ns is not None:
            first = verdict.first_sample - verdict.skip
            shown = self._stamp(first, chunk.t0_ns)
            if shown is not None:
                yield self._event(
                    arrival.seq, cause, shown.kind,
                    detail=shown.detail, first_sample=first, n_samples=chunk.n_samples,
                )  # fmt: skip
        self._estimates.push(verdict.first_sample, samples)
        if cause.is_newest:  # before the windows, which take longer
            yield from self._newest(arrival.seq, cause)
        for window in self._windower.push(verdict.first_sample, samples):
            yield from self._cut(cause, window)
        while self._anchors and self._anchors[0].end <= self._windower.needed_from:
            self._anchors.popleft()

    def _newest(self, seq: int, cause: _Cause) -> Iterator[Output]:
        last = self._position.expected - 1
        yield from self._estimates.newest(
            self._position.epoch or "",
            t_ns=self._clock.time_of(last) if self._clock else None,
            times=EstimateTimes(received=cause.stored_ns, sent=cause.now_ns),
        )
        yield from self._estimates.fits()
        for number, detail in enumerate(self._estimates.findings()):
            yield self._event(seq, cause, "calibration", detail=detail, number=number)

    def _stamp(self, sample: int, t_ns: int) -> ClockFinding | None:
        if self._clock is None:
            self._clock = Clock.started(self.definition.fs_hz, sample, t_ns)
        else:
            self._clock = self._clock.stamped(sample, t_ns)
        return self._clock.finding

    def _rest(self, cause: _Cause) -> Iterator[Output]:
        """Cut the started tiles that cannot be completed any more."""
        for window in self._windower.flush():
            yield from self._cut(cause, window)

    def _restart(self, first: int, *, keep_tiles: bool) -> None:
        self._windower.restart(first, keep_tiles=keep_tiles)
        self._estimates.restart(first)
        self._anchors.clear()
        self._missing = MissingChannels.of(MissingState(), len(self.definition.channels))

    def _known(self) -> _Known:
        return _Known(self._position, self._clock, self._missing)

    def _cut(self, cause: _Cause, cut: CutWindow) -> Iterator[AnalysisWindow]:
        return window_messages(
            self.definition,
            self._lanes[cut.lane],
            tile=Tile(first_sample=cut.tile.first, n=cut.tile.n),
            first_sample=cut.first,
            samples=cut.samples,
            exact_dtype=cut.exact_dtype,
            epoch=self._position.epoch or "",
            clock=self._clock,
            times=WindowTimes(received=cause.stored_ns, windowed=cause.now_ns),
        )

    def _finding(self, seq: int, cause: _Cause, finding: Finding, number: int = 0) -> StreamEvent:
        return self._event(
            seq, cause, finding.kind,
            detail=finding.detail, first_sample=finding.first_sample,
            n_samples=finding.n_samples, number=number,
        )  # fmt: skip

    def _rejected(self, arrival: Arrival, cause: _Cause, reason: str) -> StreamEvent:
        epoch = arrival.chunk.epoch
        return self._event(arrival.seq, cause, "rejected", detail=reason, epoch=epoch)

    def _event(
        self,
        seq: int,
        cause: _Cause,
        kind: EventKind,
        *,
        detail: str,
        first_sample: int | None = None,
        n_samples: int | None = None,
        epoch: str | None = None,
        number: int = 0,
    ) -> StreamEvent:
        """Return an event due to chunk `seq`, of `epoch` or the present one.

        `number` distinguishes the findings of one chunk.
        """
        name = f"{self.definition.name}/{seq}/{kind}"
        return StreamEvent(
            id=f"{name}/{number}" if number else name,
            stream=self.definition.name,
            epoch=self._position.epoch if epoch is None else epoch,
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
    )


def _clock(state: ReplayState, fs_hz: float) -> Clock | None:
    return None if state.clock is None else Clock(fs_hz=fs_hz, state=state.clock)
