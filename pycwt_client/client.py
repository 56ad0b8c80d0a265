"""The asynchronous `Client`: streams, publishing, results, markers, queries and jobs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from cwt_runtime.retry import RetryPolicy
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, validated
from cwt_schemas.errors import NotFound, Unprocessable
from cwt_schemas.limits import MAX_CHUNK_SAMPLES
from cwt_schemas.live import AnalysisResult, StreamEvent
from cwt_schemas.marker import Marker
from cwt_schemas.message import listed
from cwt_schemas.pair_result import PairsResult
from cwt_schemas.stream import (
    StreamDefinition,
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamPurge,
    StreamPurged,
    StreamStatus,
)
from pycwt_client.chunk_messages import ChunkEncoding
from pycwt_client.estimates import Estimates, open_estimates
from pycwt_client.export import Export
from pycwt_client.export_reading import read_export
from pycwt_client.feed import Feed, open_feed, reader_of, result_reader
from pycwt_client.feedback import StreamFeedback
from pycwt_client.jobs import Jobs
from pycwt_client.markers import place_of, read_marker, store_marker
from pycwt_client.publisher import Publisher, new_epoch, open_publisher
from pycwt_client.repeats import SeenIds, SeenResults
from pycwt_client.sending import BATCH_S, IN_FLIGHT, PATIENT, Sending

__all__ = ["Client"]

#: Longer than ingest waits for a stream to become idle, seconds.
PURGE_TIMEOUT_S = 60.0


class Client(Jobs):
    """Client of the system over any bus; `pycwt_client.connect` opens one.

    Parameters
    ----------
    bus
        The connection. The caller remains responsible for closing it.
    """

    async def put_stream(self, definition: StreamDefinition) -> StreamStatus:
        """Define a stream, or change its definition."""
        return await self.ask(subjects.stream("put"), definition, StreamStatus)

    async def get_stream(self, name: str) -> StreamStatus:
        """Return the status of a stream: its definition and the progress of ingest."""
        return await self.ask(
            subjects.stream("get"), validated(StreamGet, {"name": name}), StreamStatus
        )

    async def list_streams(self) -> tuple[StreamStatus, ...]:
        """Return the status of all streams."""
        listing = await self.ask(subjects.stream("list"), StreamList(), StreamListing)
        return listing.streams

    async def delete_stream(self, name: str) -> StreamStatus:
        """Delete a stream's definition; its stored data is kept."""
        return await self.ask(
            subjects.stream("delete"), validated(StreamDelete, {"name": name}), StreamStatus
        )

    async def purge_stream(
        self, name: str, *, cached_replies: bool = True, timeout_s: float = PURGE_TIMEOUT_S
    ) -> StreamPurged:
        """Remove all stored data of a deleted stream, and return the number of messages removed.

        This removes the signal log, windows, results, events, markers, dead letters and definitions
        of the stream. Returns once no service stores data of the stream any more.

        Parameters
        ----------
        name
            Name of the stream.
        cached_replies
            Also clear the cache of query replies, which may contain samples of the stream.
        timeout_s
            Deadline of the request, seconds.

        Raises
        ------
        Conflict
            The stream is still defined, its device still sends, or workers need more time.
        """
        request = validated(StreamPurge, {"name": name, "cached_replies": cached_replies})
        return await self.ask(subjects.stream("purge"), request, StreamPurged, timeout_s=timeout_s)

    def publisher(
        self,
        stream: str,
        epoch: str | None = None,
        *,
        in_flight: int = IN_FLIGHT,
        batch_samples: int = MAX_CHUNK_SAMPLES,
        batch_s: float = BATCH_S,
        encoding: ChunkEncoding = ContentType.OCTETS,
        retry: RetryPolicy = PATIENT,
        on_event: Callable[[StreamEvent], None] | None = None,
        defined: bool = True,
    ) -> AbstractAsyncContextManager[Publisher]:
        """Open a publisher for `stream`; leaving the context waits until all chunks are stored.

        Parameters
        ----------
        stream
            Name of the stream.
        epoch
            Name of this run of the device. Reusing a name continues the run: samples at positions
            that were published before are analysed only once. If None, a new name is derived from
            the current time.
        in_flight
            Maximum number of unacknowledged chunks. 1 keeps the chunks strictly in order, at the
            cost of a round trip per chunk.
        batch_samples, batch_s
            Samples given to `Publisher.push` are sent once `batch_samples` are collected, or after
            `batch_s` seconds.
        encoding
            Encoding of the samples: raw, or msgpack.
        retry
            Retry policy for transient failures. The default retries for half a minute.
        on_event
            Called with each event of the stream while the publisher is open, such as a rejected
            chunk. If None, events are logged as warnings to the logger ``pycwt_client``.
            `Publisher.events` contains them in either case.
        defined
            Whether the stream must be defined. Use False for samples that are analysed later, by a
            definition with `start_seq`.

        Raises
        ------
        NotFound
            The stream is not defined. This is not checked if no ingest replies.
        """
        sending = Sending(
            in_flight=in_flight,
            encoding=encoding,
            retry=retry,
            batch_samples=batch_samples,
            batch_s=batch_s,
        )
        run = new_epoch() if epoch is None else epoch
        return open_publisher(
            self._bus.log,
            stream,
            run,
            sending=sending,
            feedback=StreamFeedback(self._bus, stream, on_event),
            defined=defined,
        )

    def results(
        self,
        stream: str | None = None,
        analysis: str | None = None,
        *,
        start_seq: int = 1,
        start_time: datetime | None = None,
    ) -> AbstractAsyncContextManager[Feed[AnalysisResult]]:
        """Read stored results, then new ones as they arrive, each once.

        Parameters
        ----------
        stream, analysis
            Stream and analysis to read; None reads all.
        start_seq
            Sequence number in the log to start at, such as `Feed.seq` + 1; `next_seq()` reads only
            new results.
        start_time
            Skip results stored before this time.

        Returns
        -------
        context manager
            Yields a `Feed` of results. `values` of a result is (scale, time), with `freqs_hz`,
            `times_s`, `mask` and, if the analysis has them, `phase` and `signif`. Results of an
            analysis of all pairs are read with `pair_results`.

        Raises
        ------
        ValueError
            `start_time` has no time zone, or `analysis` is given without `stream`.
        """
        return open_feed(
            self._bus.log,
            result_reader(AnalysisResult),
            _subject(stream, analysis),
            is_new=SeenResults().is_new,
            start_seq=start_seq,
            start_time=start_time,
        )

    def pair_results(
        self,
        stream: str | None = None,
        analysis: str | None = None,
        *,
        start_seq: int = 1,
        start_time: datetime | None = None,
    ) -> AbstractAsyncContextManager[Feed[PairsResult]]:
        """Read the results of analyses with ``pairs="all"``; otherwise like `results`.

        `values` of a result is (pair, row, time), and `PairsResult.pair` returns the result of one
        pair. A row is a scale, or a band if the analysis has bands.
        """
        return open_feed(
            self._bus.log,
            result_reader(PairsResult),
            _subject(stream, analysis),
            is_new=SeenResults().is_new,
            start_seq=start_seq,
            start_time=start_time,
        )

    def now(
        self, stream: str, analysis: str | None = None
    ) -> AbstractAsyncContextManager[Estimates]:
        """Read the provisional estimates of `stream` as they arrive.

        Parameters
        ----------
        stream, analysis
            Stream, and its analysis with `provisional`; None reads all of them.

        Returns
        -------
        context manager
            Yields `Estimates`, an iteration. `amplitude`, `phase` and their intervals are
            (channel, scale), with `freqs_hz`, `delay_s` and `newest_sample`.
        """
        subject = subjects.now_of(stream) if analysis is None else subjects.now(stream, analysis)
        return open_estimates(self._bus, subject)

    def events(
        self,
        stream: str | None = None,
        *,
        start_seq: int = 1,
        start_time: datetime | None = None,
    ) -> AbstractAsyncContextManager[Feed[StreamEvent]]:
        """Read the events of `stream`, or of all streams if None; otherwise like `results`."""
        return open_feed(
            self._bus.log,
            reader_of(StreamEvent),
            subjects.EVENTS if stream is None else subjects.event(stream),
            is_new=SeenIds().is_new,
            start_seq=start_seq,
            start_time=start_time,
        )

    async def mark(
        self,
        stream: str,
        text: str,
        *,
        epoch: str | None = None,
        first_sample: int | None = None,
        t_ns: int | None = None,
        n_samples: int | None = None,
        duration_s: float | None = None,
        channel: str | None = None,
        retry: RetryPolicy = PATIENT,
    ) -> Marker:
        """Store a marker: a note about a point in time or an interval of `stream`.

        Parameters
        ----------
        stream, text
            The stream, and the text of the note.
        epoch, first_sample
            Run of the device, by default the current one, and sample position in it.
        t_ns
            Alternative to `first_sample`: time in nanoseconds UTC, by the clock of the device's
            time stamps. Without either, the marker is at the next sample that ingest expects.
        n_samples, duration_s
            Length in samples or seconds. Without either, the marker is a point in time.
        channel
            Channel that the marker is about; None means all channels.
        retry
            Retry policy for transient failures. The default retries for half a minute.

        Returns
        -------
        Marker
            The marker as stored. Storing the same marker again has no effect.

        Raises
        ------
        NotFound
            The stream does not exist.
        Unprocessable
            The stream has no such channel, or has not received any sample yet.
        BusError
            The marker could not be stored.
        """
        status = await self.get_stream(stream)
        names = status.definition.channel_names
        if channel not in {None, *names}:
            problem = f"{channel!r} is not a channel of {stream}, which has {listed(names)}"
            raise Unprocessable.of({"channel": problem})
        if t_ns is None:
            epoch, first_sample = place_of(status, epoch, first_sample)
        marker = validated(
            Marker,
            {
                "stream": stream,
                "epoch": epoch,
                "first_sample": first_sample,
                "t_ns": t_ns,
                "n_samples": n_samples,
                "duration_s": duration_s,
                "channel": channel,
                "text": text,
            },
        )
        await store_marker(self._bus.log, marker, retry)
        return marker

    def markers(
        self,
        stream: str | None = None,
        *,
        start_seq: int = 1,
        start_time: datetime | None = None,
    ) -> AbstractAsyncContextManager[Feed[Marker]]:
        """Read the markers of `stream`, or of all streams if None; otherwise like `results`."""
        return open_feed(
            self._bus.log,
            read_marker,
            subjects.MARKERS if stream is None else subjects.marker(stream),
            is_new=SeenIds().is_new,
            start_seq=start_seq,
            start_time=start_time,
        )

    async def export(
        self,
        stream: str,
        analysis: str | None = None,
        *,
        epoch: str | None = None,
        channels: tuple[str, ...] | None = None,
        step_s: float | None = None,
        max_bytes: int | None = None,
    ) -> Export:
        """Return the results of an analysis in one epoch, as far as computed, as arrays.

        Parameters
        ----------
        stream, analysis
            Results to export. `analysis` may be omitted if only one analysis has results. A deleted
            stream still has the results that the log stores, without units.
        epoch
            By default the newest epoch that has results.
        channels
            One channel set, such as ``("c3", "c4")``; None exports all of them.
        step_s
            Interval of the columns, seconds; by default that of the highest octave.
        max_bytes
            Limit on the memory used by the results read and the export made from them, bytes. None
            means no limit.

        Raises
        ------
        NotFound
            There are no such results.
        PayloadTooLarge
            The export needs more than `max_bytes`.
        Unprocessable
            Several analyses have results, and `analysis` is None.
        """
        try:
            status = await self.get_stream(stream)
        except NotFound:
            status = None
        return await read_export(
            self._bus.log,
            stream,
            analysis,
            status,
            epoch=epoch,
            channels=channels,
            step_s=step_s,
            max_bytes=max_bytes,
        )

    async def next_seq(self) -> int:
        """Return the sequence number of the next result, event or marker, to read only new ones."""
        return await self._bus.log.last_seq(storage.RESULTS) + 1


def _subject(stream: str | None, analysis: str | None) -> str:
    if stream is None:
        if analysis is not None:
            raise ValueError(
                f"cannot read one analysis of all streams: give the stream of {analysis}"
            )
        return subjects.RESULTS
    return subjects.results_of(stream) if analysis is None else subjects.result(stream, analysis)
