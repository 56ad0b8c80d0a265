"""Which encoding a request asks for, and the reply in it."""

from __future__ import annotations

import gzip
import io

import msgpack  # type: ignore[import-untyped]
import numpy as np
import orjson
import pytest
from fastapi import Request

from cwt_gateway.media import Media, accepted, body_type, respond
from cwt_gateway.problems import ProblemDetails
from cwt_schemas.arrays import to_packed
from cwt_schemas.codec import ContentType

pytestmark = pytest.mark.anyio

WAVE = np.array([[1 + 2j, complex(np.nan, 0)]])
PACKED = msgpack.packb(
    {"wave": to_packed(WAVE), "n": 2, "lag1": [{"g": 0.5}, {"g": 0.25}], "signif": None}
)
#: Large enough to be encoded in a thread and compressed.
LONG = msgpack.packb({"coi": to_packed(np.arange(4096.0))})


def request(*headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", Media.JSON),
        ("*/*", Media.JSON),
        ("application/*", Media.JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Media.JSON),
        ("Application/MsgPack", Media.MSGPACK),
        ("application/json;q=0.5, application/x-npz", Media.NPZ),
        ("application/msgpack;q=0.9;v=1, application/json;q=0.1", Media.MSGPACK),
        ("application/msgpack;q=0, application/json", Media.JSON),
        ("application/msgpack;q=high, */*;q=0.1", Media.JSON),
    ],
)
def test_the_encoding_is_the_preferred_one_of_those_accepted(accept: str, media: Media) -> None:
    assert accepted(request(("accept", accept))) is media


def test_without_accept_the_reply_is_json() -> None:
    assert accepted(request()) is Media.JSON


def test_accept_may_come_in_several_lines() -> None:
    lines = [("accept", "text/html"), ("accept", "application/msgpack")]
    assert accepted(request(*lines)) is Media.MSGPACK


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", ";;,,", "application"])
def test_unknown_encoding_is_refused(accept: str) -> None:
    with pytest.raises(ProblemDetails) as caught:
        accepted(request(("accept", accept)))
    assert caught.value.status == 406


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (None, ContentType.JSON),
        ("application/json; charset=utf-8", ContentType.JSON),
        ("APPLICATION/MSGPACK", ContentType.MSGPACK),
    ],
)
def test_a_body_is_json_or_msgpack(given: str | None, kind: ContentType) -> None:
    headers = [] if given is None else [("content-type", given)]
    assert body_type(request(*headers)) is kind


@pytest.mark.parametrize("given", ["text/csv", "application/octet-stream", "", "json", ";"])
def test_a_body_of_another_type_is_refused(given: str) -> None:
    with pytest.raises(ProblemDetails) as caught:
        body_type(request(("content-type", given)))
    assert caught.value.status == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_a_compressed_body_is_refused(encoding: str) -> None:
    with pytest.raises(ProblemDetails) as caught:
        body_type(request(("content-encoding", encoding)))
    assert caught.value.status == 415


async def test_json_has_pairs_for_complex_numbers_and_null_for_missing_ones() -> None:
    reply = await respond(request(), PACKED, Media.JSON)
    assert orjson.loads(reply.body) == {
        "wave": [[[1, 2], [None, 0]]],
        "n": 2,
        "lag1": [{"g": 0.5}, {"g": 0.25}],
        "signif": None,
    }


async def test_msgpack_is_passed_on_as_it_is() -> None:
    reply = await respond(request(("accept-encoding", "gzip")), PACKED, Media.MSGPACK)
    assert (reply.body, reply.headers["content-type"]) == (PACKED, "application/msgpack")
    assert "content-encoding" not in reply.headers


async def test_an_archive_has_an_entry_for_every_value() -> None:
    reply = await respond(request(), PACKED, Media.NPZ)
    with np.load(io.BytesIO(reply.body)) as archive:
        np.testing.assert_array_equal(archive["wave"], WAVE)
        values = {name: archive[name].item() for name in archive if name != "wave"}
    assert values == {"n": 2, "lag1.0.g": 0.5, "lag1.1.g": 0.25}


async def test_an_archive_holds_fields_with_the_names_of_arguments() -> None:
    names = {"file": 1, "allow_pickle": 2, "args": 3}
    reply = await respond(request(), msgpack.packb(names), Media.NPZ)
    with np.load(io.BytesIO(reply.body)) as archive:
        assert {name: archive[name].item() for name in archive} == names


async def test_json_is_compressed_where_that_is_worth_it_and_allowed() -> None:
    plain = await respond(request(), LONG, Media.JSON)
    zipped = await respond(request(("accept-encoding", "br, gzip")), LONG, Media.JSON)
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == plain.body
    assert len(zipped.body) < len(plain.body) / 2
    for accept, packed in (("gzip", PACKED), ("gzip;q=0, br", LONG)):
        reply = await respond(request(("accept-encoding", accept)), packed, Media.JSON)
        assert "content-encoding" not in reply.headers
        assert reply.headers["vary"] == "Accept, Accept-Encoding"
