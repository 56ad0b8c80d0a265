"""The face of the system for programs: ask, define, publish, read."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from pycwt_client.feed import Feed, open_feed
from pycwt_client.publisher import PATIENT, ChunkEncoding, Publisher, open_publisher
from schemas import subjects
from schemas.codec import ContentType, content_type_of, decode, encode
from schemas.errors import ContractError, ErrorBody, Timeout, Unavailable
from schemas.event import StreamEvent
from schemas.headers import ACCEPT, CONTENT_TYPE, SERVICE_ERROR_CODE
from schemas.message import Message
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
from services.runtime.bus import Message as BusMessage
from services.runtime.errors import BusError, BusTimeoutError, NoRespondersError
from services.runtime.retry import RetryPolicy

__all__ = ["Client"]

#: Definitions are answered in milliseconds; this covers a service that is just being started.
ASK_TIMEOUT_S = 5.0

Reply = TypeVar("Reply", bound=Message)


class Client:
    """What a user of the system can do, over any bus; `pycwt_client.connect` makes one.

    Parameters
    ----------
    bus
        The connection; it stays its owner's.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def bus(self) -> Bus:
        """The connection below, for what has no method here."""
        return self._bus

    async def ask(
        self,
        subject: str,
        request: Message,
        reply: type[Reply],
        *,
        timeout_s: float = ASK_TIMEOUT_S,
    ) -> Reply:
        """Send one request, in msgpack, and return its answer.

        Raises
        ------
        ContractError
            What the service refused, as it said it; `Unavailable` when nobody serves the subject,
            `Timeout` when no answer came within `timeout_s`.
        """
        headers = {CONTENT_TYPE: ContentType.MSGPACK.value, ACCEPT: ContentType.MSGPACK.value}
        body = encode(request, ContentType.MSGPACK)
        try:
            answer = await self._bus.request(subject, body, headers, timeout_s=timeout_s)
        except BusError as error:
            raise _refusal(subject, timeout_s, error) from error
        if SERVICE_ERROR_CODE in answer.headers:
            raise _told(answer)
        return decode(reply, answer.data, content_type_of(answer.headers))

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


def _told(answer: BusMessage) -> ContractError:
    body = decode(ErrorBody, answer.data, content_type_of(answer.headers))
    return body.exception()


def _refusal(subject: str, timeout_s: float, error: BusError) -> ContractError:
    if isinstance(error, NoRespondersError):
        return Unavailable(
            f"nobody serves {subject}: start the services with `pycwt-mod up`, "
            "or look with `nats micro ls` which ones run"
        )
    if isinstance(error, BusTimeoutError):
        return Timeout(f"no answer from {subject} within {timeout_s:g} s")
    return Unavailable(f"{subject} cannot be reached: {error}")
