"""The way of a publisher's chunks into the signal log: in order, and each one kept once.

Rules
-----
- Chunks are sent in order, the first of an epoch by itself, and each waits until all but the last
  `in_flight` - 1 before it are kept. So a chunk that is lost on its way, which shows after some
  seconds, is overtaken by at most that number of chunks, which ingest puts in order. With
  ``in_flight=1`` the order is strict.
- What fails for a passing reason is sent again until it is kept or the policy's tries are used up.
  Meanwhile no new chunk goes out.
- An answer that a chunk is a duplicate counts only for one that was sent again: it was stored
  before. For one that was sent once it means that another client has used its id, so it is sent
  again under another one.
- A chunk that cannot be kept, as when the log is full, ends the sending: `failure` is its error,
  and `first_unkept` says from where on to send again. Nothing is left out silently.
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

#: Ids of one chunk. Another client that uses up several knows what is sent before the server does.
MAX_IDS = 3


@dataclass
class _OnItsWay:
    """A chunk that was sent, and whether it is kept, or given up."""

    done: bool = False


class ChunkSender:
    """Sends chunks on one subject; the module states its rules.

    Attributes
    ----------
    kept, duplicates, resent : int
        Chunks acknowledged; how many had to be sent again, and how many of these were in the log
        already, since only the acknowledgement was lost.
    failure : BusError, ContractError or None
        What kept a chunk from being kept.
    first_unkept : int or None
        After a failure: the lowest position that may not be kept.
    last_seq : int
        Place in the log of the last chunk that is kept.
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
        #: In the order in which they were sent: each has its slot until those before it are done.
        self._on_their_way: deque[_OnItsWay] = deque()
        #: Whose chunk goes out next, and that no chunk is being sent again.
        self._turn, self._in_order = anyio.Lock(), anyio.Lock()
        #: The next chunk is the first of its epoch; whether that one is kept, or there is none.
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
        """Note that the chunk at a position cannot be kept; the first error is the `failure`."""
        self.failure = self.failure or error
        lowest = first_sample if self.first_unkept is None else self.first_unkept
        self.first_unkept = min(lowest, first_sample)

    def begin_epoch(self) -> None:
        """Send the next chunk by itself."""
        self._leads = True

    def queue(self, messages: Iterable[ChunkMessage]) -> None:
        """Note chunks for `send_queued`; one that is cancelled leaves them for the next one."""
        self._outbox.extend(messages)

    async def send_queued(self) -> None:
        """Send the queued chunks, each as soon as there is a slot for it."""
        while self._outbox:
            await self.send(None)

    async def send(self, message: ChunkMessage | None) -> None:
        """Send `message`, or the first one that is queued, as soon as there is a slot for it.

        Raises
        ------
        BusError, ContractError
            An earlier chunk could not be kept.
        """
        await self._slots.acquire()
        try:
            async with self._turn:
                await self._leader_kept.wait()
                async with self._in_order:  # free, unless a chunk is being sent again
                    self.raise_failure()
                    if message is None and not self._outbox:
                        self._slots.release()  # another call has sent it
                        return
                    if self._leads:
                        self._leads, self._leader_kept = False, anyio.Event()
                    sent = _OnItsWay()
                    self._on_their_way.append(sent)
                    self._tasks.start_soon(self._keep, message or self._outbox.popleft(), sent)
        except BaseException:  # cancelled while waiting, too: the slot is the next chunk's
            self._slots.release()
            raise

    async def settled(self) -> None:
        """Wait until each chunk that was sent is kept or given up."""
        async with AsyncExitStack() as held:
            for _ in range(self._sending.in_flight):
                await held.enter_async_context(self._slots)

    async def store(self, message: ChunkMessage) -> StoreAck:
        """Store a chunk, and return once it is kept.

        Raises
        ------
        BusError
            It could not be kept.
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
            f"cannot store a chunk of {self._subject}: another client publishes under its message "
            f"ids, {MAX_IDS} times; find out which clients may read this subject"
        )

    async def _stored_again(self, message: ChunkMessage) -> StoreAck:
        self.resent += 1
        async with self._in_order:
            self.raise_failure()  # another chunk has waited long enough, for both
            return await publish_with_retry(
                self._log,
                self._subject,
                message.body,
                msg_id=message.id,
                headers=message.headers,
                log=library_log(),
                policy=self._sending.retry,
            )
