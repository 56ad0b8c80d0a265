"""Shared code of the WebSockets: frames in two encodings, errors, and closing.

A conversation is a coroutine that returns or raises. `Closing` gives the code that the connection
ends with; a client that disconnects cancels the conversation.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import anyio
import anyio.to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from cwt_gateway.authentication import grant_of
from cwt_gateway.keys import Grant
from cwt_gateway.media import THREAD_FROM_BYTES
from cwt_gateway.problems import error_of
from cwt_runtime.bus.errors import BusError, ForbiddenError
from cwt_runtime.telemetry.logs import Action
from cwt_schemas import http
from cwt_schemas.codec import ContentType, encode_tree, parsed
from cwt_schemas.errors import ContractError

__all__ = [
    "POLICY_VIOLATION",
    "SERVICE_RESTART",
    "TRY_AGAIN_LATER",
    "Closing",
    "Frame",
    "Outlet",
    "error_message",
    "frames",
    "hold_conversation",
]

#: Close codes of RFC 6455 and its registry.
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
#: Maximum size of a close reason, bytes.
MAX_REASON_BYTES: Final = 123
#: A client that reads nothing for this time has stopped reading, seconds.
SEND_TIMEOUT_S: Final = 10.0
#: Longer frames are not pings.
MAX_PING_BYTES: Final = 1024


class Closing(Exception):  # noqa: N818 - what the gateway does, not what went wrong
    """Ends a connection from this side."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame from a client: text frames are JSON, binary ones msgpack."""

    data: bytes
    encoding: ContentType

    @property
    def is_ping(self) -> bool:
        """Whether it is ``{"type": "ping"}``."""
        if len(self.data) > MAX_PING_BYTES:
            return False
        try:
            return parsed(self.data, self.encoding) == {"type": "ping"}
        except ContractError:
            return False


class Outlet:
    """Send messages to a client that may have stopped reading.

    A message that is not sent within `SEND_TIMEOUT_S` ends the connection, so unsent data is
    limited by the buffers of the connection.

    Attributes
    ----------
    cursor : int or None
        Position from which a disconnected client can continue.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._timeout_s: float = websocket.app.state.send_timeout_s
        self.cursor: int | None = None

    async def send(self, tree: Mapping[str, Any], encoding: ContentType, size: int = 0) -> None:
        """Encode and send a message; one of large `size`, in bytes, is encoded in a thread.

        Raises
        ------
        Closing
            The client does not read.
        """
        write = http.to_json if encoding is ContentType.JSON else encode_tree
        if size < THREAD_FROM_BYTES:
            body = write(tree)
        else:
            body = await anyio.to_thread.run_sync(write, tree)
        await self.send_encoded(body, encoding)

    async def send_encoded(self, body: bytes, encoding: ContentType) -> None:
        """Send an encoded message; errors are those of `send`."""
        with anyio.move_on_after(self._timeout_s):
            if encoding is ContentType.JSON:
                await self._websocket.send_text(body.decode())
            else:
                await self._websocket.send_bytes(body)
            return
        reason = "the client does not read" if self.cursor is None else f"from={self.cursor}"
        raise Closing(TRY_AGAIN_LATER, reason)


async def frames(websocket: WebSocket) -> AsyncIterator[Frame]:
    """Yield the frames of the client until it disconnects."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            yield Frame(data=message["bytes"], encoding=ContentType.MSGPACK)
        else:
            yield Frame(data=text.encode(), encoding=ContentType.JSON)


def error_message(error: ContractError | BusError, **more: object) -> dict[str, object]:
    """Return the message for an error."""
    if isinstance(error, BusError):
        error = error_of(error)
    fields = (error.detail or {}).get("fields")
    return {
        "type": "error",
        "code": error.code.value,
        "message": error.message,
        **({"fields": fields} if fields else {}),
        **more,
    }


async def hold_conversation(
    websocket: WebSocket, conversation: Callable[[], Awaitable[None]]
) -> None:
    """Accept a connection, and close it when `conversation` ends, for any reason."""
    await websocket.accept()
    closing: Closing | None = Closing(1000, "")
    try:
        async with anyio.create_task_group() as tasks:
            grant = grant_of(websocket)
            if grant is not None:
                tasks.start_soon(_close_at_end_of, grant)
            await conversation()
            tasks.cancel_scope.cancel()
    except* Closing as ended:
        closing = _first(ended)
    except* (WebSocketDisconnect, WebSocketDisconnected):
        closing = None
    except* ForbiddenError as refused:
        closing = Closing(POLICY_VIOLATION, str(_first(refused)))
    except* BusError as failed:
        closing = Closing(TRY_AGAIN_LATER, f"cannot reach the bus: {_first(failed)}")
    except* Exception as failed:  # noqa: BLE001 - the last record of a connection
        fault = secrets.token_hex(8)
        websocket.app.state.log.error(
            Action.REQUEST_FAILED, id=fault, path=websocket.url.path, exc=_first(failed)
        )
        closing = Closing(
            INTERNAL_ERROR,
            f"internal error of the gateway; its log has the cause under the id {fault}",
        )
    if closing is not None:
        with suppress(WebSocketDisconnect, WebSocketDisconnected, RuntimeError):
            await websocket.close(closing.code, closing.reason)


async def _close_at_end_of(grant: Grant) -> None:
    """End the conversation with the key."""
    raise Closing(POLICY_VIOLATION, await grant.ended())


def _first(group: BaseExceptionGroup[Any]) -> Any:  # noqa: ANN401 - what the caller caught
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
