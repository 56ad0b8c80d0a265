"""The driver's ways in and out of the socket, with one copy of a large message in place of seven.

nats-py 2.16 joins a message's parts, joins that with what else waits, and hands the rest of what
the socket does not take at once to a buffer; on the way in it collects a message in one growing
buffer and cuts it out twice. A copy of 8 MB into fresh memory takes one to two milliseconds, so a
reply of that size cost more in copies than on the wire: `docs/decisions/0024-large-messages.md`.
Its words on the wire are told apart by what the protocol says, blanks and tabs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any
from urllib.parse import ParseResult

import nats.protocol.parser
from nats.aio.transport import TcpTransport
from nats.protocol.parser import AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD, CRLF_SIZE, Parser

#: What separates the words of a control line. The driver takes any white space for it, so that a
#: subject with a vertical tab in it, which the server allows, cost the connection.
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

#: From here on copies cost more than the calls that avoid them.
LARGE_BYTES = 64 * 1024
#: Bytes per read, in place of the driver's 32 KiB: a message of 8 MiB takes 20 ms less.
READ_BYTES = 1024 * 1024


def publish_parts(
    subject: str, reply: str, headers: dict[str, str] | None, payload: bytes
) -> tuple[bytes, bytes, bytes]:
    """Return what PUB or HPUB sends, in parts, the payload as it is (ADR-4 for the headers)."""
    if headers is None:
        return f"PUB {subject} {reply} {len(payload)}\r\n".encode(), payload, b"\r\n"
    lines = [f"{name}: {_one_line(value)}\r\n" for name, value in headers.items()]
    block = f"NATS/1.0\r\n{''.join(lines)}\r\n".encode()
    head = f"HPUB {subject} {reply} {len(block)} {len(block) + len(payload)}\r\n".encode()
    return head + block, payload, b"\r\n"


def _one_line(value: str) -> str:
    return " ".join(value.split())


class BulkTransport(TcpTransport):
    """Hands large parts to the socket one by one: what it takes at once is not copied at all."""

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect, with a larger buffer than the driver's."""
        del buffer_size
        await super().connect(uri, READ_BYTES, connect_timeout)

    async def read(self, buffer_size: int) -> bytes:
        """Return what has come, more of it than the driver asks for."""
        del buffer_size
        return bytes(await super().read(READ_BYTES))

    def writelines(self, payload: Iterable[bytes]) -> None:
        """Send all parts, small neighbours joined."""
        for part in _joined(payload):
            # A view: what the socket leaves is cut off without a copy, then buffered.
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
    """Collects a large payload in the pieces it came in, and joins them once."""

    def reset(self) -> None:
        """Forget what was read of a message."""
        super().reset()
        self._pieces: list[bytes] = []
        self._missing = 0

    async def parse(self, data: bytes = b"") -> None:
        """Take what the socket gave."""
        while True:
            if not self._missing:
                await _parse(self, data)
                if self.state != AWAITING_MSG_PAYLOAD or self.needed < LARGE_BYTES:
                    return
                # The driver's parser waits for the rest of a large payload; here it is awaited.
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
        told: dict[str, Any] = dict(self.msg_arg)
        self._pieces, self._missing = [], 0
        self.header_needed = 0
        self.state = AWAITING_CONTROL_LINE
        await self.nc._process_msg(told["sid"], told["subject"], told["reply"], payload, headers)


def _split(pieces: list[bytes], header: int, end: int) -> tuple[bytes | None, bytes]:
    """Return the first `header` bytes, None if there are none, and those from there to `end`."""
    views = [memoryview(piece) for piece in pieces]
    head = bytearray()
    while len(head) < header:
        wanted = header - len(head)
        head += views[0][:wanted]
        views[0] = views[0][wanted:]
        if not views[0]:
            views.pop(0)
    surplus = header + sum(map(len, views)) - end
    while surplus >= len(views[-1]):
        surplus -= len(views.pop())
    if surplus:
        views[-1] = views[-1][:-surplus]
    return bytes(head) or None, b"".join(views)
