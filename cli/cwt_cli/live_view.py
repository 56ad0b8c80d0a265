"""Show one analysis of one channel set live on a terminal. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from cwt_cli.live_table import LiveTable, RateMeter
from cwt_cli.scalogram_text import AXIS, scale_of, scalogram_lines, time_axis
from cwt_schemas.analysis import COHERENCES, AnalysisSpec
from cwt_schemas.live import AnalysisResult
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Scalogram

__all__ = ["LiveView", "Subject", "framed", "span_of", "subjects_of", "title_of"]

#: Lines outside the picture: title, time axis, legend and help.
FURNITURE = 4
#: Largest number of events shown, if there is room.
EVENTS = 4
MIN_HEIGHT = 3
MIN_WIDTH = 10
#: Default time span: this many periods of the lowest frequency, within limits in seconds.
PERIODS = 20.0
SHORTEST_S, LONGEST_S = 10.0, 3600.0
HELP = "Tab: next channels   Ctrl-C: quit"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The analysis and the channels to show."""

    definition: StreamDefinition
    analysis: AnalysisSpec
    channels: tuple[str, ...]

    @property
    def title(self) -> str:
        """Title of the picture."""
        what = self.analysis.quantity if self.analysis.op in COHERENCES else self._words()
        if self.is_of_all_pairs:
            return f"{self.definition.name}  {what} of {self.analysis.n_sets} pairs"
        return f"{self.definition.name}  {what} of {' with '.join(self.channels)}"

    @property
    def is_of_all_pairs(self) -> bool:
        """Whether all pairs are to be shown, and not one of them."""
        return self.analysis.pairs == "all" and self.channels == self.analysis.channels

    def _words(self) -> str:
        crossed = "cross " if self.analysis.op == "xwt" else ""
        return f"{crossed}{self.analysis.quantity}"


def subjects_of(definition: StreamDefinition) -> list[Subject]:
    """Return all subjects of a stream; all pairs of an analysis are one."""
    return [
        Subject(definition=definition, analysis=spec, channels=channels)
        for spec in definition.analyses
        for channels in ((spec.channels,) if spec.pairs == "all" else spec.channel_sets)
    ]


def span_of(spec: AnalysisSpec) -> float:
    """Return the default time span of an analysis, seconds."""
    return min(max(PERIODS / spec.fmin_hz, SHORTEST_S), LONGEST_S)


def title_of(subject: Subject, epoch: str) -> str:
    """Return the title of a view; `epoch` is empty before the first result."""
    return f"{subject.title}  epoch {epoch}" if epoch else subject.title


def framed(title: str, body: Sequence[Text], events: Sequence[str], width: int) -> Group:
    """Return a view with its title, events and help, cut to a width in characters."""
    parts = [
        Text(title, style="bold"),
        *body,
        *(Text(each, style="yellow") for each in events),
        Text(HELP, style="dim"),
    ]
    for part in parts:
        part.truncate(width, overflow="ellipsis")
    return Group(*parts)


class LiveView:
    """Show the newest part of one subject, and the state of its stream.

    Parameters
    ----------
    subject
        The analysis and the channels.
    span_s
        Time span to show, in seconds of the signal.
    table
        Source of the stream's events, markers and rates.
    """

    def __init__(self, subject: Subject, span_s: float, table: LiveTable) -> None:
        self.subject = subject
        self.span_s = span_s
        self._table = table
        self._rate = RateMeter()
        self._latency_s = 0.0
        self._epoch = ""
        self._scalogram = Scalogram(
            subject.definition.name,
            subject.analysis.name,
            subject.channels,
            keep_samples=max(round(span_s * subject.definition.fs_hz), 1),
        )

    def feed(self, result: AnalysisResult) -> None:
        """Add a result of this analysis; results of other channels only count in the rate."""
        # Use the worker's clock, because stored results arrive in a burst.
        self._rate.count(self._rate.total + 1, result.times_ns.computed / 1e9)
        if result.channels == self.subject.channels and self._scalogram.add(result):
            self._epoch = result.epoch
            self._latency_s = (result.times_ns.computed - result.times_ns.received) / 1e9

    def render(self, width: int, height: int, now_s: float, *, colour: bool) -> Group:
        """Render the view for a terminal of this size; `now_s` are seconds UTC."""
        below = [*self._table.rate_lines(self.subject.definition.name), self._results(now_s)]
        room = height - FURNITURE - len(below)
        events = self._table.event_lines(min(EVENTS, max(room - 2 * MIN_HEIGHT, 0)))
        lines = max(room - len(events), MIN_HEIGHT)
        picture = self._picture(max(width - AXIS - 1, MIN_WIDTH), lines, colour=colour)
        title = title_of(self.subject, self._epoch)
        return framed(title, [*picture, *map(Text, below)], events, width)

    def _results(self, now_s: float) -> str:
        rate = f"{self._rate.per_second(now_s):.1f} results/s"
        return f"{rate}, latency {1000 * self._latency_s:.0f} ms" if self._epoch else rate

    def _picture(self, width: int, height: int, *, colour: bool) -> list[Text]:
        if len(self._scalogram) == 0:
            return [Text("waiting for results"), *[Text("")] * (height + 1)]
        picture = self._scalogram.resample(width)
        quantity = self.subject.analysis.quantity
        scale = scale_of(picture, quantity)
        lines = scalogram_lines(picture, scale, height=height, colour=colour)
        times_s = picture.samples / self.subject.definition.fs_hz
        legend = f"{quantity} {scale.words()}, Hz; {self._marks(colour)}"
        return [*lines, Text(time_axis(times_s, width), style="dim"), Text(legend, style="dim")]

    def _marks(self, colour: bool) -> str:
        level = self.subject.analysis.significance
        masked = "grey: edge or missing" if colour else "/: edge or missing"
        if level is None:
            return masked
        reached = "bright" if colour else "dark"
        return f"{reached}: above the {100 * level.level:g} % level; {masked}"
