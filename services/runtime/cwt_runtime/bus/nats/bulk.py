"""The driver's socket input and output, with one copy of a large message instead of seven.

On output, nats-py 2.16 joins the parts of a message, joins the result with other pending output,
and buffers the bytes that the socket does not accept immediately. On input, it collects a message
in a growing buffer and slices it twice. A copy of 8 MB into fresh memory takes one to two
milliseconds, so a reply of that size spent more time in copies than on the wire
(`docs/decisions/0024-large-messages.md`).

Words of a control line are separated by blanks and tabs, as the protocol specifies.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import FunctionType
from typing import Any
from urllib.parse import ParseResult

import nats.protocol.parser
from nats.aio.transport import TcpTransport
from nats.protocol.parser import AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD, CRLF_SIZE, Parser

#: A word of a control line, and the separator. The driver accepts any white space as a separator,
#: so a subject that contains a vertical tab, which the server allows, broke the connection.
_WORD, _GAP = rb"([^ \t\r\n]+)", rb"[ \t]+"
_ADDRESS = rb"%s%s%s%s(%s%s)?" % (_WORD, _GAP, _WORD, _GAP, _WORD, _GAP)
_MSG_RE = re.compile(rb"\AMSG%s%s(\d+)\r\n" % (_GAP, _ADDRESS))
_HMSG_RE = re.compile(rb"\AHMSG%s%s(\d+)%s(\d+)\r\n" % (_GAP, _ADDRESS, _GAP))
#: The driver's parser with these expressions in place of its own. This relies on nats-py: its
#: `Parser.parse` matches control lines with the globals `MSG_RE` and `HMSG_RE` of its module, and
#: unpacks five and six groups from them. Here the function's code runs with a copy of these
#: globals, so that other connections of the process keep the driver's expressions. If a later
#: nats-py used other names, the replacement would have no effect and raise no error: a test checks
#: the names.
_parse = FunctionType(
    Parser.parse.__code__,
    {**vars(nats.protocol.parser), "MSG_RE": _MSG_RE, "HMSG_RE": _HMSG_RE},
    argdefs=Parser.parse.__defaults__,
)

__all__ = ["LARGE_BYTES", "BulkParser", "BulkTransport", "publish_parts"]

#: Above this size copies cost more than the calls that avoid them.
LARGE_BYTES = 64 * 1024
#: Bytes per read, instead of the driver's 32 KiB; saves 20 ms for a message of 8 MiB.
READ_BYTES = 1024 * 1024


def publish_parts(
    subject: str, reply: str, headers: dict[str, str] | None, payload: bytes
) -> tuple[bytes, bytes, bytes]:
    """Return the parts of a PUB or HPUB command, without copying the payload (headers: ADR-4)."""
    if headers is None:
        return f"PUB {subject} {reply} {len(payload)}\r\n".encode(), payload, b"\r\n"
    lines = [f"{name}: {_one_line(value)}\r\n" for name, value in headers.items()]
    block = f"NATS/1.0\r\n{''.join(lines)}\r\n".encode()
    head = f"HPUB {subject} {reply} {len(block)} {len(block) + len(payload)}\r\n".encode()
    return head + block, payload, b"\r\n"


def _one_line(value: str) -> str:
    return " ".join(value.split())


class BulkTransport(TcpTransport):
    """Write large parts to the socket separately, so that accepted bytes are not copied."""

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect with a larger buffer than the driver's."""
        del buffer_size
        self.abort()  # the driver does not close a connection whose handshake failed
        await super().connect(uri, READ_BYTES, connect_timeout)

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: int,
    ) -> None:
        """Upgrade the connection to TLS.

        The driver does not tell the new reader about its connection: it buffers without a limit,
        and asyncio logs a warning when the server closes the connection.
        """
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        if self._io_writer is not None:  # it has been replaced
            transport = self._io_writer.transport
            transport.get_protocol().connection_made(transport)

    def abort(self) -> None:
        """Close the connection, if there is one, without sending what is left."""
        if self._io_writer is not None:
            # Before Python 3.11.4, `abort` of a TLS transport fails if it is closed already.
            with suppress(AttributeError):
                self._io_writer.transport.abort()

    async def read(self, buffer_size: int) -> bytes:
        """Return received bytes, up to a larger number than the driver requests."""
        del buffer_size
        return bytes(await super().read(READ_BYTES))

    def writelines(self, payload: Iterable[bytes]) -> None:
        """Send all parts, with adjacent small parts joined."""
        for part in _joined(payload):
            # A view, so that the bytes that the socket does not accept are sliced without a copy.
            self.write(memoryview(part))  # type: ignore[no-untyped-call]


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    small: list[bytes] = []
    for part in parts:
        if len(part) < LARGE_BYTES:
            small.append(part)
            continue
        if small:
            yield b"".join(small)
            small = []
        yield part
    if small:
        yield b"".join(small)


class BulkParser(Parser):
    """Collect a large payload in the received pieces, and join them once."""

    def reset(self) -> None:
        """Discard a partially read message."""
        super().reset()
        self._pieces: list[bytes] = []
        self._missing = 0

    async def parse(self, data: bytes = b"") -> None:
        """Parse received bytes."""
        while True:
            if not self._missing:
                await _parse(self, data)
                if self.state != AWAITING_MSG_PAYLOAD or self.needed < LARGE_BYTES:
                    return
                # The driver's parser now expects the rest of a large payload; collect it here.
                data = bytes(self.buf)
                self.buf.clear()
                self._missing = self.needed + CRLF_SIZE
            if len(data) < self._missing:
                self._pieces.append(data)
                self._missing -= len(data)
                return
            self._pieces.append(data[: self._missing])
            data = data[self._missing :]
            await self._finish()

    async def _finish(self) -> None:
        headers, payload = _split(self._pieces, self.header_needed, self.needed)
        arguments: dict[str, Any] = dict(self.msg_arg)
        self._pieces, self._missing = [], 0
        self.header_needed = 0
        self.state = AWAITING_CONTROL_LINE
        sid, subject, reply = arguments["sid"], arguments["subject"], arguments["reply"]
        await self.nc._process_msg(sid, subject, reply, payload, headers)


def _split(pieces: list[bytes], header: int, end: int) -> tuple[bytes | None, bytes]:
    """Return the first `header` bytes (None if 0), and the bytes from there to `end`."""
    views = [memoryview(piece) for piece in pieces]
    head = bytearray()
    while len(head) < header:
        missing = header - len(head)
        head += views[0][:missing]
        views[0] = views[0][missing:]
        if not views[0]:
            views.pop(0)
    surplus = header + sum(map(len, views)) - end
    while surplus >= len(views[-1]):
        surplus -= len(views.pop())
    if surplus:
        views[-1] = views[-1][:-surplus]
    return bytes(head) or None, b"".join(views)
