"""Read results, events and markers from the result log, in the order of storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import datetime
from typing import Generic, TypeVar

from cwt_runtime.bus import DurableLog, StoredMessage
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.telemetry.logs import Action
from cwt_schemas import storage
from cwt_schemas.codec import content_type_of, decode
from cwt_schemas.errors import ContractError
from cwt_schemas.live import AnalysisResult
from cwt_schemas.message import PersistedMessage
from cwt_schemas.pair_result import PairsResult, decode_result
from pycwt_client.log import library_log
from pycwt_client.signals import nanoseconds

__all__ = ["Feed", "open_feed", "reader_of", "result_reader"]

Kept = TypeVar("Kept", bound=PersistedMessage)
Result = TypeVar("Result", AnalysisResult, PairsResult)


class Feed(Generic[Kept]):
    """An endless iteration over the stored messages, then the new ones.

    Each message is returned once; repeated ones are skipped and counted. A cancelled read loses
    nothing: the next one continues. An unreadable message does not end the iteration: it is
    skipped, counted, and logged to the logger ``pycwt_client``.

    Attributes
    ----------
    seq : int
        Sequence number of the last message in the log; `start_seq = seq + 1` continues there.
    skipped : int
        Number of messages skipped because they cannot be decoded.
    repeated : int
        Number of messages skipped because they were read before.
    """

    def __init__(
        self,
        messages: AsyncIterator[StoredMessage],
        read: Callable[[BusMessage], Kept | None],
        is_new: Callable[[Kept], bool],
    ) -> None:
        self._messages = messages
        self._read = read
        self._is_new = is_new
        self._records = library_log()
        self._closed = False
        self.seq = 0
        self.skipped = 0
        self.repeated = 0

    def __aiter__(self) -> Feed[Kept]:
        return self

    def close(self) -> None:
        """Close the feed; leaving the context does this."""
        self._closed = True

    async def __anext__(self) -> Kept:
        if self._closed:
            raise RuntimeError("cannot read: the feed is closed; open another")
        while True:
            stored = await anext(self._messages)
            self.seq = stored.seq
            message = stored.message
            try:
                item = self._read(message)
            except ContractError as error:
                self.skipped += 1
                self._records.warning(
                    Action.MESSAGE_SKIPPED,
                    subject=message.subject,
                    seq=stored.seq,
                    detail=f"{error.code}: {error.message}",
                )
                continue
            if item is None:
                continue
            if self._is_new(item):
                return item
            self.repeated += 1


def reader_of(model: type[Kept]) -> Callable[[BusMessage], Kept]:
    """Return a function that decodes messages of `model`."""

    def read(message: BusMessage) -> Kept:
        return decode(model, message.data, content_type_of(message.headers), ignore_unknown=True)

    return read


def result_reader(model: type[Result]) -> Callable[[BusMessage], Result | None]:
    """Return a function that decodes results of `model`, and returns None for others."""

    def read(message: BusMessage) -> Result | None:
        result = decode_result(message.data, content_type_of(message.headers))
        return result if isinstance(result, model) else None

    return read


@asynccontextmanager
async def open_feed(
    log: DurableLog,
    read: Callable[[BusMessage], Kept | None],
    subject: str,
    *,
    is_new: Callable[[Kept], bool],
    start_seq: int,
    start_time: datetime | None,
) -> AsyncIterator[Feed[Kept]]:
    """Read the messages on `subject` while the context is open.

    Parameters
    ----------
    read
        Decodes a message; None skips it, because it belongs to another feed. A `ContractError`
        means that the message cannot be decoded.

    Raises
    ------
    ValueError
        `start_time` has no time zone.
    """
    start_ns = None if start_time is None else nanoseconds(start_time)
    async with log.replay(
        storage.RESULTS, (subject,), start_seq=start_seq, start_time_ns=start_ns
    ) as messages:
        with closing(Feed(messages, read, is_new)) as feed:
            yield feed
