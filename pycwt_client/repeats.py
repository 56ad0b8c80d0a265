"""Recognise repeated messages in bounded memory.

The server discards a message that is stored twice within its duplicate window. Later repeats, such
as those of a worker that was disconnected for long, are recognised here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict

from cwt_schemas.live import StreamEvent
from cwt_schemas.marker import Marker
from cwt_schemas.pair_result import LiveResult

__all__ = ["SeenIds", "SeenResults", "Spans"]

#: Octaves of channel sets in epochs; a stream of 1000 channels has about 10,000 at a time.
MAX_LANES = 65_536
#: Disjoint intervals: results that arrived before others, and windows that were given up.
MAX_SPANS = 1024
#: Ids of events, which repeat soon if at all, and of markers: half a day of heartbeats.
MAX_IDS = 65_536


class Spans:
    """A set of intervals of an axis, which are merged where they touch.

    If there are more than `MAX_SPANS`, the lowest are merged.
    """

    def __init__(self) -> None:
        #: Both ascending; interval i is ``_starts[i] <= x < _stops[i]``.
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, start: int, stop: int) -> bool:
        """Add ``start <= x < stop``; return False if `start` was already in the set."""
        at = bisect_right(self._starts, start)
        if at and start < self._stops[at - 1]:
            return False
        touches_before = at > 0 and self._stops[at - 1] == start
        touches_after = at < len(self._starts) and self._starts[at] == stop
        if touches_before and touches_after:
            self._stops[at - 1] = self._stops.pop(at)
            del self._starts[at]
        elif touches_before:
            self._stops[at - 1] = stop
        elif touches_after:
            self._starts[at] = start
        else:
            self._starts.insert(at, start)
            self._stops.insert(at, stop)
        if len(self._starts) > MAX_SPANS:
            del self._starts[1], self._stops[0]
        return True


class SeenResults:
    """Results that were read: those of an octave of a channel set tile the time axis."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[tuple[str, str, str, str, int], Spans] = OrderedDict()

    def is_new(self, result: LiveResult) -> bool:
        """Record a result, and return whether it is new."""
        lane = (result.stream, result.epoch, result.analysis, result.spec_hash, result.octave)
        t = result.t
        return self.is_new_block(lane, t.first_sample, t.first_sample + t.step * t.n)

    def is_new_block(self, lane: tuple[str, str, str, str, int], start: int, stop: int) -> bool:
        """Record an undecoded result from `start` to below `stop`, and return whether it is new.

        `lane` is its stream, epoch, analysis, spec hash and octave.
        """
        spans = self._lanes.setdefault(lane, Spans())
        self._lanes.move_to_end(lane)
        if len(self._lanes) > MAX_LANES:
            self._lanes.popitem(last=False)
        return spans.add(start, stop)


class SeenIds:
    """The last `MAX_IDS` messages with an id that were read."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, message: StreamEvent | Marker) -> bool:
        """Record a message, and return whether it is new."""
        return self.is_new_id(message.id)

    def is_new_id(self, message_id: str) -> bool:
        """Record the id of an undecoded message, and return whether it is new."""
        if message_id in self._ids:
            return False
        self._ids[message_id] = None
        if len(self._ids) > MAX_IDS:
            self._ids.popitem(last=False)
        return True
