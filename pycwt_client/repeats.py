"""Telling what was read before from what is new, in a bounded memory.

The server drops a message that is stored twice within its duplicate window. What is stored again
later, as by a worker that was away for long, is told here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict

from cwt_schemas.live import AnalysisResult, StreamEvent
from cwt_schemas.marker import Marker

__all__ = ["SeenIds", "SeenResults", "Spans"]

#: Octaves of channel sets of epochs; a stream of 1000 channels has about 10,000 at a time.
MAX_LANES = 65_536
#: Stretches apart from each other: results that came ahead of others, and windows given up.
MAX_SPANS = 1024
#: Ids of events, which are repeated soon if at all, and of markers: heartbeats of half a day.
MAX_IDS = 65_536


class Spans:
    """A set of stretches of an axis, which grow together where they touch.

    Of more than `MAX_SPANS`, the lowest are joined.
    """

    def __init__(self) -> None:
        #: Both ascending; stretch i is from `_starts[i]` to below `_stops[i]`.
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, start: int, stop: int) -> bool:
        """Put in ``start <= x < stop``; return False if `start` was in already."""
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
    """Which results were read: those of an octave of a channel set tile the time axis."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[tuple[str, str, str, str, int], Spans] = OrderedDict()

    def is_new(self, result: AnalysisResult) -> bool:
        """Note a result, and say whether it was read for the first time."""
        lane = (result.stream, result.epoch, result.analysis, result.spec_hash, result.octave)
        t = result.t
        return self.is_new_block(lane, t.first_sample, t.first_sample + t.step * t.n)

    def is_new_block(self, lane: tuple[str, str, str, str, int], start: int, stop: int) -> bool:
        """Note a result from `start` to below `stop`, for readers that have no model of it.

        `lane` is its stream, epoch, analysis, spec hash and octave.
        """
        spans = self._lanes.setdefault(lane, Spans())
        self._lanes.move_to_end(lane)
        if len(self._lanes) > MAX_LANES:
            self._lanes.popitem(last=False)
        return spans.add(start, stop)


class SeenIds:
    """Which messages with an id were read, of the last `MAX_IDS`."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, message: StreamEvent | Marker) -> bool:
        """Note a message, and return whether it was read for the first time."""
        return self.is_new_id(message.id)

    def is_new_id(self, message_id: str) -> bool:
        """Note the id of a message, for readers that have no model of it."""
        if message_id in self._ids:
            return False
        self._ids[message_id] = None
        if len(self._ids) > MAX_IDS:
            self._ids.popitem(last=False)
        return True
