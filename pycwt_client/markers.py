"""Store markers in the result log, and decode them."""

from __future__ import annotations

from collections import deque

import anyio
from anyio.abc import TaskGroup

from cwt_runtime.bus import DurableLog, StoreAck
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.bus.errors import BusError
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.storage.publish import publish_with_retry
from cwt_schemas import subjects
from cwt_schemas.codec import ContentType, content_type_of, decode, encode
from cwt_schemas.errors import Unprocessable
from cwt_schemas.headers import ACCEPT, CONTENT_TYPE
from cwt_schemas.marker import Marker
from cwt_schemas.stream import StreamStatus
from pycwt_client.log import library_log

__all__ = ["MarkerSender", "place_of", "read_marker", "store_marker"]

#: Maximum number of queued markers of a publisher: about 10 MB. A recording published at full speed
#: has a few markers per chunk.
MAX_WAITING = 10_000

ENCODING = ContentType.MSGPACK


def read_marker(message: BusMessage) -> Marker:
    """Return the marker in a message of the result log.

    Raises
    ------
    ContractError
        The marker is not valid, or names another stream than its subject, which permissions apply
        to.
    """
    marker = decode(Marker, message.data, content_type_of(message.headers), ignore_unknown=True)
    if subjects.stream_of_marker(message.subject) != marker.stream:
        raise Unprocessable.of({"stream": f"{marker.stream} is not the stream of the subject"})
    return marker


async def store_marker(log: DurableLog, marker: Marker, policy: RetryPolicy) -> StoreAck:
    """Store a marker; a stored marker with the same content is not repeated.

    Raises
    ------
    BusError
        The marker could not be stored; the message names it.
    """
    try:
        return await publish_with_retry(
            log,
            subjects.marker(marker.stream),
            encode(marker, ENCODING),
            msg_id=marker.id,
            # With accounts, ingest replies to a device, in the place of the server.
            headers={CONTENT_TYPE: ENCODING.value, ACCEPT: ContentType.JSON.value},
            log=library_log(),
            policy=policy,
        )
    except BusError as error:
        raise type(error)(
            f"cannot store the marker {marker.text!r} of {marker.stream}: {error}; "
            f"check that the user may publish on {subjects.marker(marker.stream)}"
        ) from error


def place_of(status: StreamStatus, epoch: str | None, first_sample: int | None) -> tuple[str, int]:
    """Return epoch and position of a marker; None means the current epoch and its next sample.

    Raises
    ------
    Unprocessable
        The epoch is not the current one, or no sample has arrived in it.
    """
    stream = status.definition.name
    if epoch is not None and first_sample is not None:
        return epoch, first_sample
    if status.epoch is None:
        raise Unprocessable.of({"t_ns": f"required: no samples of {stream} have arrived yet"})
    if first_sample is not None:
        return status.epoch, first_sample
    if epoch not in {None, status.epoch}:
        problem = f"required: the current epoch of {stream} is {status.epoch}, not {epoch}"
        raise Unprocessable.of({"first_sample": problem})
    return status.epoch, status.next_sample or 0


class MarkerSender:
    """Store the markers of a publisher without delaying its samples.

    Markers wait in memory, and at most `in_flight` of them are sent at a time. The first marker
    that cannot be stored ends the sending: the queued ones are dropped, and `send` and `settled`
    raise its error.

    Attributes
    ----------
    stored : int
        Number of stored markers.
    """

    def __init__(
        self, log: DurableLog, tasks: TaskGroup, *, in_flight: int, retry: RetryPolicy
    ) -> None:
        self._log = log
        self._tasks = tasks
        self._in_flight = in_flight
        self._retry = retry
        self._waiting: deque[Marker] = deque()
        self._room = anyio.Semaphore(MAX_WAITING)
        self._senders = 0
        self._idle = anyio.Event()
        self._failure: BusError | None = None
        self.stored = 0

    async def send(self, marker: Marker) -> None:
        """Queue a marker, as soon as fewer than `MAX_WAITING` are queued.

        Raises
        ------
        BusError
            An earlier marker could not be stored.
        """
        await self._room.acquire()
        if self._failure is not None:
            self._room.release()
            raise self._failure
        self._waiting.append(marker)
        if self._senders < self._in_flight:
            if self._senders == 0:
                self._idle = anyio.Event()
            self._senders += 1
            self._tasks.start_soon(self._send_waiting)

    async def settled(self) -> None:
        """Wait until each marker is stored or given up.

        Raises
        ------
        BusError
            A marker could not be stored.
        """
        if self._senders > 0:
            await self._idle.wait()
        if self._failure is not None:
            raise self._failure

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                marker = self._waiting.popleft()
                self._room.release()
                await store_marker(self._log, marker, self._retry)
                self.stored += 1
        except BusError as error:
            self._failure = self._failure or error
            while self._waiting:
                self._waiting.popleft()
                self._room.release()
        finally:
            self._senders -= 1
            if self._senders == 0:
                self._idle.set()
