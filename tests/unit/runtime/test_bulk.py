"""Large messages, cut as the socket may cut them: what the driver's own parser makes of them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.protocol.command import hpub_cmd, pub_cmd
from nats.protocol.parser import HMSG_RE, MSG_RE, Parser

from cwt_runtime.bus.nats.bulk import LARGE_BYTES, BulkParser, BulkTransport, publish_parts
from tests.thorough import cases

BLOCK = b"NATS/1.0\r\nCwt-Epoch: e\r\n\r\n"
#: Around the limit, where a mistake of two bytes would show, and far from it.
SIZES = st.sampled_from([0, 1, 100, *range(LARGE_BYTES - 40, LARGE_BYTES + 3), 3 * LARGE_BYTES])
messages = st.lists(st.tuples(SIZES, st.booleans()), min_size=1, max_size=4)


class Heard:
    """What a parser told its client, in order."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    async def _process_msg(self, *told: Any) -> None:
        self.all.append(told)

    async def _process_ping(self) -> None:
        self.all.append("ping")


def wire(given_messages: list[tuple[int, bool]]) -> bytes:
    out = b""
    for number, (size, with_headers) in enumerate(given_messages):
        payload = bytes((number + i) % 251 for i in range(size))
        if with_headers:
            total = len(BLOCK) + size
            out += b"HMSG s 1 r %d %d\r\n%b%b\r\nPING\r\n" % (len(BLOCK), total, BLOCK, payload)
        else:
            out += b"MSG s 1 %d\r\n%b\r\n" % (size, payload)
    return out


async def heard(kind: Callable[[Any], Parser], pieces: list[bytes]) -> list[Any]:
    client = Heard()
    parser = kind(client)
    for piece in pieces:
        await parser.parse(piece)
    return client.all


@settings(deadline=None, max_examples=cases(60))
@given(messages, st.data())
def test_messages_in_any_pieces_are_read_as_the_driver_reads_them_whole(
    given_messages: list[tuple[int, bool]], data: st.DataObject
) -> None:
    stream = wire(given_messages)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    places = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]
    expected = anyio.run(heard, Parser, [stream])
    assert len(expected) >= len(given_messages)
    assert anyio.run(heard, BulkParser, pieces) == expected


def test_the_driver_reads_control_lines_with_the_expressions_that_are_replaced() -> None:
    """Otherwise replacing them would have no effect, or unpack other groups, in a later nats-py."""
    assert {"MSG_RE", "HMSG_RE"} <= set(Parser.parse.__code__.co_names)
    assert (MSG_RE.groups, HMSG_RE.groups) == (5, 6)


def test_reset_parser_discards_partial_message() -> None:
    client = Heard()
    parser = BulkParser(client)
    stream = wire([(3 * LARGE_BYTES, True)])

    async def feed() -> None:
        await parser.parse(stream[:LARGE_BYTES])
        parser.reset()
        await parser.parse(stream)

    anyio.run(feed)
    assert len(client.all) == 2


@pytest.mark.parametrize("headers", [None, {"Content-Type": "a/b", "X": "two\nlines"}])
def test_a_publish_in_parts_is_the_drivers_publish(headers: dict[str, str] | None) -> None:
    payload = b"x" * 10
    parts = b"".join(publish_parts("a.b", "r", headers, payload))
    block = b"NATS/1.0\r\nContent-Type: a/b\r\nX: two lines\r\n\r\n"
    theirs = (
        pub_cmd("a.b", "r", payload) if headers is None else hpub_cmd("a.b", "r", block, payload)
    )
    assert parts == theirs


class Recorder(BulkTransport):
    """Keeps what would go out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.written: list[bytes] = []

    def write(self, payload: bytes) -> None:
        self.written.append(bytes(payload))


def test_small_parts_go_out_together_and_large_ones_alone() -> None:
    transport, big = Recorder(), b"b" * LARGE_BYTES
    transport.writelines([b"1", b"2", big, b"3", big])
    assert transport.written == [b"12", big, b"3", big]


@pytest.mark.slow
def test_importing_the_client_leaves_the_driver_of_other_connections_as_it_is() -> None:
    """The client used to replace the driver's socket, buffer size and expressions for everybody."""
    code = (
        "import nats.aio.client, nats.aio.subscription, nats.aio.transport, nats.protocol.parser\n"
        "import nats.js.client, sys\n"
        "names = [name for name in sys.modules if name.partition('.')[0] == 'nats']\n"
        "def state(): return {\n"
        "    (name, key, member): value\n"
        "    for name in names for key, owner in vars(sys.modules[name]).items()\n"
        "    for member, value in [(None, owner), *getattr(owner, '__dict__', {}).items()]\n"
        "    if isinstance(member, str | None)\n"
        "}\n"
        "before = state()\n"
        "import pycwt_client\n"
        "changed = {key for key, value in state().items() if before.get(key) is not value}\n"
        "print({key for key in changed if key[0].startswith('nats.')})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
