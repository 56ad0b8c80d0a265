"""Frames survive any cutting, and nothing else passes for one."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cwt_hwbridge.protocol import Deframer, Frame, encode_frame
from cwt_schemas.hwlink import MAX_ENCODED_BYTES
from tests.hwpeer import wire

frames = st.builds(
    Frame,
    version=st.just(1),
    type=st.integers(0, 255),
    seq=st.integers(0, 0xFFFF),
    job=st.integers(0, 0xFFFF),
    payload=st.binary(max_size=240),
)


def encoded(frame: Frame) -> bytes:
    return encode_frame(frame.type, frame.seq, frame.job, frame.payload)


def test_the_frame_on_the_page_is_the_frame_on_the_wire() -> None:
    data = encode_frame(0x01, 7, 0, b"CWTM")
    assert data.hex(" ") == "04 01 01 07 01 01 09 43 57 54 4d 89 74 1e 27 00"


@given(frame=frames)
def test_the_device_reads_what_the_host_writes(frame: Frame) -> None:
    body = wire.unseal(encoded(frame)[:-1])
    assert body is not None
    assert body[6:] == frame.payload
    assert wire.seal(body) == encoded(frame)


@given(sent=st.lists(frames, max_size=5), cuts=st.lists(st.integers(0, 1500), max_size=8))
def test_however_the_bytes_are_cut_the_frames_are_the_same(
    sent: list[Frame], cuts: list[int]
) -> None:
    data = b"".join(encoded(frame) for frame in sent)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[low:high] for low, high in pairwise(edges)]
    for way in ([data], pieces, [data[at : at + 1] for at in range(len(data))]):
        deframer = Deframer()
        assert [frame for piece in way for frame in deframer.feed(piece)] == sent
        assert deframer.bad == 0


@given(noise=st.binary(max_size=600), frame=frames)
def test_after_any_noise_and_a_delimiter_the_next_frame_is_read(noise: bytes, frame: Frame) -> None:
    deframer = Deframer()
    found = list(deframer.feed(noise + b"\x00" + encoded(frame)))
    assert found[-1] == frame


@given(frame=frames, at=st.integers(0, 400), flip=st.integers(1, 255))
def test_changed_byte_invalidates_frame(frame: Frame, at: int, flip: int) -> None:
    data = bytearray(encoded(frame))
    data[at % (len(data) - 1)] ^= flip
    assert frame not in Deframer().feed(bytes(data))


def test_a_flood_without_delimiters_takes_no_memory() -> None:
    deframer = Deframer()
    tracemalloc.start()
    try:
        for _ in range(1000):
            assert list(deframer.feed(b"\x55" * 999)) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * MAX_ENCODED_BYTES  # of the million bytes that came
    assert list(deframer.feed(b"\x00" + encode_frame(2, 1, 0, b""))) == [Frame(1, 2, 1, 0, b"")]
    assert deframer.bad == 1
