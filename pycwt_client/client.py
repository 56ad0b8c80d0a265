"""The face of the system for programs: ask, define, publish, read."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from pycwt_client.feed import Feed, open_feed
from pycwt_client.publisher import PATIENT, ChunkEncoding, Publisher, open_publisher
from pycwt_client.questions import Questions
from schemas import subjects
from schemas.codec import ContentType
from schemas.event import StreamEvent
from schemas.result import AnalysisResult
from schemas.stream import (
    StreamDefinition,
    StreamDelete,
    StreamGet,
    StreamList,
    StreamListing,
    StreamStatus,
)
from services.runtime.bus import Bus
from services.runtime.retry import RetryPolicy

__all__ = ["Client"]


class Client(Questions):
    """What a user of the system can do, over any bus; `pycwt_client.connect` makes one.

    Parameters
    ----------
    bus
        The connection; it stays its owner's.
    """

    @property
    def bus(self) -> Bus:
        """The connection below, for what has no method here."""
        return self._bus

    async def put_stream(self, definition: StreamDefinition) -> StreamStatus:
        """Define a stream, or change what it is."""
        return await self.ask(subjects.stream("put"), definition, StreamStatus)

    async def get_stream(self, name: str) -> StreamStatus:
        """Return a stream and how far it has come."""
        return await self.ask(subjects.stream("get"), StreamGet(name=name), StreamStatus)

    async def list_streams(self) -> tuple[StreamStatus, ...]:
        """Return all streams."""
        listing = await self.ask(subjects.stream("list"), StreamList(), StreamListing)
        return listing.streams

    async def delete_stream(self, name: str) -> StreamStatus:
        """End a stream; what is in the log stays."""
        return await self.ask(subjects.stream("delete"), StreamDelete(name=name), StreamStatus)

    def publisher(
        self,
        stream: str,
        epoch: str,
        *,
        in_flight: int = 1,
        encoding: ChunkEncoding = ContentType.OCTETS,
        retry: RetryPolicy = PATIENT,
    ) -> AbstractAsyncContextManager[Publisher]:
        """Open the way of a device's samples into `stream`; see `Publisher`."""
        return open_publisher(
            self._bus.log, stream, epoch, in_flight=in_flight, encoding=encoding, retry=retry
        )

    def results(
        self, stream: str | None = None, *, start_seq: int = 1
    ) -> AbstractAsyncContextManager[Feed[AnalysisResult]]:
        """Read the results of `stream` (None: of all), from `start_seq` on, as they come."""
        subject = subjects.RESULTS if stream is None else subjects.results_of(stream)
        return open_feed(self._bus.log, AnalysisResult, subject, start_seq=start_seq)

    def events(
        self, stream: str | None = None, *, start_seq: int = 1
    ) -> AbstractAsyncContextManager[Feed[StreamEvent]]:
        """Read the events of `stream` (None: of all), from `start_seq` on, as they come."""
        subject = subjects.EVENTS if stream is None else subjects.event(stream)
        return open_feed(self._bus.log, StreamEvent, subject, start_seq=start_seq)
