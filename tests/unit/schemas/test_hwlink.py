"""The numbers of the serial link agree with each other and with the page that specifies them."""

from __future__ import annotations

import re
import struct
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from cwt_schemas import hwlink, hwlink_layouts
from cwt_schemas.hwlink import Feature, MessageType, NakCode, State
from cwt_schemas.hwlink_layouts import FilterEntry, Header, Layout, Nak, Status

PAGE = (Path(__file__).parents[3] / "docs" / "hardware-link.md").read_text()
LAYOUTS: list[type[Layout]] = [
    getattr(hwlink_layouts, name) for name in hwlink_layouts.__all__ if name != "Layout"
]
BYTES_OF = {"u8": 1, "u16": 2, "i16": 2, "u32": 4}
ROW_OF = {
    "HELLO": ("HelloRequest", "HelloReply"),
    "STATUS": (None, "Status"),
    "SET_BAUD": ("SetBaud", None),
    "LOAD_COEFFS": ("LoadCoeffs", None),
    "LOAD_FILTERS": ("LoadFilters", None),
    "FIR_START": ("FirStart", None),
    "FIR_IO": ("FirIo", "FirReply"),
    "SELFTEST": ("Selftest", None),
    "MC_START": ("McStart", None),
    "MC_HISTOGRAM": ("Histogram", "Histogram"),
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table that follows `heading`."""
    table = re.search(r"\n\|.*?\n\n", PAGE[PAGE.index(heading) :] + "\n\n", re.DOTALL)
    assert table
    lines = table.group().strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def fixed_fields(cell: str) -> list[tuple[str, int]]:
    """Names and bytes of a payload as the page gives them, up to what is repeated."""
    fields = re.findall(r"(\w+) (?:`CWTM`|(\d+) B|(u8|u16|u32|i16))", cell.partition("then")[0])
    return [(name, int(size or BYTES_OF.get(kind, 4))) for name, size, kind in fields]


def layout_fields(name: str) -> list[tuple[str, int]]:
    layout: type[Layout] = getattr(hwlink_layouts, name)
    codes = re.findall(r"\d*[sBHhI]", layout.FORMAT.format)
    sizes = [struct.calcsize("<" + code) for code in codes]
    return list(zip((field.name for field in fields(layout)), sizes, strict=True))


@pytest.mark.parametrize("name", ROW_OF)
def test_the_page_gives_the_fields_of_every_payload(name: str) -> None:
    _, _, request, reply = next(row for row in rows("## Messages") if row[1] == name)
    for cell, layout in zip((request, reply), ROW_OF[name], strict=True):
        assert fixed_fields(cell) == (layout_fields(layout) if layout else [])


def test_the_page_numbers_types_refusals_states_and_features_as_the_code_does() -> None:
    types = {row[1]: int(row[0], 16) for row in rows("## Messages") if row[1].isupper()}
    assert types == MessageType.__members__
    assert {row[1]: int(row[0]) for row in rows("## Refusals")} == NakCode.__members__
    assert {row[1]: int(row[0]) for row in rows("`state` in STATUS")} == State.__members__
    bits = {row[1]: 1 << int(row[0]) for row in rows("`features` is a set of bits")}
    assert bits == Feature.__members__


def test_what_the_page_says_of_counts_per_frame_is_what_fits() -> None:
    said = [int(number) for number in re.findall(r"then (?:0|1) to (\d+) ", PAGE)]
    assert said == [
        hwlink.COEFFS_PER_FRAME,
        hwlink.FILTERS_PER_FRAME,
        hwlink.SAMPLES_PER_FRAME,
        hwlink.OUTPUTS_PER_FRAME,
    ]
    assert f"count 1 to {hwlink.COUNTS_PER_FRAME}," in PAGE


def test_the_example_on_the_wire_is_the_frame_of_the_example() -> None:
    said = re.search(r"```text\n(01 01 .*)\n```\n\nOn the wire this is `(.*) 00`", PAGE)
    assert said
    assert cobs.encode(bytes.fromhex(said[1])) == bytes.fromhex(said[2])


def test_every_full_frame_costs_one_byte_of_stuffing() -> None:
    for filler in (0, 255):
        assert len(cobs.encode(bytes([filler]) * hwlink.MAX_FRAME_BYTES)) + 1 == (
            hwlink.MAX_ENCODED_BYTES
        )


def test_a_full_window_of_full_frames_fits_the_credit() -> None:
    assert hwlink.WINDOW * hwlink.MAX_ENCODED_BYTES <= hwlink.RECEIVE_CREDIT


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_payload_is_of_even_length_and_fits(layout: type[Layout]) -> None:
    assert layout.FORMAT.size % 2 == 0
    assert layout.FORMAT.size <= hwlink.MAX_PAYLOAD_BYTES


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data())
def test_pack_and_unpack_round_trip(layout: type[Layout], data: st.DataObject) -> None:
    size = layout.FORMAT.size
    raw = data.draw(st.binary(min_size=size, max_size=size + 4))
    assert layout.unpack(raw).pack() == raw[:size]


def test_fields_are_little_endian_and_in_order() -> None:
    header: Any = Header(type=MessageType.HELLO, seq=0x1234, job=0x5678)
    assert header.pack().hex() == "010134127856"
    assert FilterEntry(start=1, length=2, shift=3, step=1).pack().hex() == "0100020003010000"
    assert Nak.unpack(bytes.fromhex("03131200")) == Nak(code=3, type=0x13, expected=0x12)


def test_a_value_that_does_not_fit_and_bytes_too_few_are_refused() -> None:
    with pytest.raises(struct.error):
        Header(type=1, seq=65536).pack()
    with pytest.raises(struct.error):
        Status.unpack(bytes(31))
