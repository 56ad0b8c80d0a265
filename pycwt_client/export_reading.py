"""Read an export from the result log.

All octaves are read on the time grid of the highest one, which has the most columns. The export
contains each of its values as computed, and repeats the values of the lower octaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from anyio import to_thread

from cwt_runtime.bus import DurableLog
from cwt_schemas import storage, subjects
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.codec import content_type_of
from cwt_schemas.errors import ContractError, NotFound, PayloadTooLarge, Unprocessable
from cwt_schemas.live import AnalysisResult
from cwt_schemas.marker import Marker
from cwt_schemas.pair_result import LiveResult, decode_result
from cwt_schemas.stream import StreamStatus
from pycwt_client.export import ChannelSet, Export, Real
from pycwt_client.placed_markers import Placement, place_markers, read_markers
from pycwt_client.scalogram import Scalogram
from pycwt_mod import __version__

__all__ = ["RESULT_BYTES", "read_export"]

#: First pair and number of pairs of a message with some of all pairs; None: one channel set.
Part = tuple[int, int] | None

#: Memory of a result without its matrices; measured: 6.2 kB.
RESULT_BYTES = 6200


async def read_export(
    log: DurableLog,
    stream: str,
    analysis: str | None,
    status: StreamStatus | None,
    *,
    epoch: str | None,
    channels: ChannelSet | None,
    step_s: float | None,
    max_bytes: int | None,
) -> Export:
    """Return the current results of one epoch as an export; see `Client.export`."""
    name = await _analysis(log, stream, status, analysis)
    collected, epochs = _Collected(), dict[str, None]()
    async with log.read(storage.RESULTS, (subjects.result(stream, name),)) as messages:
        async for stored in messages:
            message = stored.message
            try:
                result = decode_result(message.data, content_type_of(message.headers))
            except ContractError:
                continue  # written by a version that this one cannot decode
            if result.epoch not in epochs:
                epochs[result.epoch] = None
                if epoch is None:
                    collected = _Collected()
            if result.epoch != (epoch or next(reversed(epochs))):
                continue
            for part, each in _of_sets(result, channels):
                collected.add(each, part)
                _check_size(collected.size, max_bytes)
    if not collected.last:
        of = "" if channels is None else f" of {','.join(channels)}"
        raise NotFound(
            f"{name} of {stream} has no results{of} in epoch {epoch or next(reversed(epochs))}; "
            f"there are the epochs {', '.join(epochs)}"
        )
    markers = await read_markers(
        log, stream, lambda size: _check_size(collected.size + size, max_bytes)
    )
    return await to_thread.run_sync(_assembled, collected, markers, status, step_s, max_bytes)


def _of_sets(
    result: LiveResult, channels: ChannelSet | None
) -> Iterator[tuple[Part, AnalysisResult]]:
    """Yield the results of the selected channel sets in a message, and their part of all pairs."""
    if isinstance(result, AnalysisResult):
        if channels in {None, result.channels}:
            yield None, result
        return
    part = (result.first_pair, len(result.pairs))
    for place, pair in enumerate(result.names):
        if channels is None or {*channels} == {*pair}:
            yield part, result.at(place)


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise PayloadTooLarge(
            f"cannot export: more than {limit} bytes; choose one channel set, or a longer step",
            {"limit": limit},
        )


async def _analysis(
    log: DurableLog, stream: str, status: StreamStatus | None, analysis: str | None
) -> str:
    """Return the name of the selected analysis, which has results."""
    counts = await log.subject_counts(storage.RESULTS, subjects.results_of(stream))
    present = sorted(subjects.lane_of_result(each).analysis for each in counts)
    if not present:
        known = "" if status else ", and there is no such stream"
        raise NotFound(f"{stream} has no results{known}")
    if analysis is None and len(present) > 1:
        raise Unprocessable.of(
            {"analysis": f"{stream} has results of {', '.join(present)}; choose one"}
        )
    if analysis not in {None, *present}:
        raise NotFound(
            f"{stream} has no results of an analysis {analysis}, only of {', '.join(present)}"
        )
    return analysis or present[0]


@dataclass
class _Collected:
    """The results of one epoch."""

    #: Results by channel set and definition.
    scalograms: dict[tuple[ChannelSet, str], Scalogram] = field(default_factory=dict)
    #: The newest result of each channel set.
    last: dict[ChannelSet, AnalysisResult] = field(default_factory=dict)
    #: The part of all pairs that it was in.
    parts: dict[ChannelSet, Part] = field(default_factory=dict)
    #: Scale by frequency.
    scales_s: dict[float, float] = field(default_factory=dict)
    #: Time stamps of samples by octave and position.
    times_ns: dict[int, dict[int, int]] = field(default_factory=dict)
    engines: dict[str, None] = field(default_factory=dict)
    computed_ns: list[int] = field(default_factory=list)
    #: Memory of the results, bytes.
    size: int = 0

    def add(self, result: AnalysisResult, part: Part) -> None:
        empty = Scalogram(result.stream, result.analysis, result.channels)
        if not self.scalograms.setdefault((result.channels, result.spec_hash), empty).add(result):
            return
        self.size += RESULT_BYTES + result.values.size * _value_bytes(result)
        self.last[result.channels] = result
        self.parts[result.channels] = part
        self.scales_s.update(zip(result.freqs_hz.tolist(), result.scales_s.tolist(), strict=True))
        if result.t0_ns is not None:
            octave = self.times_ns.setdefault(result.octave, {})
            octave[result.t.first_sample] = result.t0_ns
        engine = result.engine
        self.engines[f"{engine.library} {engine.version} {engine.backend} {engine.worker}"] = None
        self.computed_ns.append(result.times_ns.computed)

    @property
    def newest(self) -> list[Scalogram]:
        """Keep the results of each channel set by its newest definition."""
        return [self.scalograms[names, result.spec_hash] for names, result in self.last.items()]


def _assembled(
    collected: _Collected,
    markers: Iterable[Marker],
    status: StreamStatus | None,
    step_s: float | None,
    max_bytes: int | None,
) -> Export:
    scalograms, first = collected.newest, next(iter(collected.last.values()))
    definition = None if status is None else status.definition
    present = status is not None and status.epoch == first.epoch
    fs_hz = first.fs_hz or (definition.fs_hz if definition else None)
    if fs_hz is None:
        raise NotFound(
            f"cannot export {first.stream}: neither its results nor a stream state the rate"
        )
    step = min(each.step for each in scalograms)
    if step_s is not None:
        step = max(round(step_s * fs_hz), step)
    end = max(each.end_sample for each in scalograms)
    if present and status is not None and status.next_sample:
        end = min(end, status.next_sample)  # the last results extend beyond the recording, masked
    begin = min(each.first_sample for each in scalograms)
    freqs_hz = np.array(sorted(collected.scales_s, reverse=True))
    n_values = len(scalograms) * len(freqs_hz) * -((begin - end) // step)
    _check_size(n_values * _value_bytes(first), max_bytes)
    samples = np.arange(begin, end, step, dtype=np.int64)
    blocks = [_block(each, samples, freqs_hz) for each in scalograms]
    spec = None if definition is None else definition.analysis(first.analysis)
    if spec is not None and not _describes(spec, fs_hz, collected):
        spec = None  # redefined meanwhile
    times_ns = _times_ns(collected.times_ns, samples, fs_hz)
    placement = Placement(epoch=first.epoch, fs_hz=fs_hz, samples=samples, times_ns=times_ns)
    placed, unplaced = place_markers(markers, placement)
    channel_units = {} if definition is None else {c.name: c.unit for c in definition.channels}
    return Export(
        stream=first.stream,
        epoch=first.epoch,
        analysis=first.analysis,
        channel_sets=tuple(collected.last),
        samples=samples,
        times_s=samples / fs_hz,
        times_ns=times_ns,
        freqs_hz=freqs_hz,
        scales_s=np.array([collected.scales_s[hz] for hz in freqs_hz.tolist()]),
        values=np.stack([each.values for each in blocks]),
        phase=_stacked([each.phase for each in blocks], blocks[0].values.shape),
        mask=np.stack([each.mask for each in blocks]),
        signif=_stacked([each.signif for each in blocks], freqs_hz.shape),
        units=tuple(_unit(names, spec, channel_units) for names in collected.last),
        provenance={
            **_provenance(collected, spec, fs_hz, step),
            "markers": len(placed),
            **({"markers_without_place": unplaced} if unplaced else {}),
        },
        markers=placed,
        windows_waiting=status.lag.windows if present and status is not None else 0,
    )


def _value_bytes(result: AnalysisResult) -> int:
    """Return the size of a value with its phase and mask, bytes."""
    phase_bytes = 0 if result.phase is None else result.phase.itemsize
    return result.values.itemsize + phase_bytes + 1


@dataclass(frozen=True, kw_only=True)
class _Block:
    values: npt.NDArray[np.inexact[Any]]
    phase: Real | None
    mask: npt.NDArray[np.bool_]
    signif: Real | None


def _block(scalogram: Scalogram, samples: npt.NDArray[np.int64], freqs_hz: Real) -> _Block:
    """Read one channel set; rows without results are NaN."""
    picture = scalogram.sampled(samples)
    rows = np.searchsorted(-freqs_hz, -picture.freqs_hz)
    shape = len(freqs_hz), len(samples)

    def placed(part: npt.NDArray[Any], empty: npt.NDArray[Any]) -> npt.NDArray[Any]:
        empty[rows] = part
        return empty

    phase, signif = picture.phase, picture.signif
    return _Block(
        values=placed(picture.values, np.full(shape, np.nan, dtype=picture.values.dtype)),
        phase=None if phase is None else placed(phase, np.full(shape, np.nan, dtype=phase.dtype)),
        mask=placed(picture.mask, np.ones(shape, dtype=bool)),
        signif=None if signif is None else placed(signif, np.full(len(freqs_hz), np.nan)),
    )


def _stacked(parts: Sequence[Real | None], shape: tuple[int, ...]) -> Real | None:
    if all(part is None for part in parts):
        return None
    return np.stack([np.full(shape, np.nan) if part is None else part for part in parts])


def _times_ns(
    octaves: Mapping[int, Mapping[int, int]], samples: npt.NDArray[np.int64], fs_hz: float
) -> npt.NDArray[np.int64] | None:
    """Return the time of each sample, interpolated between the time stamps of the highest octave.

    Before the first time stamp and after the last one, the nominal rate is used.
    """
    if not octaves:
        return None
    stated = octaves[min(octaves)]
    at = np.array(sorted(stated), dtype=np.int64)
    t_ns = np.array([stated[each] for each in sorted(stated)], dtype=np.int64)
    origin = t_ns[0]
    inside = np.interp(samples, at, (t_ns - origin).astype(np.float64))
    outside = np.minimum(samples - at[0], 0) + np.maximum(samples - at[-1], 0)
    return np.asarray(origin + np.rint(inside + outside / fs_hz * 1e9).astype(np.int64))


def _describes(spec: AnalysisSpec, fs_hz: float, collected: _Collected) -> bool:
    sets = {*spec.channel_sets}
    return all(
        names in sets and result.spec_hash == _hash(spec, fs_hz, names, collected.parts[names])
        for names, result in collected.last.items()
    )


def _hash(spec: AnalysisSpec, fs_hz: float, names: ChannelSet, part: Part) -> str:
    if part is None:
        return spec.spec_hash(fs_hz=fs_hz, channels=names)
    first_pair, n_pairs = part
    return spec.part_hash(fs_hz=fs_hz, first_pair=first_pair, n_pairs=n_pairs)


def _unit(
    names: ChannelSet, spec: AnalysisSpec | None, channel_units: Mapping[str, str | None]
) -> str:
    """Return the unit of the values of a channel set in the spelling of UDUNITS."""
    if spec is None:
        return ""
    if spec.quantity in {"coherence", "phase"}:
        return "1" if spec.quantity == "coherence" else "rad"
    units = [channel_units.get(name) for name in names]
    if None in units:
        return ""
    one, other = str(units[0]), str(units[-1])
    if spec.op == "cwt":
        return f"{one}^2" if spec.quantity == "power" else one
    if spec.quantity == "amplitude":  # the square root of the cross power
        return one if one == other else f"({one} {other})^0.5"
    return f"{one}^2" if one == other else f"{one} {other}"


def _provenance(
    collected: _Collected, spec: AnalysisSpec | None, fs_hz: float, step: int
) -> dict[str, str | int | float]:
    last = next(iter(collected.last.values()))
    computed = min(collected.computed_ns), max(collected.computed_ns)
    about: dict[str, str | int | float] = {
        "stream": last.stream,
        "epoch": last.epoch,
        "analysis": last.analysis,
        "op": last.op,
        "fs_hz": fs_hz,
        "step_samples": step,
    }
    if spec is not None:
        about |= {
            "quantity": spec.quantity,
            "wavelet": spec.wavelet,
            "wavelet_param": spec.param,
            "voices_per_octave": spec.voices_per_octave,
            "convention": spec.convention,
            "definition": json.dumps(spec.model_dump(mode="json", by_alias=True)),
        }
        if spec.significance is not None:
            about["significance_level"] = spec.significance.level
    if last.signif_method is not None:
        about["significance_method"] = last.signif_method
    return about | {
        "spec_hashes": " ".join(each.spec_hash for each in collected.last.values()),
        "results": len(collected.computed_ns),
        "computed_by": "; ".join(sorted(collected.engines)),
        "computed_from": _utc(computed[0]),
        "computed_until": _utc(computed[1]),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "exported_by": f"pycwt-mod {__version__}",
    }


def _utc(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns / 1e9, UTC).isoformat(timespec="milliseconds")
