"""The way of a device's samples into the log: every chunk kept once, in order.

Rules
-----
- A chunk's message id is ``<stream>/<epoch>/<first_sample>``: sending it again changes nothing.
- What fails for a passing reason is sent again until it is kept or the policy's tries are used up;
  then the error reaches the caller, at the next `publish` or on leaving the context.
- While a chunk is being sent again, no new one goes out. With one in flight, the usual, order is
  therefore strict. With more, a chunk that failed can end up behind its successors, which were
  under way already; the system then counts a gap and drops the late chunk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import anyio
import numpy as np
import numpy.typing as npt
from anyio.abc import TaskGroup

from pycwt_client.records import library_log
from schemas import subjects
from schemas.codec import ContentType, encode, encode_raw_chunk
from schemas.headers import CONTENT_TYPE
from schemas.signal import SignalChunk
from services.runtime.bus import Log, StoreAck
from services.runtime.errors import BusError
from services.runtime.retry import RetryPolicy
from services.runtime.storing import store_until_kept

__all__ = ["PATIENT", "ChunkEncoding", "Publisher", "open_publisher"]

ChunkEncoding = Literal[ContentType.OCTETS, ContentType.MSGPACK]
Samples = npt.NDArray[np.floating] | npt.NDArray[np.integer]

#: About half a minute in all: a restart of the server or an election takes a few seconds.
PATIENT = RetryPolicy(first_delay_s=0.1, factor=2.0, max_delay_s=5.0, max_tries=12)


class Publisher:
    """Publishes the chunks of one epoch of one stream; `Client.publisher` opens one.

    Attributes
    ----------
    next_sample : int
        Position that the next chunk gets when it says none.
    kept, duplicates, resent : int
        Chunks acknowledged, how many of them were in the log before, and how many had to be sent
        again.
    """

    def __init__(
        self,
        log: Log,
        tasks: TaskGroup,
        *,
        stream: str,
        epoch: str,
        in_flight: int,
        encoding: ChunkEncoding,
        retry: RetryPolicy,
    ) -> None:
        self._log = log
        self._tasks = tasks
        self._subject = subjects.signal(stream)
        self._id_prefix = f"{stream}/{epoch}"
        self._epoch = epoch
        self._encoding = encoding
        self._retry = retry
        self._in_flight = in_flight
        self._slots = anyio.Semaphore(in_flight)
        self._in_order = anyio.Lock()
        self._records = library_log()
        self._failure: BusError | None = None
        self.next_sample = 0
        self.kept = 0
        self.duplicates = 0
        self.resent = 0

    async def publish(
        self, samples: Samples, *, first_sample: int | None = None, t0_ns: int | None = None
    ) -> None:
        """Send a chunk, as soon as fewer than `in_flight` wait for their acknowledgement.

        Parameters
        ----------
        samples
            (time,) or (time, channel); NaN is a missing sample.
        first_sample
            Position of the first one; None: right after the last chunk.
        t0_ns
            When the first one was taken, nanoseconds UTC.

        Raises
        ------
        BusError
            An earlier chunk could not be kept.
        PayloadTooLarge
            The chunk does not fit a message.
        """
        first = self.next_sample if first_sample is None else first_sample
        chunk = SignalChunk(epoch=self._epoch, first_sample=first, t0_ns=t0_ns, samples=samples)
        headers, body = self._encoded(chunk)
        await self._slots.acquire()
        try:
            async with self._in_order:  # free, unless a chunk is being sent again
                self.raise_failure()
                self._tasks.start_soon(self._keep, f"{self._id_prefix}/{first}", headers, body)
        except BaseException:  # cancelled while waiting, too: the slot is the next chunk's
            self._slots.release()
            raise
        self.next_sample = first + chunk.n_samples

    async def finish(self) -> None:
        """Say that the epoch ends here, so that its last results come without more samples.

        Waits until every chunk is kept, so that this is the last one in the log. What is published
        in this epoch afterwards is refused.

        Raises
        ------
        BusError
            A chunk, or this word, could not be kept.
        """
        for _ in range(self._in_flight):
            await self._slots.acquire()
        for _ in range(self._in_flight):
            self._slots.release()
        self.raise_failure()
        samples = np.zeros(0, np.float32)
        first = self.next_sample
        end = SignalChunk(epoch=self._epoch, first_sample=first, samples=samples, final=True)
        headers, body = self._encoded(end)
        await self._stored(f"{self._id_prefix}/{first}", headers, body)

    def _encoded(self, chunk: SignalChunk) -> tuple[dict[str, str], bytes]:
        if self._encoding is ContentType.OCTETS:
            return encode_raw_chunk(chunk)
        return {CONTENT_TYPE: self._encoding.value}, encode(chunk, self._encoding)

    async def _keep(self, msg_id: str, headers: dict[str, str], body: bytes) -> None:
        try:
            ack = await self._stored(msg_id, headers, body)
            self.kept += 1
            self.duplicates += ack.duplicate
        except BusError as error:
            self._failure = self._failure or error
        finally:
            self._slots.release()

    async def _stored(self, msg_id: str, headers: dict[str, str], body: bytes) -> StoreAck:
        try:
            return await self._log.store(self._subject, body, msg_id=msg_id, headers=headers)
        except BusError as error:
            if not error.transient:
                raise
        self.resent += 1
        async with self._in_order:
            return await store_until_kept(
                self._log,
                self._subject,
                body,
                msg_id=msg_id,
                headers=headers,
                log=self._records,
                policy=self._retry,
            )

    def raise_failure(self) -> None:
        """Raise what kept a chunk from being kept, if anything did."""
        if self._failure is not None:
            raise self._failure


@asynccontextmanager
async def open_publisher(
    log: Log,
    stream: str,
    epoch: str,
    *,
    in_flight: int,
    encoding: ChunkEncoding,
    retry: RetryPolicy,
) -> AsyncIterator[Publisher]:
    """Yield a publisher; leaving the context waits until every chunk is kept."""
    fault: Exception | None = None
    async with anyio.create_task_group() as tasks:
        publisher = Publisher(
            log,
            tasks,
            stream=stream,
            epoch=epoch,
            in_flight=in_flight,
            encoding=encoding,
            retry=retry,
        )
        try:
            yield publisher
        except Exception as error:  # noqa: BLE001 - raised below, outside the group, as it was
            fault = error
            tasks.cancel_scope.cancel()
    if fault is not None:
        raise fault
    publisher.raise_failure()
