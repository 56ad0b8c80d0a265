"""Inlet of the Lab Streaming Layer, for amplifiers, eye trackers, and programs that stream."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
from anyio import to_thread

from pycwt_client.chunks import Piece
from pycwt_client.sources.channels import channels_of, labels_and_units
from pycwt_client.sources.places import GAP_S, ByTime, Stamps
from pycwt_client.sources.source import (
    LIVE_CHUNK_S,
    MissingDriverError,
    Signals,
    SourceError,
    SourceInfo,
    steps_of,
)

if TYPE_CHECKING:
    from pylsl import StreamInfo, StreamInlet

__all__ = ["LslSource"]

#: Deadlines for finding a stream on the network and for connecting, seconds.
FIND_S = 5.0
#: Time to find further matching streams: they reply to the second request, which is sent every half
#: second.
AGAIN_S = 1.2
#: Properties to find a stream by, in addition to those in its description.
PROPERTIES = (
    "name", "type", "source_id", "hostname", "uid", "session_id", "channel_count",
    "nominal_srate", "channel_format",
)  # fmt: skip
#: Timeout of a wait for samples, so that it can be cancelled, seconds.
PATIENCE_S = 0.2
#: Buffer of the inlet while the log is unreachable, seconds.
BUFFER_S = 60
MAX_SAMPLES = 16_384


class LslSource:
    """A stream of the Lab Streaming Layer, by its name or other properties.

    Times are the outlet's time stamps, corrected to this machine's clock by the layer and converted
    to UTC. If the stream disappears, the inlet waits for it; the lost samples are a gap.

    Parameters
    ----------
    name
        Name of the stream; or properties and values that identify a single stream, such as
        ``type=EEG`` or ``name=amp,hostname=lab2``.
    chunk_s
        Duration of a piece, seconds.
    gap_s
        Longest interval of two samples that is jitter and not a loss, seconds.
    find_s
        Deadline for finding the stream, seconds.
    fs_hz
        Sampling rate; overrides that of the outlet.
    """

    def __init__(
        self,
        name: str,
        *,
        chunk_s: float = LIVE_CHUNK_S,
        gap_s: float = GAP_S,
        find_s: float = FIND_S,
        fs_hz: float | None = None,
    ) -> None:
        self._wanted = _properties(name)
        self._chunk_s = chunk_s
        self._gap_s = gap_s
        self._find_s = find_s
        self._fs_hz = fs_hz

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Signals]:
        """Find the stream and connect to it."""
        found = await to_thread.run_sync(_find, self._wanted, self._find_s)
        inlet, info = await to_thread.run_sync(_connect, found, self._find_s)
        info = replace(info, fs_hz=self._fs_hz or info.fs_hz)
        try:
            yield _Inlet(inlet, info, self._gap_s, steps_of(self._chunk_s, info.fs_hz))
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(inlet.close_stream)


class _Inlet:
    def __init__(self, inlet: StreamInlet, info: SourceInfo, gap_s: float, step: int) -> None:
        self._inlet = inlet
        self._info = info
        self._stamps = Stamps(info.fs_hz, gap_s)
        self._places = ByTime(info.fs_hz, gap_s)
        self._step = min(step, MAX_SAMPLES)

    @property
    def info(self) -> SourceInfo:
        return self._info

    async def __aiter__(self) -> AsyncIterator[Piece]:
        from pylsl import local_clock

        held: np.ndarray[Any, Any] | None = None
        while True:
            samples, stamps_s = await to_thread.run_sync(self._pull)
            if held is not None:
                samples = np.concatenate((held, samples))
            times_s = self._stamps.add(stamps_s)
            held = samples[len(times_s) :]
            to_utc_ns = time.time_ns() - round(local_clock() * 1e9)
            for run in self._places.place(times_s):
                t0_ns = to_utc_ns + round(float(times_s[run.start]) * 1e9)
                piece = Piece(
                    first_sample=run.first_sample,
                    t0_ns=t0_ns,
                    samples=samples[run.start : run.stop],
                )
                yield piece

    def _pull(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        samples, times_s = self._inlet.pull_chunk(
            timeout=PATIENCE_S, max_samples=MAX_SAMPLES, min_samples=self._step, as_numpy=True
        )
        return samples, np.asarray(times_s, dtype=np.float64)


def _properties(name: str) -> dict[str, str]:
    if "=" not in name:
        return {"name": name}
    return {
        field.strip(): value.strip()
        for field, _, value in (part.partition("=") for part in name.split(","))
    }


def _find(wanted: dict[str, str], find_s: float) -> StreamInfo:
    try:
        import pylsl
    except ImportError:
        raise MissingDriverError("a stream of the Lab Streaming Layer", "lsl") from None
    terms = " and ".join(f"{field} {value}" for field, value in wanted.items())
    wrong = next((field for field in wanted if field not in PROPERTIES), None)
    if wrong is not None:
        raise SourceError(
            f"{wrong!r} is not a property of streams; the properties are {', '.join(PROPERTIES)}"
        )
    predicate = " and ".join(f"{field}={_quoted(value)}" for field, value in wanted.items())
    found = pylsl.resolve_bypred(predicate, timeout=find_s)
    if not found:
        others = ", ".join(sorted({each.name() for each in pylsl.resolve_streams(wait_time=1.0)}))
        raise SourceError(
            f"no stream with {terms} is on the network; there are: {others or 'none'}"
        )
    # The first one ends the search; another one replies as fast.
    found = pylsl.resolve_bypred(predicate, minimum=2, timeout=AGAIN_S) or found
    # A restarted device is still listed as before for a while.
    found.sort(key=lambda each: each.created_at())
    different = {_identity(each) if each.source_id() else each.uid(): each for each in found}
    if len(different) > 1:
        shown = "; ".join(f"{_identity(each)},uid={each.uid()}" for each in different.values())
        raise SourceError(
            f"{len(different)} streams with {terms} are on the network: choose one by a distinct "
            f"property, such as lsl:source_id=ID or lsl:name=NAME,hostname=HOST. There are: {shown}"
        )
    return found[-1]


def _quoted(value: str) -> str:
    """Quote a text for XPath, which has no escapes."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _identity(info: StreamInfo) -> str:
    properties = {
        "name": info.name(),
        "type": info.type(),
        "source_id": info.source_id(),
        "hostname": info.hostname(),
    }
    return ",".join(f"{field}={value}" for field, value in properties.items() if value)


def _connect(found: StreamInfo, find_s: float) -> tuple[StreamInlet, SourceInfo]:
    import pylsl

    fs_hz, count = found.nominal_srate(), found.channel_count()
    if fs_hz <= 0 or found.channel_format() == pylsl.cf_string:
        raise SourceError(f"{found.name()} has no rate: it is a stream of events, not of samples")
    inlet = pylsl.StreamInlet(found, max_buflen=BUFFER_S, processing_flags=pylsl.proc_clocksync)
    try:
        full = inlet.info(find_s)
        inlet.open_stream(timeout=find_s)
    except (pylsl.TimeoutError, pylsl.LostError):
        raise SourceError(f"cannot connect to {found.name()}: it does not reply any more") from None
    labels, units = labels_and_units(_described(full), count)
    info = SourceInfo(
        name=found.name(), channels=channels_of(labels, units), fs_hz=fs_hz, n_samples=None
    )
    return inlet, info


def _described(info: StreamInfo) -> dict[str, Any]:
    """Return the description of the channels, nested as in a file."""
    channels, each = [], info.desc().child("channels").child("channel")
    while not each.empty():
        channels.append({name: [each.child_value(name)] for name in ("label", "name", "unit")})
        each = each.next_sibling("channel")
    return {"desc": [{"channels": [{"channel": channels}]}]}
