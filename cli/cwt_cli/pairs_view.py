"""Show the coherence of all pairs of channels live on a terminal. No I/O.

Each band, or octave, has a line with the pairs of the largest coherence; below them is a matrix of
channels for the band with the largest mean, if it fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Group
from rich.text import Text

from cwt_cli.live_table import LiveTable, RateMeter
from cwt_cli.live_view import EVENTS, Subject, framed, title_of
from cwt_schemas.pair_result import PairsResult

__all__ = ["PairsView"]

#: Shades of coherence from 0 to 1.
SHADES = " .:-=+*#%@"
#: Characters of the column of bands, and of a pair with its value.
BAND_WIDTH, PAIR_WIDTH = 18, 22
#: Characters of the name of a channel next to the matrix.
NAME_WIDTH = 8
#: Lines outside bands and matrix: title, heading, caption of the matrix, and help.
FURNITURE = 5


Square = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class _Band:
    """The newest values of a band, or of its part in one octave."""

    band_hz: tuple[float, float]
    #: Number of scales that the values are the mean of.
    n_scales: int
    #: Position of the values; parts of a result have the same.
    sample: int
    #: (channel, channel) R² of the pairs; NaN for a masked or unknown value.
    coherence: Square
    #: (channel, channel) thresholds of R²; NaN if there are none.
    level: Square


class PairsView:
    """Show the newest coherence of all pairs, and the state of its stream.

    Parameters
    ----------
    subject
        The analysis.
    table
        Source of the stream's events, markers and rates.
    """

    def __init__(self, subject: Subject, table: LiveTable) -> None:
        self.subject = subject
        self._table = table
        self._rate = RateMeter()
        self._latency_s = 0.0
        self._epoch = ""
        #: By octave and band.
        self._bands: dict[tuple[int, tuple[float, float]], _Band] = {}

    def feed(self, result: PairsResult) -> None:
        """Add a result of this analysis."""
        if result.channels != self.subject.channels:
            return  # of an earlier definition
        self._rate.count(self._rate.total + 1, result.times_ns.computed / 1e9)
        if result.epoch != self._epoch:
            self._epoch = result.epoch
            self._bands.clear()
        self._latency_s = (result.times_ns.computed - result.times_ns.received) / 1e9
        values = result.masked
        usable = np.flatnonzero(~np.ma.getmaskarray(values).all(axis=(0, 1)))
        if usable.size == 0:
            return
        column = int(usable[-1])
        newest = values[..., column].filled(np.nan)
        if result.bands is None:
            octave_hz = float(result.freqs_hz.min()), float(result.freqs_hz.max())
            n_scales = len(result.freqs_hz)
            self._add(result, octave_hz, n_scales, slice(None), column, newest)
        for row, band in enumerate(result.bands or ()):
            low_hz, high_hz = band.band_hz
            rows = slice(row, row + 1)
            self._add(result, (low_hz, high_hz), band.n_scales, rows, column, newest)

    def _add(
        self,
        result: PairsResult,
        band_hz: tuple[float, float],
        n_scales: int,
        rows: slice,
        column: int,
        newest: Square,
    ) -> None:
        key, sample = (result.octave, band_hz), int(result.positions[column])
        known = self._bands.get(key)
        if known is not None and known.sample > sample:
            return
        unknown = np.full((len(result.channels),) * 2, np.nan)
        coherence, level = unknown, unknown.copy()
        if known is not None and known.sample == sample:  # another part has other pairs
            coherence, level = known.coherence.copy(), known.level.copy()
        one, other = np.asarray(result.pairs, dtype=np.intp).T
        coherence[one, other] = coherence[other, one] = newest[:, rows].mean(axis=1)
        if result.signif is not None:
            level[one, other] = level[other, one] = result.signif[:, rows].mean(axis=1)
        self._bands[key] = _Band(
            band_hz=band_hz, n_scales=n_scales, sample=sample, coherence=coherence, level=level
        )

    def _whole_bands(self) -> list[_Band]:
        """Return the bands from the highest on, each one with its parts in all octaves."""
        parts: dict[tuple[float, float], list[_Band]] = {}
        for (_, band_hz), band in self._bands.items():
            parts.setdefault(band_hz, []).append(band)
        return [
            _Band(
                band_hz=band_hz,
                n_scales=sum(part.n_scales for part in each),
                sample=max(part.sample for part in each),
                coherence=_weighted([part.coherence for part in each], each),
                level=_weighted([part.level for part in each], each),
            )
            for band_hz, each in sorted(parts.items(), reverse=True)
        ]

    def render(self, width: int, height: int, now_s: float, *, colour: bool) -> Group:
        """Render the view for a terminal of this size; `now_s` are seconds UTC."""
        del colour  # shades show all there is
        rate = f"{self._rate.per_second(now_s):.1f} results/s"
        if self._epoch:
            rate += f", latency {1000 * self._latency_s:.0f} ms"
        below = [*self._table.rate_lines(self.subject.definition.name), rate]
        room = height - FURNITURE - len(below)
        bands = self._band_lines(width)[: max(room, 1)]
        matrix = self._matrix_lines(width, room - len(bands))
        events = self._table.event_lines(min(EVENTS, max(room - len(bands) - len(matrix), 0)))
        body = [Text(each) for each in (*bands, *matrix, *below)]
        return framed(title_of(self.subject, self._epoch), body, events, width)

    def _band_lines(self, width: int) -> list[str]:
        if not self._bands:
            return ["waiting for results"]
        most = max((width - BAND_WIDTH - 16) // PAIR_WIDTH, 1)
        lines = [f"{'band (Hz)':<{BAND_WIDTH}}{'mean':>6}{'above':>8}  largest"]
        for band in self._whole_bands():
            upper = np.triu_indices(len(band.coherence), 1)
            values = band.coherence[upper]
            valid = np.isfinite(values)
            order = np.argsort(np.where(valid, -values, np.inf))[:most]
            largest = "  ".join(
                f"{self.subject.channels[upper[0][k]]}-{self.subject.channels[upper[1][k]]} "
                f"{values[k]:.2f}"
                for k in order
                if valid[k]
            )
            mean = f"{values[valid].mean():.2f}" if valid.any() else "-"
            above = "-"
            if self.subject.analysis.significance is not None and valid.any():
                above = f"{100 * (values > band.level[upper])[valid].mean():.0f} %"
            name = "{:.3g} - {:.3g}".format(*band.band_hz)
            lines.append(f"{name:<{BAND_WIDTH}}{mean:>6}{above:>8}  {largest}")
        return lines

    def _matrix_lines(self, width: int, room: int) -> list[str]:
        """Return the matrix of the band with the largest mean, or nothing if it does not fit."""
        names = self.subject.channels
        present = [band for band in self._whole_bands() if np.isfinite(band.coherence).any()]
        if not present or len(names) + 1 > room or NAME_WIDTH + 2 * len(names) > width:
            return []
        band = max(present, key=lambda each: float(np.nanmean(each.coherence)))
        shown = "{:.3g} - {:.3g} Hz".format(*band.band_hz)
        lines = [f"R² from 0 ({SHADES[0]!r}) to 1 ({SHADES[-1]!r}), {shown}; x: masked"]
        for name, row in zip(names, band.coherence, strict=True):
            cells = "".join(_shade(value) * 2 for value in row)
            lines.append(f"{name[: NAME_WIDTH - 1]:<{NAME_WIDTH}}{cells}")
        for place in range(len(names)):
            at = NAME_WIDTH + 2 * place
            line = lines[place + 1]
            lines[place + 1] = line[:at] + "\\\\" + line[at + 2 :]
        return lines


def _weighted(values: list[Square], parts: list[_Band]) -> Square:
    """Return the mean over the scales of all parts; NaN where any is unknown."""
    mean: Square = np.average(values, axis=0, weights=[part.n_scales for part in parts])
    return mean


def _shade(value: float) -> str:
    if not np.isfinite(value):
        return "x"
    return SHADES[min(int(value * len(SHADES)), len(SHADES) - 1)]
