"""Show the state of live streams as a table of results, events and markers. No I/O."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cwt_cli.event_text import event_line
from cwt_cli.marker_text import marker_line
from cwt_schemas.analysis import COHERENCES
from cwt_schemas.live import AnalysisResult, StreamEvent
from cwt_schemas.marker import Marker
from cwt_schemas.pair_result import LiveResult, PairsResult
from cwt_schemas.stream import ClockStatus, StreamLag, StreamStatus

__all__ = ["LiveTable", "Peak", "RateMeter", "latest_peak"]

#: Averaging time of rates, seconds.
RATE_SPAN_S = 5.0
#: Number of events and markers shown; markers take up to half of the lines.
LAST_EVENTS = 4


class RowKey(NamedTuple):
    """Key of a row: one octave of an analysis of one channel set."""

    stream: str
    analysis: str
    channels: tuple[str, ...]
    octave: int


class Peak(NamedTuple):
    """The largest unmasked value at one time, its frequency and, out of all pairs, its pair."""

    value: float
    freq_hz: float
    pair: tuple[str, ...] = ()


class RateMeter:
    """Rate of a growing count, per second, over the last `RATE_SPAN_S`."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self.total = 0

    def count(self, total: int, now_s: float) -> None:
        """Record that the count is `total` at `now_s`."""
        if total < self.total:  # the counting service was restarted
            self._seen.clear()
        self.total = total
        self._seen.append((now_s, total))

    def per_second(self, now_s: float) -> float:
        """Return the mean rate; 0 before the second count."""
        while len(self._seen) > 1 and self._seen[0][0] < now_s - RATE_SPAN_S:
            self._seen.popleft()
        if not self._seen:
            return 0.0
        since, first = self._seen[0]
        return (self.total - first) / (now_s - since) if now_s > since else 0.0


@dataclass
class Row:
    """The newest result of one octave."""

    low_hz: float
    high_hz: float
    coherence: bool
    #: Position of the peak; a late, older result does not replace it.
    sample: int = -1
    peak: Peak | None = None
    latency_s: float = 0.0
    results: int = 0
    rate: RateMeter = field(default_factory=RateMeter)


@dataclass
class Counters:
    """The status of a stream as reported by ingest."""

    chunks: RateMeter = field(default_factory=RateMeter)
    windows: RateMeter = field(default_factory=RateMeter)
    asked_s: float = 0.0
    lag: StreamLag = field(default_factory=StreamLag)
    clock: ClockStatus | None = None
    fs_hz: float | None = None


def latest_peak(result: AnalysisResult) -> tuple[int, Peak] | None:
    """Return the position and the peak of the last column that has an unmasked value."""
    size = np.abs(result.values)
    bad = np.isnan(size) if result.mask is None else np.isnan(size) | result.mask
    usable = np.flatnonzero(~bad.all(axis=0))
    if usable.size == 0:
        return None
    column = int(usable[-1])
    row = int(np.argmax(np.where(bad[:, column], -np.inf, size[:, column])))
    peak = Peak(float(size[row, column]), float(result.freqs_hz[row]))
    return result.t.first_sample + result.t.step * column, peak


def latest_pair_peak(result: PairsResult) -> tuple[int, Peak] | None:
    """Return the position and the peak of the last column that has an unmasked value of a pair."""
    values = result.masked
    usable = np.flatnonzero(~np.ma.getmaskarray(values).all(axis=(0, 1)))
    if usable.size == 0:
        return None
    column = int(usable[-1])
    size = values[..., column].filled(-np.inf)
    pair, row = np.unravel_index(int(np.argmax(size)), size.shape)
    one, other = result.pairs[pair]
    names = (result.channels[one], result.channels[other])
    peak = Peak(float(size[pair, row]), float(result.freqs_hz[row]), names)
    return int(result.positions[column]), peak


class LastLines:
    """The last lines of a kind, some of which were not taken yet."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LAST_EVENTS)
        self._untaken = 0

    def add(self, line: str) -> None:
        """Append the newest line."""
        self._lines.append(line)
        self._untaken += 1

    def newest(self, most: int) -> list[str]:
        """Return up to `most` of the newest lines."""
        return list(self._lines)[-most:] if most else []

    def take(self) -> list[str]:
        """Return the lines that were not taken yet, and mark them as taken."""
        lines = self.newest(min(self._untaken, LAST_EVENTS))
        self._untaken = 0
        return lines


class LiveTable:
    """The state of all streams with results, events, markers or a status."""

    def __init__(self) -> None:
        self._rows: dict[RowKey, Row] = {}
        self._epochs: dict[str, str] = {}
        self._streams: dict[str, Counters] = {}
        self._last_events, self._last_markers = LastLines(), LastLines()
        self.events: Counter[str] = Counter()

    def feed_result(self, result: LiveResult, now_s: float) -> None:
        """Add a result; all pairs have one row, with their largest value."""
        if self._epochs.get(result.stream) not in {None, result.epoch}:
            for key in [key for key in self._rows if key.stream == result.stream]:
                del self._rows[key]
        self._epochs[result.stream] = result.epoch
        channels: tuple[str, ...] = result.channels
        if isinstance(result, PairsResult):
            channels = (f"{result.total_pairs} pairs",)
        key = RowKey(result.stream, result.analysis, channels, result.octave)
        freqs = result.freqs_hz
        row = self._rows.setdefault(
            key, Row(float(freqs.min()), float(freqs.max()), result.op in COHERENCES)
        )
        row.results += 1
        row.rate.count(row.results, now_s)
        row.latency_s = (result.times_ns.computed - result.times_ns.received) / 1e9
        if isinstance(result, PairsResult):
            latest = latest_pair_peak(result)
        else:
            latest = latest_peak(result)
        if latest is None or latest[0] < row.sample:
            return
        # The results of all pairs may be divided: the parts are of the same time.
        if latest[0] > row.sample or row.peak is None or latest[1] > row.peak:
            row.sample, row.peak = latest

    def feed_event(self, event: StreamEvent) -> None:
        """Add an event."""
        self._last_events.add(event_line(event))
        self.events[event.kind] += event.count

    def feed_marker(self, marker: Marker) -> None:
        """Add a marker."""
        counters = self._streams.get(marker.stream)
        self._last_markers.add(marker_line(marker, None if counters is None else counters.fs_hz))

    def feed_status(self, status: StreamStatus, now_s: float) -> None:
        """Add the status of a stream."""
        counters = self._streams.setdefault(status.definition.name, Counters())
        counters.asked_s = now_s
        counters.chunks.count(status.chunks, now_s)
        counters.windows.count(status.windows, now_s)
        counters.lag, counters.clock = status.lag, status.clock
        counters.fs_hz = status.definition.fs_hz

    def table(self, now_s: float) -> Group:
        """Return the table for a terminal."""
        table = Table(title="wavelet analysis, live", title_justify="left", box=SIMPLE_HEAD)
        # Leave room for names of ten characters on a terminal of 80 columns.
        table.pad_edge, table.padding = False, (0, 1, 0, 0)
        for heading in ("stream", "analysis", "channels"):
            table.add_column(heading, overflow="fold")
        for heading in ("band\n(Hz)", "latest", "at\n(Hz)", "latency\n(ms)", "results\nper s"):
            table.add_column(heading, justify="right", no_wrap=True)
        before: RowKey | None = None
        for key, row in sorted(self._rows.items()):
            same = before is not None and before[:3] == key[:3]
            channels = "" if same else " ".join(key.channels)
            if row.peak is not None and row.peak.pair:
                channels = " ".join([channels, *row.peak.pair]).strip()
            names = ("", "") if same else (key.stream, key.analysis)
            table.add_row(*names, channels, *_cells(row, now_s), end_section=False)
            before = key
        if not self._rows:
            table.add_row("waiting for results", *[""] * 7)
        below = [*self.rate_lines(), *self.event_lines(LAST_EVENTS)]
        return Group(table, *map(Text, below))

    def lines(self, now_s: float) -> list[str]:
        """Return a report in plain lines: for each channel set, the octave with the peak.

        Each event and marker is reported once.
        """
        noted = [*self._last_events.take(), *self._last_markers.take()]
        best: dict[tuple[str, ...], tuple[RowKey, Row]] = {}
        rates: dict[tuple[str, ...], float] = {}
        for key, row in sorted(self._rows.items()):
            place = (key.stream, key.analysis, *key.channels)
            rates[place] = rates.get(place, 0.0) + row.rate.per_second(now_s)
            known = best.get(place)
            if row.peak and (known is None or known[1].peak is None or row.peak > known[1].peak):
                best[place] = (key, row)
        peaks = [
            f"{key.stream} {key.analysis} {' with '.join(key.channels)}, octave {key.octave} "
            f"({row.low_hz:.3g}-{row.high_hz:.3g} Hz): {_peak_words(row)}, "
            f"latency {1000 * row.latency_s:.0f} ms, {rates[place]:.1f} results/s"
            for place, (key, row) in best.items()
        ]
        return [*peaks, *self.rate_lines(), *noted]

    def rate_lines(self, stream: str | None = None) -> list[str]:
        """Format the rates, lag and clock of one stream, or of all."""
        return [
            line
            for name, counters in sorted(self._streams.items())
            if stream in {None, name}
            for line in _stream_words(name, counters)
        ]

    def event_lines(self, most: int) -> list[str]:
        """Return the last events and markers in up to `most` lines, half of them for markers."""
        markers = self._last_markers.newest(most // 2)
        return [*self._last_events.newest(most - len(markers)), *markers]


def _stream_words(name: str, counters: Counters) -> list[str]:
    lag, clock = counters.lag, counters.clock
    # Compute rates up to the last request, when the counts of ingest were last known.
    chunks, windows = (
        each.per_second(counters.asked_s) for each in (counters.chunks, counters.windows)
    )
    goes = (
        f"{name}: {chunks:.1f} chunks/s, {windows:.1f} windows/s; "
        f"behind: {lag.chunks} chunks, {lag.windows} windows, {lag.seconds:.1f} s"
    )
    if clock is None:
        return [goes]
    return [
        goes,
        f"{name}: device clock {clock.drift_ppm:+.1f} ppm, jitter {1000 * clock.jitter_s:.2f} ms",
    ]


def _cells(row: Row, now_s: float) -> tuple[str, ...]:
    peak = ("-", "-") if row.peak is None else (f"{row.peak.value:.3g}", f"{row.peak.freq_hz:.3g}")
    return (
        f"{row.low_hz:.3g} - {row.high_hz:.3g}",
        *peak,
        f"{1000 * row.latency_s:.0f}",
        f"{row.rate.per_second(now_s):.1f}",
    )


def _peak_words(row: Row) -> str:
    what = "coherence" if row.coherence else "value"
    if row.peak is None:
        return f"no valid {what} yet"
    pair = f" of {' with '.join(row.peak.pair)}" if row.peak.pair else ""
    return f"{what}{pair} {row.peak.value:.2f} at {row.peak.freq_hz:.3g} Hz"
