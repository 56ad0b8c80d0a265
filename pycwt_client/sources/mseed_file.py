"""miniSEED, the format of records in seismic networks; read by EarthScope's ``pymseed``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pycwt_client.signals import Samples
from pycwt_client.sources.channels import channels_of, legal_names
from pycwt_client.sources.file_source import ChannelFileSource
from pycwt_client.sources.places import Run
from pycwt_client.sources.source import (
    NS,
    MissingDriverError,
    Recorded,
    SourceError,
    SourceInfo,
    one_rate,
    places_of,
)
from pycwt_client.sources.tables import TableOptions

__all__ = ["MseedSource"]

FDSN = "FDSN:"


class MseedSource(ChannelFileSource):
    """A miniSEED file of version 2 or 3, in counts; channels have names such as ``IU_ANMO_00_BHZ``.

    Times without records of any channel are gaps; if only some channels have none, their samples
    are missing. Where records overlap, the later one is used.

    Parameters
    ----------
    channels
        Channels to read; None reads all, which must have one rate.
    """

    def _read(self) -> Recorded:
        return _opened(self._path, self._channels, self._options)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Consecutive samples of one channel."""

    channel: str
    start_ns: int
    fs_hz: float
    samples: NDArray[np.generic]


def _opened(path: Path, channels: tuple[str, ...] | None, options: TableOptions) -> Recorded:
    segments = _segments(path)
    labels = list(dict.fromkeys(each.channel for each in segments))
    names = legal_names(labels)
    chosen = places_of(names if channels is None else channels, names, path.name)
    parts = [[each for each in segments if each.channel == labels[at]] for at in chosen]
    rates = {names[at]: part[0].fs_hz for at, part in zip(chosen, parts, strict=True)}
    stated_hz = one_rate(rates, str(path))
    fs_hz = options.fs_hz or stated_hz
    t0_ns = min(each.start_ns for part in parts for each in part)
    samples, runs = _table(parts, t0_ns, fs_hz)
    info = SourceInfo(
        name=path.name,
        channels=channels_of([labels[at] for at in chosen], ["count"] * len(chosen)),
        fs_hz=fs_hz,
        n_samples=runs[-1].next_sample,
        t0_ns=t0_ns,
    )
    return Recorded(
        info,
        lambda start, stop: samples[start:stop],
        chunk_s=options.chunk_s,
        t0_ns=t0_ns,
        runs=runs,
    )


def _segments(path: Path) -> list[Segment]:
    try:
        from pymseed import MiniSEEDError, MS3TraceList, sourceid2nslc
    except ImportError:
        raise MissingDriverError("a miniSEED file", "mseed") from None
    try:
        traces = MS3TraceList.from_file(str(path), unpack_data=True)
    except (MiniSEEDError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"cannot read {path} as miniSEED: {reason}") from None
    found = []
    for trace in traces:
        source = trace.sourceid
        label = (
            "_".join(part for part in sourceid2nslc(source) if part)
            if source.startswith(FDSN)
            else source
        )
        found += [
            Segment(
                channel=label,
                start_ns=int(part.starttime),
                fs_hz=float(part.samprate),
                samples=np.array(part.np_datasamples),
            )
            for part in trace
            if part.numsamples > 0 and part.samprate > 0
        ]
    if not found:
        raise SourceError(f"{path} has no samples with a rate")
    return found


def _table(
    parts: Sequence[Sequence[Segment]], t0_ns: int, fs_hz: float
) -> tuple[Samples, list[Run]]:
    """Return the recorded samples (time, channel) and their positions."""
    placed = [
        (round((each.start_ns - t0_ns) / NS * fs_hz), channel, each.samples)
        for channel, part in enumerate(parts)
        for each in part
    ]
    runs: list[Run] = []
    for first, _, samples in sorted(placed, key=lambda each: each[:2]):
        last = runs[-1] if runs else None
        end = 0 if last is None else last.next_sample
        if last is not None and first <= end:
            longer = max(first + len(samples) - end, 0)
            runs[-1] = Run(
                start=last.start, stop=last.stop + longer, first_sample=last.first_sample
            )
        else:
            start = last.stop if last else 0
            runs.append(Run(start=start, stop=start + len(samples), first_sample=first))
    whole = all(each[2].dtype.kind == "i" for each in placed)
    covered = np.zeros((runs[-1].stop, len(parts)), dtype=bool)
    table = np.full((runs[-1].stop, len(parts)), np.nan)
    for first, channel, samples in placed:
        run = next(each for each in reversed(runs) if each.first_sample <= first)
        at = run.start + first - run.first_sample
        table[at : at + len(samples), channel] = samples
        covered[at : at + len(samples), channel] = True
    if whole and covered.all():
        return table.astype("<i4"), runs
    return table, runs
