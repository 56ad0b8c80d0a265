"""A live stream over a WebSocket: results, events, markers, status, samples and estimates.

The log is the queue: results, events and markers are read as fast as the client reads them. A slow
client therefore falls behind without loss, and uses no more memory than a fast one. Samples that a
client is too slow for are skipped and counted, and of provisional estimates it gets the newest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, get_args

import anyio
from fastapi import APIRouter, WebSocket

from cwt_gateway.authentication import SESSION_PARAMETER
from cwt_gateway.caller import Caller, Calling
from cwt_gateway.log_merge import replay_each
from cwt_gateway.log_pages import Place, chosen_channels, place_of, sample_block
from cwt_gateway.result_messages import ResultMessages
from cwt_gateway.sharing import STATUS_S, Sharing
from cwt_gateway.sockets import (
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Closing,
    Outlet,
    error_message,
    frames,
    hold_conversation,
)
from cwt_gateway.streams import stream_status
from cwt_runtime.bus import DurableLog, StoredMessage
from cwt_runtime.bus.errors import ForbiddenError
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType
from cwt_schemas.errors import BadRequest, ContractError, Forbidden, NotFound, Unprocessable
from cwt_schemas.stream import StreamStatus
from pycwt_client import Estimates

__all__ = ["router"]

#: Number of channels of samples by default.
DEFAULT_CHANNELS: Final = 8
#: A client that is more than this number of chunks behind continues with the newest ones.
MAX_BEHIND: Final = 64

router = APIRouter()

Kind = Literal["results", "events", "markers", "status", "samples", "now"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
DEFAULT_INCLUDE: Final = "results,events,markers,status"
FORMATS: Final = {"json": ContentType.JSON, "msgpack": ContentType.MSGPACK}
PARAMETERS: Final = ("from", "analysis", "include", "channels", "samples_from", "format")


@router.websocket("/ws/streams/{name}")
async def stream_socket(websocket: WebSocket, caller: Calling, name: str) -> None:
    """Send the results, events, markers, status, samples and estimates of a stream."""
    await hold_conversation(websocket, partial(_converse, websocket, caller, name))


async def _converse(websocket: WebSocket, caller: Caller, name: str) -> None:
    outlet = Outlet(websocket)
    encoding = FORMATS.get(websocket.query_params.get("format", "json"), ContentType.JSON)
    try:
        parameters = SocketParameters.of(websocket.query_params)
        status = await stream_status(caller, name)
        live = LiveStream(websocket, caller, outlet, parameters, status)
        await live.run()
    except ContractError as error:
        await outlet.send(error_message(error), encoding)
        code = TRY_AGAIN_LATER if error.transient else POLICY_VIOLATION
        raise Closing(code, error.message) from error


@dataclass(frozen=True, kw_only=True)
class SocketParameters:
    """The parameters of a connection."""

    start: Place | None
    analysis: str | None
    include: frozenset[str]
    channels: str | None
    samples_start: Place | None
    encoding: ContentType

    @classmethod
    def of(cls, query: Mapping[str, str]) -> SocketParameters:
        """Return the parameters in a query string.

        Raises
        ------
        Unprocessable
            A parameter is unknown, or has an invalid value.
        """
        problems = {
            name[:64]: f"unknown parameter; use {', '.join(PARAMETERS)}"
            for name in query
            if name not in (*PARAMETERS, SESSION_PARAMETER)
        }
        include = frozenset(query.get("include", DEFAULT_INCLUDE).split(","))
        if not include <= set(KINDS):
            problems["include"] = f"must be of {', '.join(KINDS)}"
        if query.get("format", "json") not in FORMATS:
            problems["format"] = f"must be {' or '.join(FORMATS)}"
        if not query.get("samples_from", "0").isdecimal():
            problems["samples_from"] = "must be a sequence number of the signal log"
        if problems:
            raise Unprocessable.of(problems)
        start = place_of("from", query["from"]) if "from" in query else None
        samples_start = start if start is not None and start.time_ns is not None else None
        if "samples_from" in query:
            samples_start = place_of("samples_from", query["samples_from"])
        return cls(
            start=start,
            analysis=query.get("analysis"),
            include=include,
            channels=query.get("channels"),
            samples_start=samples_start,
            encoding=FORMATS[query.get("format", "json")],
        )


class LiveStream:
    """One connection that follows a stream."""

    def __init__(
        self,
        websocket: WebSocket,
        caller: Caller,
        outlet: Outlet,
        parameters: SocketParameters,
        status: StreamStatus,
    ) -> None:
        self._websocket = websocket
        self._caller = caller
        self._log = caller.bus.log
        self._outlet = outlet
        self._parameters = parameters
        self._status = status
        self._name = status.definition.name
        self._sharing: Sharing = websocket.app.state.sharing
        self._columns = chosen_channels(
            status.definition, parameters.channels, default=DEFAULT_CHANNELS
        )

    async def run(self) -> None:
        """Send until the client disconnects.

        Raises
        ------
        ContractError
            The connection cannot continue.
        Closing
            The client does not read.
        """
        if "now" not in self._parameters.include:
            await self._run(None)
            return
        # Before the first message, so that no estimate after it is missed.
        async with self._caller.client.now(self._name, self._parameters.analysis) as estimates:
            await self._run(estimates)

    async def _run(self, estimates: Estimates | None) -> None:
        read = self._subjects()
        start = await start_seq(self._log, storage.RESULTS, read, self._parameters.start)
        samples_start = await self._samples_start()
        self._outlet.cursor = start
        status = status_tree(self._status)
        ack = {"type": "ack", "status": status, "next": start, "samples_next": samples_start}
        await self._outlet.send(ack, self._parameters.encoding)
        if samples_start is None and "samples" in self._parameters.include:
            refusal = Forbidden("the user of this key may not read samples")
            await self._outlet.send(error_message(refusal), self._parameters.encoding)
        fault: ContractError | None = None
        try:
            async with anyio.create_task_group() as tasks:
                if read:
                    tasks.start_soon(self._send_log, read, start)
                if samples_start is not None:
                    tasks.start_soon(self._send_samples, samples_start)
                if estimates is not None:
                    tasks.start_soon(self._send_estimates, estimates)
                tasks.start_soon(self._follow_status)
                await self._listen()
                tasks.cancel_scope.cancel()
        except* ContractError as group:
            fault = _contract_error(group)
        if fault is not None:
            raise fault

    def _subjects(self) -> tuple[str, ...]:
        include, analysis = self._parameters.include, self._parameters.analysis
        read: list[str] = []
        if "results" in include:
            every = subjects.results_of(self._name)
            read.append(every if analysis is None else subjects.result(self._name, analysis))
        if "events" in include:
            read.append(subjects.event(self._name))
        if "markers" in include:
            read.append(subjects.marker(self._name))
        return tuple(read)

    async def _samples_start(self) -> int | None:
        if "samples" not in self._parameters.include:
            return None
        subject = (subjects.signal(self._name),)
        place = self._parameters.samples_start
        try:
            return await start_seq(self._log, storage.SIGNALS, subject, place)
        except ForbiddenError:
            return None

    async def _send_log(self, read: tuple[str, ...], start: int) -> None:
        try:
            async with self._log.replay(storage.RESULTS, read, start_seq=start) as stored:
                await self._send_stored(stored)
        except ForbiddenError:
            if len(read) == 1:
                raise
            # The user may read some streams alone.
            async with aclosing(
                replay_each(self._log, storage.RESULTS, read, start)
            ) as stored_of_each:
                await self._send_stored(stored_of_each)

    async def _send_stored(self, stored: AsyncIterator[StoredMessage]) -> None:
        messages = ResultMessages(self._name, self._parameters.encoding, self._sharing)
        async for each in stored:
            message = await messages.of(each)
            if message is not None:
                self._outlet.cursor = each.seq
                await self._outlet.send_encoded(message.body, self._parameters.encoding)
            self._outlet.cursor = each.seq + 1

    async def _send_samples(self, start: int) -> None:
        subject = subjects.signal(self._name)
        async with self._log.replay(storage.SIGNALS, (subject,), start_seq=start) as stored:
            async for each, skipped in newest(stored, self._samples_in):
                if skipped:
                    await self._outlet.send(
                        {"type": "skipped", "samples": skipped}, self._parameters.encoding
                    )
                block = sample_block(each, self._status.definition, self._columns)
                if block is not None:
                    message = {"type": "samples", "seq": each.seq, **block}
                    size = 8 * block["samples"].size
                    await self._outlet.send(message, self._parameters.encoding, size)

    async def _send_estimates(self, estimates: Estimates) -> None:
        async for each in estimates:
            message = {"type": "now", "now": each.model_dump(by_alias=True)}
            await self._outlet.send(message, self._parameters.encoding)

    def _samples_in(self, stored: StoredMessage) -> int:
        block = sample_block(stored, self._status.definition, ())
        return 0 if block is None else len(block["samples"])

    async def _follow_status(self) -> None:
        while True:
            await anyio.sleep(STATUS_S)
            try:
                status = await self._sharing.status(self._caller, self._name)
            except NotFound:
                raise NotFound(f"the stream {self._name} was deleted") from None
            except ContractError:
                continue  # ingest is unreachable: the next check decides
            if status == self._status:
                continue
            if status.definition != self._status.definition:
                self._columns = chosen_channels(
                    status.definition, self._parameters.channels, default=DEFAULT_CHANNELS
                )
            self._status = status
            if "status" in self._parameters.include:
                message = {"type": "status", "status": status_tree(status)}
                await self._outlet.send(message, self._parameters.encoding)

    async def _listen(self) -> None:
        async for frame in frames(self._websocket):
            if frame.is_ping:
                await self._outlet.send({"type": "pong"}, frame.encoding)
            else:
                problem = BadRequest("nothing but {'type': 'ping'} is allowed here")
                await self._outlet.send(error_message(problem), frame.encoding)


async def start_seq(
    log: DurableLog, stream: str, read: tuple[str, ...], place: Place | None
) -> int:
    """Return the sequence number to start at; None starts at the next message.

    A sequence number that the log has not reached is replaced by the next one: a log that lost its
    end counts on from there, and reading would otherwise wait for it.
    """
    following = await log.last_seq(stream) + 1
    if place is None or not read:
        return following
    if place.time_ns is None:
        return min(place.seq, following)
    async with log.read(stream, read, start_time_ns=place.time_ns) as messages:
        first = await anext(aiter(messages), None)
    return following if first is None else first.seq


async def newest(
    stored: AsyncIterator[StoredMessage], samples_in: Callable[[StoredMessage], int]
) -> AsyncIterator[tuple[StoredMessage, int]]:
    """Yield chunks, with the number of samples skipped before each.

    If a reader that had caught up once is more than `MAX_BEHIND` chunks behind, all but the newest
    chunks are skipped.
    """
    is_live, skipping, skipped = False, False, 0
    async for each in stored:
        is_live = is_live or each.pending == 0
        if is_live:
            skipping = each.pending > (MAX_BEHIND // 8 if skipping else MAX_BEHIND)
        if skipping:
            skipped += samples_in(each)
        else:
            yield each, skipped
            skipped = 0


def status_tree(status: StreamStatus) -> dict[str, Any]:
    """Return a status as a field of a message."""
    return status.model_dump(by_alias=True)


def _contract_error(group: BaseExceptionGroup[ContractError]) -> ContractError:
    first = group.exceptions[0]
    return _contract_error(first) if isinstance(first, BaseExceptionGroup) else first
