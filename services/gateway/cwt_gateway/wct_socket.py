"""Coherence of a client's samples over a WebSocket, by message or as a live stream.

There are two tasks. One reads frames, replies to pings, and passes everything else on. When
`MAX_WAITING` frames wait, it stops reading, and the client's sends block. The other task handles
frames in order, one computation at a time. In mode ``stream``, a third task sends results as they
arrive.

No content of a frame ends the connection: the reply to an invalid frame is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastapi import APIRouter, WebSocket
from pydantic import TypeAdapter, ValidationError

from cwt_gateway.caller import Caller, Calling
from cwt_gateway.media import THREAD_FROM_BYTES
from cwt_gateway.owned_streams import new_stream_name, owned_stream
from cwt_gateway.result_messages import ResultMessages
from cwt_gateway.sockets import (
    SERVICE_RESTART,
    Closing,
    Frame,
    Outlet,
    error_message,
    frames,
    hold_conversation,
)
from cwt_runtime.analysis import plan_analysis
from cwt_runtime.bus import DurableLog
from cwt_runtime.bus.errors import BusError
from cwt_runtime.process.lifecycle import Stop
from cwt_schemas import storage, subjects
from cwt_schemas.codec import ContentType, decode_tree, encode, parsed, validated
from cwt_schemas.errors import Conflict, ContractError, Unprocessable
from cwt_schemas.sockets import ANALYSIS, ChunkConfig, DataId, PairSamples, StreamConfig
from cwt_schemas.stream import StreamDefinition
from pycwt_client.publisher import Publisher
from pycwt_client.request import COMPUTE_TIMEOUT_S, ask_packed

__all__ = ["router"]

#: Maximum number of frames that wait for the current computation.
MAX_WAITING: Final = 4

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
Config = ChunkConfig | StreamConfig

router = APIRouter()

_DATA_ID: TypeAdapter[int | str] = TypeAdapter(DataId)


@router.websocket("/ws/stream/wct")
async def wct_socket(websocket: WebSocket, caller: Calling) -> None:
    """Compute the coherence of what the client sends."""
    outlet = Outlet(websocket)
    await hold_conversation(websocket, partial(_converse, websocket, caller, outlet))


async def _converse(websocket: WebSocket, caller: Caller, outlet: Outlet) -> None:
    # The reading task holds one more.
    send, receive = anyio.create_memory_object_stream[Frame](MAX_WAITING - 1)
    async with send, receive, anyio.create_task_group() as tasks:
        tasks.start_soon(_Conversation(websocket, caller, outlet, receive).run)
        tasks.start_soon(_close_at_stop, websocket.app.state.stop)
        await _read(websocket, outlet, send)
        tasks.cancel_scope.cancel()


async def _close_at_stop(stop: Stop) -> None:
    """End the conversation when the gateway stops, even if no frame arrives."""
    await stop.wait()
    raise Closing(SERVICE_RESTART, "the gateway is stopping")


async def _read(websocket: WebSocket, outlet: Outlet, inbox: MemoryObjectSendStream[Frame]) -> None:
    async for frame in frames(websocket):
        if frame.is_ping:
            await outlet.send({"type": "pong"}, frame.encoding)
        else:
            await inbox.send(frame)


class _Message:
    """A frame that was read: its type, its id and its other fields."""

    def __init__(self, frame: Frame, fields: dict[str, Any]) -> None:
        self.encoding = frame.encoding
        self.size = len(frame.data)
        self.kind = fields.pop("type", None)
        self._id = fields.pop("id", None)
        self.fields = fields

    @property
    def id(self) -> dict[str, object]:
        """The field that the reply repeats, if there is one.

        Raises
        ------
        Unprocessable
            It is not a valid id.
        """
        if self._id is None:
            return {}
        try:
            return {"id": _DATA_ID.validate_python(self._id, strict=True)}
        except ValidationError:
            raise Unprocessable.of({"id": "must be a short string or an integer"}) from None


class _Conversation:
    """Handle the frames of one connection in order."""

    def __init__(
        self,
        websocket: WebSocket,
        caller: Caller,
        outlet: Outlet,
        inbox: MemoryObjectReceiveStream[Frame],
    ) -> None:
        self._state = websocket.app.state
        self._caller = caller
        self._outlet = outlet
        self._inbox = inbox

    async def run(self) -> None:
        """Handle frames until cancelled."""
        config, message = await self._configured()
        while True:
            try:
                if isinstance(config, ChunkConfig):
                    config, message = await self._chunks(config, message)
                else:
                    config, message = await self._stream(config, message)
            except (ContractError, BusError) as error:
                await self._refuse(error, message)
                config, message = await self._configured()

    async def _configured(self) -> tuple[Config, _Message]:
        """Return the first configuration; other messages are refused before it."""
        while True:
            message, config = await self._next()
            if config is not None:
                return config, message
            await self._refuse(Conflict("send a message of type config first"), message)

    async def _next(self) -> tuple[_Message, Config | None]:
        """Return the next message, or configuration; refuse invalid ones."""
        while True:
            frame = await self._inbox.receive()
            try:
                message = _Message(
                    frame, await _in_thread(len(frame.data), parsed, frame.data, frame.encoding)
                )
            except ContractError as error:
                await self._outlet.send(error_message(error), frame.encoding)
                continue
            try:
                if message.kind == "config":
                    return message, _config(message.fields)
                if message.kind in ("data", "end"):
                    return message, None
                raise Unprocessable.of({"type": "must be config, data, end or ping"})
            except ContractError as error:
                await self._refuse(error, message)

    async def _refuse(self, error: ContractError | BusError, message: _Message) -> None:
        try:
            own = message.id
        except Unprocessable:
            own = {}
        await self._outlet.send(error_message(error, **own), message.encoding)

    async def _chunks(self, config: ChunkConfig, message: _Message) -> tuple[Config, _Message]:
        """Reply to each pair of signals with its coherence, until the next configuration."""
        ack = {"type": "ack", "config": config.model_dump()}
        await self._outlet.send(ack, message.encoding)
        while True:
            message, following = await self._next()
            if following is not None:
                return following, message
            try:
                await self._answer(config, message)
            except (ContractError, BusError) as error:
                await self._refuse(error, message)

    async def _answer(self, config: ChunkConfig, message: _Message) -> None:
        if message.kind == "end":
            raise Conflict("end is only valid in the mode stream")
        own = message.id

        def query() -> bytes:
            request = config.request(validated(PairSamples, message.fields))
            return encode(request, ContentType.MSGPACK)

        body = await _in_thread(message.size, query)
        packed = await ask_packed(
            self._caller.bus,
            subjects.query("wct"),
            body,
            ContentType.MSGPACK,
            timeout_s=COMPUTE_TIMEOUT_S,
        )
        reply = {"type": "result", **own, **decode_tree(packed, trusted=True)}
        await self._outlet.send(reply, message.encoding, len(packed))

    async def _stream(self, config: StreamConfig, message: _Message) -> tuple[Config, _Message]:
        """Publish the pairs of signals, and send results, until the next configuration."""
        definition = config.definition(new_stream_name(self._state.gateway_id))
        client, encoding = self._caller.client, message.encoding
        start = await client.next_seq()
        async with owned_stream(client, definition, self._state.background) as status:
            ack = {
                "type": "ack",
                "config": config.model_dump(),
                "stream": definition.name,
                "definition": status.definition.model_dump(by_alias=True),
            }
            await self._outlet.send(ack, encoding)
            messages = ResultMessages(definition.name, encoding, self._state.sharing)
            results = _Results(self._outlet, definition, messages, encoding)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(results.send_from, self._caller.bus.log, start)
                following = await self._publish(definition.name, results)
                tasks.cancel_scope.cancel()
        return following

    async def _publish(self, stream: str, results: _Results) -> tuple[Config, _Message]:
        following: tuple[Config, _Message] | None = None
        with suppress(BusError, ContractError):  # of a chunk that is not stored, which was reported
            async with self._caller.client.publisher(stream) as publisher:
                while following is None:
                    message, config = await self._next()
                    if config is None:
                        await self._try_to_take(message, publisher, results)
                    else:
                        following = config, message
        assert following is not None  # noqa: S101 - only leaving the publisher raises
        return following

    async def _try_to_take(
        self, message: _Message, publisher: Publisher, results: _Results
    ) -> None:
        try:
            await _take(message, publisher, results)
        except (ContractError, BusError) as error:
            await self._refuse(error, message)


async def _take(message: _Message, publisher: Publisher, results: _Results) -> None:
    """Publish the samples in a message, or end the signal."""
    if results.has_end:
        raise Conflict("the signal has ended; send config to start again")
    if message.kind == "end":
        if publisher.next_sample:
            await publisher.finish()
        await results.end_at(publisher.next_sample)
        return
    _ = message.id  # rejects an invalid value
    pair = await _in_thread(message.size, validated, PairSamples, message.fields)
    await publisher.publish(pair.samples)


class _Results:
    """Send the results and events of a stream, and report when all have been sent."""

    def __init__(
        self,
        outlet: Outlet,
        definition: StreamDefinition,
        messages: ResultMessages,
        encoding: ContentType,
    ) -> None:
        self._outlet = outlet
        self._definition = definition
        self._messages = messages
        self._encoding = encoding
        #: Number of tiles whose result was sent, or will not be computed.
        self._settled = 0
        self._tiles: int | None = None

    @property
    def has_end(self) -> bool:
        """Whether the signal has ended."""
        return self._tiles is not None

    async def send_from(self, log: DurableLog, start: int) -> None:
        """Send the messages of the log from `start` on until cancelled."""
        name = self._definition.name
        read = subjects.results_of(name), subjects.event(name)
        async with log.replay(storage.RESULTS, read, start_seq=start) as stored:
            async for each in stored:
                message = await self._messages.of(each)
                if message is None:
                    continue
                await self._outlet.send_encoded(message.body, self._encoding)
                if message.settled_tiles:
                    self._settled += message.settled_tiles
                    await self._end_if_complete()

    async def end_at(self, samples: int) -> None:
        """Record the number of samples; the end is reported after the last result."""
        (spec,) = self._definition.analyses
        layouts = plan_analysis(spec, self._definition.fs_hz).layouts
        # Every tile that begins before the end has a result.
        self._tiles = sum(-(-samples // layout.tile) for layout in layouts)
        await self._end_if_complete()

    async def _end_if_complete(self) -> None:
        if self._settled == self._tiles:
            await self._outlet.send({"type": "end"}, self._encoding)


def _config(fields: Mapping[str, Any]) -> Config:
    mode = fields.get("mode", "chunk")
    if mode not in ("chunk", "stream"):
        raise Unprocessable.of({"mode": "must be chunk or stream"})
    if mode == "chunk":
        return validated(ChunkConfig, fields)
    config = validated(StreamConfig, fields)
    config.definition(ANALYSIS)  # refused before the current one ends
    return config


async def _in_thread(size: int, work: Callable[[*Arguments], T], *args: *Arguments) -> T:
    """Return the result of `work` on this number of bytes; in a thread if it is large."""
    if size < THREAD_FROM_BYTES:
        return work(*args)
    return await anyio.to_thread.run_sync(work, *args)
