"""What the structure of a body costs is counted before it is built."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping

import hypothesis.strategies as st
import msgpack  # type: ignore[import-untyped]
import numpy as np
import orjson
import pytest
from hypothesis import given

from cwt_schemas.chunk_codec import decode_chunk
from cwt_schemas.codec import ContentType, decode, decode_tree
from cwt_schemas.endpoints import STREAM_ENDPOINTS
from cwt_schemas.errors import ContractError, PayloadTooLarge, Unprocessable
from cwt_schemas.headers import CONTENT_TYPE
from cwt_schemas.limits import (
    MAX_ANALYSES,
    MAX_BODY_LISTS,
    MAX_BODY_MAPS,
    MAX_BODY_TEXTS,
    MAX_CHANNEL_SETS,
    MAX_DEPTH,
    MAX_JSON_BYTES,
    MAX_MAP_KEYS,
    MAX_PACKED_ITEMS,
    MAX_PAYLOAD_BYTES,
    MAX_QUERY_SAMPLES,
)
from cwt_schemas.message import Message
from cwt_schemas.query import WctRequest
from cwt_schemas.stream import StreamDefinition
from cwt_schemas.structure import Structure, structure_of_json, structure_of_msgpack

MIB = 1024 * 1024
JSON, MSGPACK = ContentType.JSON, ContentType.MSGPACK
GET: type[Message] = STREAM_ENDPOINTS["cwt.stream.get"].request


def packed_list(element: bytes, count: int) -> bytes:
    return b"\x81\xa4name\xdd" + count.to_bytes(4, "big") + element * count


#: Each of them was built, and up to a million faults were collected: 16 s and 2.6 GiB at the worst.
BOMBS: Mapping[str, tuple[bytes, ContentType]] = {
    "500,000 unknown keys": (
        b"{" + b",".join(b'"k%d":1' % i for i in range(500_000)) + b"}",
        JSON,
    ),
    "200,000 unknown keys": (
        b"{" + b",".join(b'"k%d":1' % i for i in range(200_000)) + b"}",
        JSON,
    ),
    "empty lists": (b'{"name":[' + b"[]," * (MIB - 10) + b"1]}", JSON),
    "empty objects": (b'{"name":[' + b"{}," * (MIB - 10) + b"1]}", JSON),
    "empty texts": (b'{"name":[' + b'"",' * (MIB - 10) + b'""]}', JSON),
    "open lists": (b'{"name":' + b"[" * 2 * MIB, JSON),
    "packed empty lists": (packed_list(b"\x90", MAX_PACKED_ITEMS), MSGPACK),
    "packed empty lists in lists": (
        b"\x81\xa4name\x98" + (b"\xdd" + (MIB - 9).to_bytes(4, "big") + b"\x90" * (MIB - 9)) * 7,
        MSGPACK,
    ),
    "packed empty maps": (packed_list(b"\x80", MAX_PACKED_ITEMS), MSGPACK),
    "packed texts": (packed_list(b"\xa1x", MAX_PACKED_ITEMS), MSGPACK),
    "heads that announce a million elements each": (
        b"\x81\xa4name" + b"\xdd\0\x0f\xff\xff" * MIB,
        MSGPACK,
    ),
    "packed lists in each other": (b"\x81\xa4name" + b"\x91" * MIB, MSGPACK),
}


@pytest.mark.parametrize(("body", "kind"), BOMBS.values(), ids=BOMBS)
def test_decompression_bomb_is_refused_before_decompression(body: bytes, kind: ContentType) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge):
            decode(GET, body, kind)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MIB


@pytest.mark.parametrize(("body", "kind"), BOMBS.values(), ids=BOMBS)
def test_decompression_bomb_is_refused_by_every_reader(body: bytes, kind: ContentType) -> None:
    with pytest.raises(PayloadTooLarge):
        decode_chunk({CONTENT_TYPE: kind.value}, body, 1)
    with pytest.raises(PayloadTooLarge):
        decode_tree(body, kind)


def test_of_a_list_of_wrong_elements_the_first_one_is_named() -> None:
    body = b'{"name":"s","fs_hz":1.0,"channels":[' + b"0," * 999_999 + b"0]}"
    with pytest.raises(Unprocessable) as refusal:
        decode(StreamDefinition, body)
    assert refusal.value.fields == ("channels.0",)


def test_unknown_fields_are_counted_before_they_are_named() -> None:
    body = orjson.dumps({"name": "s", **{f"k{i}": 1 for i in range(4000)}})
    with pytest.raises(Unprocessable, match="4001 fields"):
        decode(GET, body)


def test_the_keys_of_an_inner_object_are_counted() -> None:
    inner = {f"k{i}": 1 for i in range(MAX_MAP_KEYS + 1)}
    for data, kind in (
        (orjson.dumps({"name": inner}), JSON),
        (msgpack.packb({"n": inner}), MSGPACK),
    ):
        with pytest.raises(PayloadTooLarge, match="keys"):
            decode(GET, data, kind)


@pytest.mark.parametrize("kind", [JSON, MSGPACK])
@pytest.mark.parametrize("depth", [MAX_DEPTH, 900])
def test_levels_of_nesting_are_counted(kind: ContentType, depth: int) -> None:
    text = b"x" * 5000
    if kind is JSON:
        body = b'{"name":' + b"[" * depth + b'"' + text + b'"' + b"]" * depth + b"}"
    else:
        body = b"\x81\xa4name" + b"\x91" * depth + msgpack.packb(text.decode())
    with pytest.raises(PayloadTooLarge, match="levels"):
        decode_tree(body, kind)


def test_a_small_body_of_many_levels_is_refused() -> None:
    body = b"\x81\xa4name" + b"\x91" * 1000 + b"\xc0"
    with pytest.raises(PayloadTooLarge, match="levels"):
        decode_tree(body)


def test_json_has_a_lower_limit_of_size() -> None:
    body = b'{"name":"' + b"x" * MAX_JSON_BYTES + b'"}'
    with pytest.raises(PayloadTooLarge) as refusal:
        decode(GET, body)
    assert refusal.value.detail == {"size": len(body), "limit": MAX_JSON_BYTES}


def test_the_reply_of_a_service_may_be_as_large_in_json_as_in_msgpack() -> None:
    body = b'{"name":"' + b"x" * MAX_JSON_BYTES + b'"}'
    with pytest.raises(Unprocessable):
        decode(GET, body, trusted=True)


def test_the_longest_lists_of_numbers_are_read() -> None:
    numbers = [0.5] * MAX_QUERY_SAMPLES
    body = msgpack.packb({"signal1": numbers, "signal2": numbers, "dt": 1.0}, use_single_float=True)
    assert len(body) < MAX_PAYLOAD_BYTES
    assert decode(WctRequest, body, MSGPACK).signal1.shape == (MAX_QUERY_SAMPLES,)
    text = b'{"epoch":"e","schema":"signal.chunk/1","samples":[' + b"1.25000," * 500_000 + b"1]}"
    assert decode_chunk({}, text, 1).n_samples == 500_001
    rows = {"epoch": "e", "schema": "signal.chunk/1", "samples": [[1.5, None]] * 130_000}
    samples = decode_chunk({}, orjson.dumps(rows), 2).samples
    assert samples.shape == (130_000, 2)
    np.testing.assert_array_equal(np.isnan(samples).sum(axis=0), [0, 130_000])


def test_the_largest_definition_is_within_the_limits() -> None:
    channels = [{"name": f"channel{i}", "unit": "uV"} for i in range(1024)]
    pairs = [[f"channel{i}", f"channel{i - 1}"] for i in range(1024)]
    analyses = [{"name": f"a{i}", "pairs": pairs, "hop_s": 1.0} for i in range(MAX_ANALYSES)]
    assert len(pairs) == MAX_CHANNEL_SETS
    tree = {"name": "s", "fs_hz": 1.0, "channels": channels, "analyses": analyses}
    structure_of_json(body := orjson.dumps(tree)).check(len(body))
    structure_of_msgpack(body := msgpack.packb(tree)).check(len(body))


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(width=32)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=50,
)


def counted(tree: object) -> Structure:
    """Return what a tree consists of."""
    match tree:
        case dict():
            own = Structure(maps=1, lists=0, texts=len(tree), items=len(tree))
            inner = list(tree.values())
        case list():
            own, inner = Structure(maps=0, lists=1, texts=0, items=len(tree)), tree
        case str() | bytes():
            return Structure(maps=0, lists=0, texts=1)
        case _:
            return Structure(maps=0, lists=0, texts=0)
    parts = [own, *map(counted, inner)]
    return Structure(
        maps=sum(each.maps for each in parts),
        lists=sum(each.lists for each in parts),
        texts=sum(each.texts for each in parts),
        items=sum(each.items for each in parts),
    )


@given(tree=TREES, single=st.booleans())
def test_msgpack_is_counted_exactly(tree: object, single: bool) -> None:
    body = msgpack.packb(tree, use_single_float=single)
    assert structure_of_msgpack(body) == counted(tree)


@given(TREES)
def test_json_is_counted_at_least(tree: object) -> None:
    try:
        body = orjson.dumps(tree)
    except TypeError:
        return  # bytes, or an integer of more than 64 bits
    found, least = structure_of_json(body), counted(tree)
    assert found.maps >= least.maps
    assert found.lists >= least.lists
    assert found.texts >= least.texts


@given(st.binary(max_size=300))
def test_any_bytes_are_counted_or_refused(data: bytes) -> None:
    try:
        found = structure_of_msgpack(data)
    except ContractError:
        return
    assert found.maps + found.lists + found.texts <= len(data)


def test_long_runs_of_numbers_are_counted_in_pieces() -> None:
    numbers = [-(2**40)] * 200_000
    found = structure_of_msgpack(msgpack.packb([numbers, "end"]))
    assert found == Structure(maps=0, lists=2, texts=1, items=200_002)


@pytest.mark.parametrize(
    ("what", "element", "limit"),
    [
        ("lists", b"\x90", MAX_BODY_LISTS),
        ("lists", b"\x91\xcc\0", MAX_BODY_LISTS),
        ("maps", b"\x80", MAX_BODY_MAPS),
        ("texts", b"\xa1x", MAX_BODY_TEXTS),
    ],
)
def test_the_scan_ends_at_the_first_element_above_a_limit(
    what: str, element: bytes, limit: int
) -> None:
    found = structure_of_msgpack(packed_list(element, MAX_PACKED_ITEMS))
    # The outer list and the key are counted too.
    assert getattr(found, what) == limit + 1
    assert found.maps + found.lists + found.texts <= limit + 4


def test_the_limits_of_containers_are_sharp() -> None:
    for what, limit in (
        ("lists", MAX_BODY_LISTS),
        ("maps", MAX_BODY_MAPS),
        ("texts", MAX_BODY_TEXTS),
    ):
        most = {"maps": 0, "lists": 0, "texts": 0, what: limit}
        Structure(**most).check(0)
        with pytest.raises(PayloadTooLarge, match=what):
            Structure(**{**most, what: limit + 1}).check(0)
