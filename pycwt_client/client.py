"""A `Client`, which sends queries and jobs, defines and publishes streams, and reads results."""

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
from pycwt_client.export import Export
from pycwt_client.export_reading import read_export
from pycwt_client.feed import Feed, open_feed, reader_of
from pycwt_client.feedback import StreamFeedback
from pycwt_client.jobs import Jobs
from pycwt_client.markers import place_of, read_marker, store_marker
from pycwt_client.publisher import Publisher, new_epoch, open_publisher
from pycwt_client.repeats import SeenIds, SeenResults
from pycwt_client.sending import BATCH_S, IN_FLIGHT, PATIENT, Sending

__all__ = ["Client"]

#: Longer than ingest waits for a stream to come to rest.
PURGE_TIMEOUT_S = 60.0


class Client(Jobs):
    """What a user of the system can do, over any bus; `pycwt_client.connect` makes one.

    Parameters
    ----------
    bus
        The connection; it stays its owner's.
    """

    async def put_stream(self, definition: StreamDefinition) -> StreamStatus:
        """Define a stream, or change what it is."""
        return await self.ask(subjects.stream("put"), definition, StreamStatus)

    async def get_stream(self, name: str) -> StreamStatus:
        """Return a stream and how far it has come."""
        return await self.ask(
            subjects.stream("get"), validated(StreamGet, {"name": name}), StreamStatus
        )

    async def list_streams(self) -> tuple[StreamStatus, ...]:
        """Return all streams."""
        listing = await self.ask(subjects.stream("list"), StreamList(), StreamListing)
        return listing.streams

    async def delete_stream(self, name: str) -> StreamStatus:
        """End a stream; what is in the log stays."""
        return await self.ask(
            subjects.stream("delete"), validated(StreamDelete, {"name": name}), StreamStatus
        )

    async def purge_stream(self, name: str, *, timeout_s: float = PURGE_TIMEOUT_S) -> StreamPurged:
        """Remove all that is stored of a stream that was deleted, and return how much it was.

        The signal log, windows, results, events, markers, dead letters and definitions of the
        stream are removed, and all cached answers to queries. Returns once nothing more is being
        stored.

        Raises
        ------
        Conflict
            The stream is defined, its device still sends, or workers need more time.
        """
        request = validated(StreamPurge, {"name": name})
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
        """Open the way of a device's samples into `stream`; leaving waits until all are kept.

        Parameters
        ----------
        stream
            Its name.
        epoch
            Name of this run of the device. The same name again continues the run: samples at
            positions that were published before are analysed once. None: a new one, made of the
            time.
        in_flight
            Chunks on their way at a time; 1 keeps them strictly in order, and costs the time of
            the way there and back for each.
        batch_samples, batch_s
            What is given to `Publisher.push` leaves once there are so many samples, or after so
            many seconds.
        encoding
            Raw samples, or msgpack.
        retry
            How long what fails for a passing reason is sent again; half a minute by default.
        on_event
            Called with each event of the stream while the publisher is open, such as a chunk that
            ingest refused. None: events are logged as warnings of the logger ``pycwt_client``.
            `Publisher.events` has them in either case.
        defined
            Whether the stream has to be defined; False for samples that are analysed later, by a
            definition with `start_seq`.

        Raises
        ------
        NotFound
            The stream is not defined. Where no ingest replies, that is not known.
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
        """Read results, those that are kept and then those that come, each once.

        Parameters
        ----------
        stream, analysis
            Whose; None: of all.
        start_seq
            Place in the log to start at, such as `Feed.seq` + 1, or `next_seq()` for what comes.
        start_time
            Leave out what was stored before that time.

        Returns
        -------
        context manager
            Gives a `Feed` of results. Of each, `values` is (scale, time) with `freqs_hz`,
            `times_s`, `mask` and, where the analysis has them, `phase` and `signif`.

        Raises
        ------
        ValueError
            `start_time` has no time zone, or an analysis is asked for without its stream.
        """
        return open_feed(
            self._bus.log,
            reader_of(AnalysisResult),
            _subject(stream, analysis),
            is_new=SeenResults().is_new,
            start_seq=start_seq,
            start_time=start_time,
        )

    def events(
        self,
        stream: str | None = None,
        *,
        start_seq: int = 1,
        start_time: datetime | None = None,
    ) -> AbstractAsyncContextManager[Feed[StreamEvent]]:
        """Read what happened to `stream` (None: to all); otherwise as `results`."""
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
        """Store a marker: a note about a moment or a stretch of `stream`.

        Parameters
        ----------
        stream, text
            The stream, and what is noted.
        epoch, first_sample
            Run of the device, None: the present one; and position in it.
        t_ns
            Instead of `first_sample`: the time in nanoseconds UTC, by the clock of the device's
            time stamps. With neither, the marker is at the next sample that ingest expects.
        n_samples, duration_s
            Length, in samples or seconds; neither: a moment.
        channel
            The channel it is about; None: all of them.
        retry
            How long what fails for a passing reason is sent again; half a minute by default.

        Returns
        -------
        Marker
            As it is stored. Storing the same marker again changes nothing.

        Raises
        ------
        NotFound
            There is no such stream.
        Unprocessable
            The stream has no such channel, or has had no sample yet to mark.
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
        """Read the markers of `stream` (None: of all); otherwise as `results`."""
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
        """Return a whole analysis of one epoch as arrays, as far as it is computed.

        Parameters
        ----------
        stream, analysis
            Whose results; `analysis` may be left out if only one has results. A stream that was
            deleted still has the results that the log keeps, without units.
        epoch
            None: the newest that has results.
        channels
            One channel set, such as ``("c3", "c4")``; None: all of them.
        step_s
            Seconds between two columns; None: as many columns as the highest octave has.
        max_bytes
            Memory that the results that are read may take, and the export that is made of them.
            None: no limit.

        Raises
        ------
        NotFound
            There are no such results.
        PayloadTooLarge
            It takes more than `max_bytes`.
        Unprocessable
            Several analyses have results, and none was chosen.
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
        """Return the place of the next result, event or marker: `start_seq` for new ones."""
        return await self._bus.log.last_seq(storage.RESULTS) + 1


def _subject(stream: str | None, analysis: str | None) -> str:
    if stream is None:
        if analysis is not None:
            raise ValueError(f"of which stream is the analysis {analysis}? Name it as well")
        return subjects.RESULTS
    return subjects.results_of(stream) if analysis is None else subjects.result(stream, analysis)
