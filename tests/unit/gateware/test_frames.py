"""Frames: what the receiver reads, refuses and passes over; what is kept and sent."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from cwt_gateware.frames import FrameReceiver
from cwt_gateware.replies import UNKEPT, Replies
from cwt_schemas.hwlink import HEADER_BYTES, MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES
from tests.thorough import cases
from tests.unit.gateware.bench import drained, offer, simulate
from tests.unit.gateware.host import frame

#: Both simulate some thousand clocks an example.
few = settings(max_examples=cases(60))
bodies = st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES + MAX_PAYLOAD_BYTES) | st.integers(
    HEADER_BYTES, HEADER_BYTES + MAX_PAYLOAD_BYTES
).map(bytes)


def sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def read(line: list[int]) -> list[bytes | None]:
    """The frames of a line, without their CRC; None for one that cannot be read."""
    receiver = FrameReceiver()
    found: list[bytes | None] = []

    fed = False

    async def feed(ctx: Any) -> None:
        nonlocal fed
        await offer(ctx, receiver.bytes, line)
        fed = True

    async def take(ctx: Any) -> None:
        held = receiver.frame
        while not fed or ctx.get(held.whole):
            await ctx.tick()
            if not ctx.get(held.whole):
                continue
            body = bytearray()
            for address in range(ctx.get(held.length) if ctx.get(held.good) else 0):
                ctx.set(held.address, address)
                await ctx.tick()
                body.append(ctx.get(held.data))
            found.append(bytes(body) if ctx.get(held.good) else None)
            ctx.set(held.release, 1)
            await ctx.tick()
            ctx.set(held.release, 0)

    simulate(receiver, feed, take)
    return found


@pytest.mark.slow
@few
@given(bodies)
def test_any_frame_arrives(body: bytes) -> None:
    line = cobs.encode(sealed(body)) + b"\0"
    assert read([*line]) == [body]


HELLO = [*frame(1, 7, b"CWTM")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ([0, 0, *HELLO], [True]),
        ([*HELLO[:-3], 0, *HELLO], [None, True]),
        ([5, 1, 2, 0, *HELLO], [None, True]),
        ([HELLO[0] ^ 1, *HELLO[1:], *HELLO], [None, True]),
        ([*HELLO[:3], HELLO[3] ^ 0x10, *HELLO[4:], *HELLO], [None, True]),
        ([*HELLO[:3], HELLO[3] | 0x100, *HELLO[4:], *HELLO], [None, True]),
        ([0x100, *HELLO], [None, True]),
        ([*cobs.encode(sealed(b"short")), 0, *HELLO], [None, True]),
        ([*cobs.encode(sealed(bytes(MAX_FRAME_BYTES - 3))), 0, *HELLO], [None, True]),
        ([3] * 700 + [0, *HELLO], [None, True]),
    ],
    ids=[
        "delimiters alone", "truncated", "a group cut short", "a code changed", "a bit changed",
        "a damaged byte", "a line held low", "too short", "a byte too long", "far too long",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_bad_frame_and_the_next_is_good(
    line: list[int], found: list[bool | None]
) -> None:
    assert [body if body is None else True for body in read(line)] == found


@pytest.mark.slow
@few
@given(bodies, st.integers(0, UNKEPT))
def test_a_reply_is_sent_encoded_and_sent_again_the_same(body: bytes, place: int) -> None:
    replies = Replies()
    lines = []

    async def write(ctx: Any) -> None:
        port = replies.port
        ctx.set(port.place, place)
        for strobe in (port.begin, port.again):
            ctx.set(strobe, 1)
            await ctx.tick().until(port.ready)
            ctx.set(strobe, 0)
            if strobe is port.begin:
                await offer(ctx, port.bytes, body)
                ctx.set(port.finish, 1)
                await ctx.tick()
                ctx.set(port.finish, 0)

    async def listen(ctx: Any) -> None:
        lines.extend([await drained(ctx, replies.line, until=0) for _ in range(2)])

    simulate(replies, write, listen)
    assert lines == [bytes(cobs.encode(sealed(body))) + b"\0"] * 2
