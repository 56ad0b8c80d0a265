"""Find the newest results of a stream in the log, for `watch --once`."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from cwt_cli.live_table import LiveTable
from cwt_cli.live_view import Subject, subjects_of
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.pair_result import LiveResult
from cwt_schemas.stream import StreamStatus
from pycwt_client import Client, Feed

__all__ = ["feed_newest"]

#: Times before the stream's last chunk from which the log is read, one after the other: results of
#: low octaves are rare.
SPANS_S = (2, 20, 200, 2000, 20_000, 200_000)
#: Time without a result after which the rest of the log belongs to other streams.
QUIET_S = 0.5
#: Tolerance for rounding; the frequencies end within a row of the lowest requested one.
TOLERANCE = 1.01

Key = tuple[str, tuple[str, ...], int]
Reading = Callable[..., AbstractAsyncContextManager[Feed[Any]]]


async def feed_newest(client: Client, status: StreamStatus, table: LiveTable) -> None:
    """Feed the newest results of every octave of a stream to the table."""
    if status.last_chunk_ns is None:
        return
    for read, of_all in ((client.results, False), (client.pair_results, True)):
        wanted = [
            subject
            for subject in subjects_of(status.definition)
            if (subject.analysis.pairs == "all") == of_all
        ]
        if wanted:
            await _feed(client, read, status, wanted, table)


async def _feed(
    client: Client, read: Reading, status: StreamStatus, wanted: list[Subject], table: LiveTable
) -> None:
    last = datetime.fromtimestamp((status.last_chunk_ns or 0) / 1e9, UTC)
    end, until = await client.next_seq(), None
    lowest_hz: dict[Key, float] = {}
    epoch = None
    for span_s in SPANS_S:
        begin = last - timedelta(seconds=span_s)
        newest: dict[Key, LiveResult] = {}
        async for result in _stored(read, status.definition.name, begin, until, end):
            key = (result.analysis, result.channels, result.octave)
            if until is None:
                table.feed_result(result, result.times_ns.computed / 1e9)
                lowest_hz[key], epoch = float(result.freqs_hz.min()), result.epoch
            elif key not in lowest_hz:
                newest[key] = result
        for key, result in newest.items():
            if epoch in {None, result.epoch}:
                table.feed_result(result, result.times_ns.computed / 1e9)
                lowest_hz[key], epoch = float(result.freqs_hz.min()), result.epoch
        if _complete(wanted, lowest_hz):
            return
        until = begin


async def _stored(
    read: Reading, stream: str, begin: datetime, until: datetime | None, end: int
) -> AsyncIterator[LiveResult]:
    """Yield the results of a stream stored between two times and before sequence number `end`."""
    until_ns = None if until is None else round(until.timestamp() * 1e9)
    async with read(stream, start_time=begin) as results:
        while results.seq < end - 1:
            with anyio.move_on_after(QUIET_S) as quiet:
                result: LiveResult = await anext(results)
            if quiet.cancelled_caught:
                return
            if until_ns is not None and result.times_ns.computed > until_ns:
                return
            yield result


def _complete(wanted: list[Subject], lowest_hz: dict[Key, float]) -> bool:
    """Return whether each subject has a result of its lowest octave."""
    seen: dict[tuple[str, tuple[str, ...]], float] = {}
    for (analysis, channels, _), hz in lowest_hz.items():
        seen[analysis, channels] = min(hz, seen.get((analysis, channels), hz))
    return all(
        seen.get((subject.analysis.name, subject.channels), math.inf) < _lowest(subject.analysis)
        for subject in wanted
    )


def _lowest(spec: AnalysisSpec) -> float:
    """Return an upper bound of the lowest frequency of an analysis, Hz."""
    if spec.bands:
        return min(high for _, high in spec.bands) * TOLERANCE
    return spec.fmin_hz * math.exp2(1 / spec.voices_per_octave) * TOLERANCE
