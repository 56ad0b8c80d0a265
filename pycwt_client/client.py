"""The system for programs: `connect`, and a `Client` that asks, defines, publishes and reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime

import anyio

from cwt_runtime.bus.errors import UnusableConnectionError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.telemetry.logs import Log
from cwt_runtime.urls import without_credentials
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, validated
from cwt_schemas.errors import Unavailable
from cwt_schemas.limits import MAX_CHUNK_SAMPLES
from cwt_schemas.live import AnalysisResult, StreamEvent
from cwt_schemas.stream import (
    StreamDefinition,
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamStatus,
)
from pycwt_client.feed import Feed, open_feed
from pycwt_client.jobs import Jobs
from pycwt_client.log import library_log
from pycwt_client.publisher import (
    BATCH_S,
    IN_FLIGHT,
    PATIENT,
    ChunkEncoding,
    Publisher,
    Sending,
    new_epoch,
    open_publisher,
)
from pycwt_client.repeats import SeenEvents, SeenResults

__all__ = ["CONNECT_TIMEOUT_S", "Client", "connect"]

#: A server on the same machine answers within milliseconds, one far away within a second.
CONNECT_TIMEOUT_S = 5.0


@asynccontextmanager
async def connect(
    url: str,
    *,
    name: str = "pycwt-client",
    creds: str | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
    log: Log | None = None,
) -> AsyncIterator[Client]:
    """Connect to the NATS server at `url`; leaving the context sends what is buffered and closes.

    A connection that breaks later is made again by itself.

    Parameters
    ----------
    url
        Such as ``nats://127.0.0.1:4222``; several are separated by commas.
    name
        What the server's monitoring calls this connection.
    creds
        Path of a NATS credentials file.
    timeout_s
        How long to wait for the server.
    log
        Where losses of the connection are told; by default the logger ``pycwt_client``.

    Raises
    ------
    Unavailable
        There is no server at `url`, or none that lets this user in; or `url` or `creds` is none.
    """
    async with AsyncExitStack() as stack:
        bus = None
        try:
            with anyio.move_on_after(timeout_s):
                bus = await stack.enter_async_context(
                    connect_bus(url, name=name, log=log or library_log(), creds=creds)
                )
        except UnusableConnectionError as error:
            raise Unavailable(f"{error} (CWT_NATS_URL, CWT_NATS_CREDS)") from error
        if bus is None:
            raise Unavailable(
                f"no NATS server answers at {without_credentials(url)}, or none that lets this "
                "user in: start one with `pycwt-mod up`, or set CWT_NATS_URL to one that runs"
            )
        yield Client(bus)


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
    ) -> AbstractAsyncContextManager[Publisher]:
        """Open the way of a device's samples into `stream`; leaving waits until all are kept.

        Parameters
        ----------
        stream
            A stream that is defined.
        epoch
            Name of this run of the device. The same name again, with the same positions, repeats
            nothing. None: a new one, made of the time.
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
        """
        sending = Sending(
            in_flight=in_flight,
            encoding=encoding,
            retry=retry,
            batch_samples=batch_samples,
            batch_s=batch_s,
        )
        run = new_epoch() if epoch is None else epoch
        return open_publisher(self._bus.log, stream, run, sending=sending)

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
            AnalysisResult,
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
            StreamEvent,
            subjects.EVENTS if stream is None else subjects.event(stream),
            is_new=SeenEvents().is_new,
            start_seq=start_seq,
            start_time=start_time,
        )

    async def next_seq(self) -> int:
        """Return the place that the next result or event will have: `start_seq` for new ones."""
        return await self._bus.log.last_seq(storage.RESULTS) + 1


def _subject(stream: str | None, analysis: str | None) -> str:
    if stream is None:
        if analysis is not None:
            raise ValueError(f"of which stream is the analysis {analysis}? Name it as well")
        return subjects.RESULTS
    return subjects.results_of(stream) if analysis is None else subjects.result(stream, analysis)
