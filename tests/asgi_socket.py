"""A WebSocket client of an application in the same process, without a network.

What the application sends waits in a buffer of `buffered` messages: a client that does not read
makes the application wait, as over a network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import anyio
import orjson
from fastapi import FastAPI
from starlette.types import Message

from cwt_schemas.codec import decode_tree, encode_tree
from tests.deadlines import fail_after

__all__ = ["AsgiSocket", "open_socket"]

PATIENCE_S = 20.0


class AsgiSocket:
    """The client's end of a connection."""

    def __init__(self, buffered: float) -> None:
        self._to_app = anyio.create_memory_object_stream[Message](float("inf"))
        self._from_app = anyio.create_memory_object_stream[Message](buffered)
        self._to_app[0].send_nowait({"type": "websocket.connect"})
        #: Set when the application has sent its close frame.
        self.closing = anyio.Event()
        self.code: int | None = None
        self.reason = ""

    async def send(self, message: Mapping[str, Any] | str | bytes, *, packed: bool = False) -> None:
        """Send a message as JSON or, `packed`, in msgpack; text and bytes as they are."""
        if isinstance(message, Mapping):
            message = encode_tree(message) if packed else orjson.dumps(message).decode()
        key = "text" if isinstance(message, str) else "bytes"
        await self._to_app[0].send({"type": "websocket.receive", key: message})

    async def receive(self) -> dict[str, Any]:
        """Return the next message."""
        with fail_after(PATIENCE_S):
            event = await self._from_app[1].receive()
        assert event["type"] == "websocket.send", event
        text = event.get("text")
        return decode_tree(event["bytes"]) if text is None else orjson.loads(text)

    async def receive_of(self, kind: str) -> dict[str, Any]:
        """Return the next message of a type; others are passed over."""
        while (message := await self.receive())["type"] != kind:
            assert message["type"] != "error", message
        return message

    async def closed(self) -> tuple[int | None, str]:
        """Read to the end; return the code and the reason of the close frame."""
        with fail_after(PATIENCE_S):
            async for _ in self._from_app[1]:
                pass
        return self.code, self.reason

    def close(self) -> None:
        """Close both ends, however the test and the application have ended."""
        for stream in (*self._to_app, *self._from_app):
            stream.close()

    async def leave(self) -> None:
        """Go away, and wait until the application is done."""
        async with self._from_app[1]:
            with suppress(anyio.BrokenResourceError):  # it is done already
                await self._to_app[0].send({"type": "websocket.disconnect", "code": 1006})
            self._to_app[0].close()
            await self.closed()

    async def serve(self, app: FastAPI, scope: dict[str, Any]) -> None:
        """Run the application on this connection."""
        async with self._from_app[0], self._to_app[1]:
            await app(scope, self._to_app[1].receive, self._take)

    async def _take(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            self.code, self.reason = message["code"], message["reason"]
            self.closing.set()
        elif message["type"] == "websocket.send":
            await self._from_app[0].send(message)


@asynccontextmanager
async def open_socket(
    app: FastAPI,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    buffered: float = 1000,
) -> AsyncIterator[AsgiSocket]:
    """Open a connection; leaving the context breaks it and waits until the application is done."""
    given = {"host": "localhost:8000", **(headers or {})}
    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "ws",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "subprotocols": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    }
    # An object left open by a failed test would be collected, and warn, during another test.
    with closing(AsgiSocket(buffered)) as socket:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(socket.serve, app, scope)
            yield socket
            await socket.leave()
