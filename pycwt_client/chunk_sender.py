"""Store the chunks of a publisher in the signal log, in order and each once.

Rules
-----
- Chunks are sent in order, the first of an epoch by itself, and each waits until all but the last
  `in_flight` - 1 before it are stored. A chunk that is lost on the way, which takes some seconds to
  notice, is therefore overtaken by at most that number of chunks, which ingest reorders. With
  ``in_flight=1`` the order is strict.
- Transient failures are retried until the chunk is stored or the retry policy gives up. No new
  chunk is sent during a retry.
- A duplicate acknowledgement of a retried chunk means that the chunk was stored before. For a chunk
  that was sent once, it means that another client has used its id, so the chunk is sent again under
  another id.
- A chunk that cannot be stored, for example because the log is full, ends the sending: `failure` is
  its error, and `first_unkept` the position to continue from. No chunk is skipped silently.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from cwt_runtime.bus import DurableLog, StoreAck
from cwt_runtime.bus.errors import BusError, NotStoredError
from cwt_runtime.storage.publish import publish_with_retry
from cwt_schemas.errors import ContractError
from pycwt_client.chunk_messages import ChunkMessage
from pycwt_client.log import library_log
from pycwt_client.sending import Sending

__all__ = ["ChunkSender"]

#: Number of ids to try per chunk. A client that uses up several reads chunks before they are
#: stored.
MAX_IDS = 3


@dataclass
class _OnItsWay:
    """A chunk that was sent; `done` once it is stored or given up."""

    done: bool = False


class ChunkSender:
    """Send chunks on one subject by the rules in the module's docstring.

    Attributes
    ----------
    kept, duplicates, resent : int
        Number of stored chunks; retried chunks that were already in the log, because only the
        acknowledgement was lost; and retried chunks.
    failure : BusError, ContractError or None
        Reason for which a chunk could not be stored.
    first_unkept : int or None
        Lowest position that may not be stored after a failure.
    last_seq : int
        Sequence number in the log of the last stored chunk.
    """

    def __init__(
        self, log: DurableLog, tasks: TaskGroup, *, subject: str, sending: Sending
    ) -> None:
        self._log = log
        self._tasks = tasks
        self._subject = subject
        self._sending = sending
        self._outbox: deque[ChunkMessage] = deque()
        self._slots = anyio.Semaphore(sending.in_flight)
        #: In the order of sending: each keeps its slot until those before it are done.
        self._on_their_way: deque[_OnItsWay] = deque()
        #: Held by the chunk to be sent next, and by a chunk that is being retried.
        self._turn, self._in_order = anyio.Lock(), anyio.Lock()
        #: Whether the next chunk is the first of its epoch; set unless such a chunk is in flight.
        self._leads, self._leader_kept = True, anyio.Event()
        self._leader_kept.set()
        self.kept = 0
        self.duplicates = 0
        self.resent = 0
        self.failure: BusError | ContractError | None = None
        self.first_unkept: int | None = None
        self.last_seq = 0

    def raise_failure(self) -> None:
        """Raise `failure`, if there is one."""
        if self.failure is not None:
            raise self.failure

    def note_failure(self, error: BusError | ContractError, first_sample: int) -> None:
        """Record that a chunk cannot be stored; the first error is the `failure`."""
        self.failure = self.failure or error
        lowest = first_sample if self.first_unkept is None else self.first_unkept
        self.first_unkept = min(lowest, first_sample)

    def begin_epoch(self) -> None:
        """Send the next chunk as the first of its epoch."""
        self._leads = True

    def queue(self, messages: Iterable[ChunkMessage]) -> None:
        """Queue chunks for `send_queued`; if cancelled, it leaves the rest for the next call."""
        self._outbox.extend(messages)

    async def send_queued(self) -> None:
        """Send the queued chunks, each as soon as a slot is free."""
        while self._outbox:
            await self.send(None)

    async def send(self, message: ChunkMessage | None) -> None:
        """Send `message`, or the first queued one if None, as soon as a slot is free.

        Raises
        ------
        BusError, ContractError
            An earlier chunk could not be stored.
        """
        await self._slots.acquire()
        try:
            async with self._turn:
                await self._leader_kept.wait()
                async with self._in_order:  # free unless a chunk is being retried
                    self.raise_failure()
                    if message is None and not self._outbox:
                        self._slots.release()  # another call has sent it
                        return
                    if self._leads:
                        self._leads, self._leader_kept = False, anyio.Event()
                    sent = _OnItsWay()
                    self._on_their_way.append(sent)
                    self._tasks.start_soon(self._keep, message or self._outbox.popleft(), sent)
        except BaseException:  # also if cancelled while waiting: the next chunk needs the slot
            self._slots.release()
            raise

    async def settled(self) -> None:
        """Wait until each chunk that was sent is stored or given up."""
        async with AsyncExitStack() as held:
            for _ in range(self._sending.in_flight):
                await held.enter_async_context(self._slots)

    async def store(self, message: ChunkMessage) -> StoreAck:
        """Store a chunk, and return its acknowledgement.

        Raises
        ------
        BusError
            The chunk could not be stored.
        """
        ack = await self._stored(message)
        self.last_seq = max(self.last_seq, ack.seq)
        return ack

    async def _keep(self, message: ChunkMessage, sent: _OnItsWay) -> None:
        try:
            ack = await self.store(message)
            self.kept += 1
            self.duplicates += ack.duplicate
        except (BusError, ContractError) as error:
            self.note_failure(error, message.first_sample)
        finally:
            self._leader_kept.set()
            sent.done = True
            while self._on_their_way and self._on_their_way[0].done:
                self._on_their_way.popleft()
                self._slots.release()

    async def _stored(self, message: ChunkMessage) -> StoreAck:
        for _ in range(MAX_IDS):
            try:
                ack = await self._log.store(
                    self._subject, message.body, msg_id=message.id, headers=message.headers
                )
            except BusError as error:
                if not error.transient:
                    raise
                return await self._stored_again(message)
            if not ack.duplicate:
                return ack
            message = message.renamed()
        raise NotStoredError(
            f"cannot store a chunk of {self._subject}: another client used its message ids "
            f"{MAX_IDS} times; check which clients may read this subject"
        )

    async def _stored_again(self, message: ChunkMessage) -> StoreAck:
        self.resent += 1
        async with self._in_order:
            self.raise_failure()  # another chunk has retried long enough
            return await publish_with_retry(
                self._log,
                self._subject,
                message.body,
                msg_id=message.id,
                headers=message.headers,
                log=library_log(),
                policy=self._sending.retry,
            )
