"""Derive a stream's definition from the channels and rate of a source and its analyses. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cwt_schemas.analysis import HOP_PERIODS, MIN_HOP_S, TOP_OF_RATE
from cwt_schemas.codec import validated
from cwt_schemas.stream import StreamDefinition
from pycwt_client.sources.source import SourceInfo

__all__ = ["Analyses", "analyses_of_recording", "derived_definition", "difference"]

#: Minimum periods of the lowest frequency in a recording; with fewer, most is inside the cone.
MIN_PERIODS = 8
#: Ratio of the highest to the lowest frequency: at most ten octaves, at least one.
MAX_BAND, MIN_BAND = 1024, 2
#: Lowest default frequency: its windows take up to 13 hours; the signal log stores a chunk for a
#: day.
LOWEST_HZ = 1 / 600
#: Results of the highest octave in a whole recording: more than the columns of a screen.
MAX_RESULTS = 1000
#: With longer hops, windows of ten octaves exceed the size of a message.
MAX_HOP_PERIODS = 64
#: Hop of all pairs, in periods of the highest frequency. The products of each pair are computed for
#: a window and its margins; with a shorter hop, margins take most of the time.
ALL_PAIRS_HOP_PERIODS = 32
#: Names of columns of times and of row numbers in text files.
TIME_NAMES = frozenset({"time", "t", "times", "time_s", "timestamp", "seconds", "index", "sample"})


@dataclass(frozen=True, kw_only=True)
class Analyses:
    """The analyses of a stream."""

    #: Channels to compute the power of.
    power: tuple[str, ...] = ()
    #: Pairs of channels to compute the coherence of.
    coherence: tuple[tuple[str, str], ...] = ()
    #: Compute the coherence of all pairs of channels.
    all_pairs: bool = False
    fmin_hz: float
    fmax_hz: float
    #: Interval of results of the highest octave, seconds; by default `HOP_PERIODS` periods of
    #: `fmax_hz`, or `ALL_PAIRS_HOP_PERIODS` for all pairs.
    hop_s: float | None = None


def analyses_of_recording(
    info: SourceInfo,
    *,
    power: tuple[str, ...] = (),
    coherence: tuple[tuple[str, str], ...] = (),
    band: tuple[float, float] | None = None,
) -> Analyses:
    """Return the analyses of a recording, with defaults for omitted arguments.

    - Without `power` and `coherence`: the coherence of the first two channels, or the power of a
      single one. Columns of a text file with names such as "time" are ignored.
    - Without `band`: from 8 periods in the recording, but at most ten octaves and not below 1/600
      Hz, to a quarter of the sampling rate; at least one octave.
    - The interval of results of the highest octave is 8 periods of its highest frequency. For a
      long recording it is a thousandth of the length, up to 64 periods. It is at least 1 ms.

    Parameters
    ----------
    info
        The recording, which has a known length.
    power, coherence
        Channels, and pairs of channels.
    band
        Lowest and highest frequency, Hz.
    """
    if not (power or coherence):
        names = _signals(info.channel_names)
        power, coherence = (names, ()) if len(names) == 1 else ((), ((names[0], names[1]),))
    duration_s = max(info.n_samples or 0, 1) / info.fs_hz
    fmin_hz, fmax_hz = band or _band(duration_s, info.fs_hz)
    # The definition's validation rejects an invalid band.
    period_s = 1 / fmax_hz if fmax_hz > 0 else 0.0
    hop_s = max(HOP_PERIODS * period_s, duration_s / MAX_RESULTS, MIN_HOP_S)
    return Analyses(
        power=power,
        coherence=coherence,
        fmin_hz=fmin_hz,
        fmax_hz=fmax_hz,
        hop_s=min(hop_s, MAX_HOP_PERIODS * period_s),
    )


def derived_definition(stream: str, info: SourceInfo, analyses: Analyses) -> StreamDefinition:
    """Return the definition of a stream with the channels and rate of a source.

    Raises
    ------
    Unprocessable
        The analyses do not fit the source; the message names the reason.
    """
    common = {"fmin_hz": analyses.fmin_hz, "fmax_hz": analyses.fmax_hz}
    specs = []
    if analyses.power:
        specs.append(
            {
                "name": "power",
                "op": "cwt",
                "channels": analyses.power,
                "quantity": "power",
                "hop_s": analyses.hop_s or HOP_PERIODS / analyses.fmax_hz,
                **common,
            }
        )
    if analyses.coherence or analyses.all_pairs:
        periods = ALL_PAIRS_HOP_PERIODS if analyses.all_pairs else HOP_PERIODS
        specs.append(
            {
                "name": "coherence",
                "op": "wct",
                "pairs": "all" if analyses.all_pairs else analyses.coherence,
                "quantity": "coherence",
                "significance": {},
                "hop_s": analyses.hop_s or periods / analyses.fmax_hz,
                **common,
            }
        )
    channels = [channel.model_dump() for channel in info.channels]
    return validated(
        StreamDefinition,
        {"name": stream, "fs_hz": info.fs_hz, "channels": channels, "analyses": specs},
    )


def difference(present: StreamDefinition, derived: StreamDefinition) -> str | None:
    """Describe how `present` differs from `derived`; None if it does not.

    Units, and further analyses of `present`, are ignored.
    """
    return "; ".join(_differences(present, derived)) or None


def _signals(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name.lower() not in TIME_NAMES) or names


def _band(duration_s: float, fs_hz: float) -> tuple[float, float]:
    fmax_hz = fs_hz * TOP_OF_RATE
    fmin_hz = max(MIN_PERIODS / duration_s, fmax_hz / MAX_BAND, LOWEST_HZ)
    return min(fmin_hz, fmax_hz / MIN_BAND), fmax_hz


def _differences(present: StreamDefinition, derived: StreamDefinition) -> Iterator[str]:
    if abs(present.fs_hz - derived.fs_hz) > 1e-9 * derived.fs_hz:
        yield f"it has {present.fs_hz:g} Hz and not {derived.fs_hz:g} Hz"
    if present.channel_names != derived.channel_names:
        ours, theirs = ", ".join(present.channel_names), ", ".join(derived.channel_names)
        yield f"it has the channels {ours} and not {theirs}"
    for spec in derived.analyses:
        known = present.analysis(spec.name)
        if known is None:
            yield f"it has no analysis {spec.name}"
            continue
        for field in type(spec).model_fields:
            ours, theirs = getattr(known, field), getattr(spec, field)
            if ours != theirs:
                values = f"{field}={_shown(ours)} and not {_shown(theirs)}"
                yield f"its analysis {spec.name} has {values}"


def _shown(value: object) -> str:
    match value:
        case float():
            return f"{value:g}"
        case tuple():
            return " ".join(
                ",".join(map(_shown, each)) if isinstance(each, tuple) else each for each in value
            )
        case _:
            return str(value)
