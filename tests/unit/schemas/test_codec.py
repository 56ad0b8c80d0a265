"""Every message survives both encodings, and nothing that arrives raises a stranger's error."""

import json
import sys

import msgpack  # type: ignore[import-untyped]
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cwt_schemas as schemas
from cwt_schemas import (
    BadRequest,
    ContentType,
    ContractError,
    CwtReply,
    CwtRequest,
    DeadLetter,
    Message,
    PayloadTooLarge,
    SignalChunk,
    StreamDefinition,
    StreamList,
    Unprocessable,
    headers,
)
from cwt_schemas.limits import MAX_JSON_BYTES
from tests.thorough import cases
from tests.unit.schemas import strategies

ENCODINGS = [ContentType.JSON, ContentType.MSGPACK]
MODELS = pytest.mark.parametrize("model", strategies.BY_MODEL, ids=lambda model: model.__name__)

chunk_headers = st.fixed_dictionaries(
    {},
    optional={
        headers.CONTENT_TYPE: st.sampled_from([*ContentType, "text/plain", ""]),
        headers.DTYPE: st.sampled_from(["<i2", "<f8", "<c8", "|O", ""]) | st.text(max_size=5),
        headers.EPOCH: st.just("e1") | st.text(max_size=5),
        headers.FIRST_SAMPLE: st.just("7") | st.text(max_size=25) | st.just("9" * 19),
        headers.T0_NS: st.just("7") | st.text(max_size=25),
        headers.CHANNELS: st.just("2") | st.text(max_size=25),
    },
)


def narrowed(value: object, like: object) -> object:
    """The value as it came back from JSON, which has no dtypes, in the dtype that was sent."""
    if isinstance(value, np.ndarray) and isinstance(like, np.ndarray):
        return value.astype(like.dtype)
    if isinstance(value, Message) and isinstance(like, Message):
        fields = {name: narrowed(getattr(value, name), getattr(like, name)) for name in dict(value)}
        return value.model_copy(update=fields)
    if isinstance(value, tuple) and isinstance(like, tuple):
        return tuple(map(narrowed, value, like))
    return value


def refusal_of(model: type[Message], body: bytes, encoding: ContentType) -> ContractError | None:
    """What the contract says against a body; any other exception fails the test."""
    try:
        schemas.decode(model, body, encoding)
    except ContractError as refusal:
        return refusal
    return None


@MODELS
@settings(max_examples=cases(25))
@given(data=st.data())
def test_msgpack_gives_back_the_same_message(model: type[Message], data: st.DataObject) -> None:
    message = data.draw(strategies.BY_MODEL[model])

    body = schemas.encode(message, ContentType.MSGPACK)

    assert schemas.decode(model, body, ContentType.MSGPACK) == message


@MODELS
@settings(max_examples=cases(25))
@given(data=st.data())
def test_json_gives_back_the_same_values(model: type[Message], data: st.DataObject) -> None:
    message = data.draw(strategies.BY_MODEL[model])

    back = schemas.decode(model, schemas.encode(message, ContentType.JSON), ContentType.JSON)

    assert narrowed(back, message) == message


@settings(max_examples=cases(50))
@given(chunk=strategies.chunks)
def test_a_raw_chunk_gives_back_the_same_chunk(chunk: SignalChunk) -> None:
    head, body = schemas.encode_raw_chunk(chunk)

    assert schemas.decode_chunk(head, body, chunk.n_channels) == chunk


@pytest.mark.parametrize("encoding", [*ENCODINGS, ContentType.OCTETS])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 3)])
def test_a_final_chunk_may_be_empty_in_every_form(
    shape: tuple[int, ...], encoding: ContentType
) -> None:
    chunk = SignalChunk(epoch="e", first_sample=7, samples=np.ones(shape), final=True)
    head, body = schemas.encode_raw_chunk(chunk)
    if encoding is not ContentType.OCTETS:
        head, body = {headers.CONTENT_TYPE: encoding.value}, schemas.encode(chunk, encoding)
    back = schemas.decode_chunk(head, body, 3)
    assert (back.final, back.first_sample, back.n_samples) == (True, 7, shape[0])


def test_a_raw_chunk_that_is_not_final_is_not_empty_and_says_final_with_1_or_0() -> None:
    head, _ = schemas.encode_raw_chunk(SignalChunk(epoch="e", samples=np.ones(1)))
    with pytest.raises(Unprocessable, match="samples"):
        schemas.decode_chunk(head, b"", 1)
    with pytest.raises(Unprocessable, match="Cwt-Final"):
        schemas.decode_chunk({**head, headers.FINAL: "yes"}, b"12345678", 1)


@settings(max_examples=cases(50))
@given(chunk=strategies.chunks, encoding=st.sampled_from(ENCODINGS))
def test_a_chunk_is_dispatched_by_its_content_type(
    chunk: SignalChunk, encoding: ContentType
) -> None:
    head = {headers.CONTENT_TYPE: encoding.value}

    back = schemas.decode_chunk(head, schemas.encode(chunk, encoding), chunk.n_channels)

    assert back.samples.shape == chunk.samples.shape


def json_chunk(samples: str, epoch: str = "e", channels: int = 2) -> SignalChunk:
    fields = f'"schema": "signal.chunk/1", "epoch": "{epoch}"'
    return schemas.decode_chunk(None, f'{{{fields}, "samples": {samples}}}'.encode(), channels)


def test_the_words_of_python_for_missing_values_are_read_in_the_samples_of_a_chunk() -> None:
    values = [[np.nan, 1.5], [np.inf, -np.inf], [-2.0, 0.0]]
    chunk = json_chunk(json.dumps(values), epoch="NaN-1:Infinity")
    assert chunk.epoch == "NaN-1:Infinity"
    expected = [[np.nan, 1.5], [np.nan, np.nan], [-2.0, 0.0]]
    np.testing.assert_array_equal(chunk.samples, expected)


def test_chunk_with_nan_words_may_have_full_length() -> None:
    # With null in their place, it would be above the limit of JSON.
    count = MAX_JSON_BYTES // len("NaN,") - 50
    assert json_chunk("[" + "NaN," * count + "1]", channels=1).n_samples == count + 1


def test_other_threads_may_run_between_the_numbers_of_a_chunk_with_these_words() -> None:
    """The parser kept the event loop from running for 200 ms."""
    calls = 0

    def count_calls(_frame: object, event: str, _value: object) -> None:
        nonlocal calls
        calls += event == "call"  # of a function in Python, before which threads take turns

    profiler = sys.getprofile()
    sys.setprofile(count_calls)
    try:
        json_chunk("[" + "1.5,1," * 1000 + "NaN]", channels=1)
    finally:
        sys.setprofile(profiler)
    assert calls >= 2000


@pytest.mark.parametrize("wrong", ["-NaN", "NaNNaN", "1NaN", "nan", "--Infinity", '"NaN"', "NaN\\"])
def test_invalid_json_words_are_refused(wrong: str) -> None:
    with pytest.raises(ContractError):
        json_chunk(f"[[{wrong}, 1]]")


@settings(max_examples=cases(300))
@given(
    model=st.sampled_from(list(strategies.BY_MODEL)),
    body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode),
    encoding=st.sampled_from(list(ContentType)),
)
def test_invalid_data_is_refused_by_contract(
    model: type[Message], body: bytes, encoding: ContentType
) -> None:
    refusal = refusal_of(model, body, encoding)

    assert refusal is None or refusal.code in {"bad_request", "unprocessable"}


@settings(max_examples=cases(300))
@given(message=strategies.messages, encoding=st.sampled_from(ENCODINGS), data=st.data())
def test_a_damaged_message_is_read_or_refused_by_contract(
    message: Message, encoding: ContentType, data: st.DataObject
) -> None:
    body = bytearray(schemas.encode(message, encoding))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(0, len(body))) or len(body) :]

    refusal = refusal_of(type(message), bytes(body), encoding)

    assert refusal is None or schemas.encode(refusal.body(), encoding)


@settings(max_examples=cases(200))
@given(
    model=st.sampled_from(list(strategies.BY_MODEL)),
    data=st.data(),
    encoding=st.sampled_from(ENCODINGS),
)
def test_any_value_in_any_field_is_read_or_refused_by_contract(
    model: type[Message], data: st.DataObject, encoding: ContentType
) -> None:
    anything = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
    keys = st.sampled_from(
        [field.alias or name for name, field in model.model_fields.items()] + [""]
    )
    tree = data.draw(st.dictionaries(keys, anything, max_size=6))
    body = orjson.dumps(tree) if encoding is ContentType.JSON else msgpack.packb(tree)

    refusal = refusal_of(model, body, encoding)

    assert refusal is None or refusal.code == "unprocessable"


@settings(max_examples=cases(300))
@given(head=chunk_headers, body=st.binary(max_size=64), channels=st.integers(-1, 3))
def test_any_headers_of_a_chunk_are_read_or_refused_by_contract(
    head: dict[str, str], body: bytes, channels: int
) -> None:
    try:
        chunk = schemas.decode_chunk(head, body, channels)
    except ContractError:
        return
    assert chunk.n_channels == channels


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_shorter_beginning_of_a_message_is_refused(encoding: ContentType) -> None:
    body = schemas.encode(SignalChunk(epoch="e", samples=np.ones(3)), encoding)

    for length in range(1, len(body)):
        with pytest.raises(BadRequest):
            schemas.decode(SignalChunk, body[:length], encoding)


def test_empty_body_is_a_query_without_fields() -> None:
    assert schemas.decode(StreamList, b"") == StreamList()


def test_an_empty_body_misses_what_is_required() -> None:
    with pytest.raises(Unprocessable) as refusal:
        schemas.decode(CwtRequest, b"")
    assert set(refusal.value.fields) == {"data", "dt"}


def test_a_refusal_names_every_wrong_field() -> None:
    body = b'{"name": "a.b", "fs_hz": -1, "channels": [{"name": ""}], "rate": 5}'

    with pytest.raises(Unprocessable) as refusal:
        schemas.decode(StreamDefinition, body)

    assert set(refusal.value.fields) == {"name", "fs_hz", "channels.0.name", "rate"}
    assert all(field in refusal.value.message for field in refusal.value.fields)


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    body = orjson.dumps({"data": "x" * 100_000, "y" * 100_000: 1, "dt": "z" * 1000})

    with pytest.raises(Unprocessable) as refusal:
        schemas.decode(CwtRequest, body)

    assert len(refusal.value.message) < 500
    assert "xx" not in refusal.value.message
    assert "zz" not in refusal.value.message


def test_a_refusal_of_thousands_of_fields_stays_short() -> None:
    body = orjson.dumps({f"field{i}": 1 for i in range(4000)})

    with pytest.raises(Unprocessable) as refusal:
        schemas.decode(CwtRequest, body)

    assert refusal.value.fields == ("body",)
    assert "4000" in refusal.value.message


def test_no_cause_of_a_refusal_leaks_into_its_body() -> None:
    with pytest.raises(BadRequest) as refusal:
        schemas.decode(CwtRequest, b"\xff{")

    assert "application/json" in refusal.value.message


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_body_that_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="object"):
        schemas.decode(CwtRequest, body)


def test_raw_octets_are_for_chunks_alone() -> None:
    with pytest.raises(BadRequest, match="chunks"):
        schemas.decode(CwtRequest, b"1234", ContentType.OCTETS)
    with pytest.raises(BadRequest, match="chunks"):
        schemas.encode(StreamList(), ContentType.OCTETS)


@pytest.mark.parametrize(
    "extension", [msgpack.Timestamp(1), msgpack.ExtType(5, b""), msgpack.ExtType(5, b"abc")]
)
def test_msgpack_extensions_are_refused(extension: object) -> None:
    body = msgpack.packb({"data": extension, "dt": 1})

    with pytest.raises(BadRequest):
        schemas.decode(CwtRequest, body, ContentType.MSGPACK)


@pytest.mark.parametrize("opening", [b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff"])
def test_a_msgpack_list_that_claims_billions_is_refused(opening: bytes) -> None:
    with pytest.raises(BadRequest):
        schemas.decode(CwtRequest, opening * 500, ContentType.MSGPACK)


@pytest.mark.parametrize(
    ("opening", "encoding"), [(b"[", ContentType.JSON), (b"\x91", ContentType.MSGPACK)]
)
def test_deeply_nested_lists_are_refused(opening: bytes, encoding: ContentType) -> None:
    with pytest.raises(BadRequest):
        schemas.decode(CwtRequest, opening * 100_000, encoding)


def test_a_body_above_the_limit_is_refused_with_both_numbers() -> None:
    with pytest.raises(PayloadTooLarge) as refusal:
        schemas.decode(CwtRequest, b" " * 101, max_bytes=100)
    assert refusal.value.detail == {"size": 101, "limit": 100}


def test_a_json_reply_above_the_limit_is_refused_with_advice() -> None:
    request = CwtRequest(data=np.ones(500_000), dt=1.0)
    reply = request.model_copy(update={"data": np.pi * np.ones(500_000)})

    with pytest.raises(PayloadTooLarge, match="application/msgpack"):
        schemas.encode(reply, ContentType.JSON)
    assert schemas.encode(reply, ContentType.MSGPACK)
    assert schemas.encode(reply, ContentType.JSON, max_bytes=None)


def test_missing_values_are_null_in_json_both_ways() -> None:
    body = b'{"dt": 1, "data": [1.5, null]}'

    request = schemas.decode(CwtRequest, body)

    assert np.array_equal(request.data, [1.5, np.nan], equal_nan=True)
    assert orjson.loads(schemas.encode(request, ContentType.JSON))["data"] == [1.5, None]


def test_complex_numbers_are_two_lists_in_json() -> None:
    reply = CwtReply(
        wave=np.array([[1 + 2j, complex(np.nan, 3)]]),
        scales=np.ones(1),
        freqs=np.ones(1),
        coi=np.ones(2),
        fft=np.array([1j]),
        fftfreqs=np.ones(1),
        computation_time=0.0,
    )

    wave = orjson.loads(schemas.encode(reply, ContentType.JSON))["wave"]

    assert wave == {"re": [[1.0, None]], "im": [[2.0, 3.0]]}


def test_a_mask_is_zeros_and_ones_on_the_wire() -> None:
    result = schemas.AnalysisResult(
        id="i",
        stream="s",
        epoch="e",
        analysis="a",
        op="cwt",
        channels=("c",),
        octave=0,
        freqs_hz=np.ones(1),
        scales_s=np.ones(1),
        t=schemas.TimeAxis(first_sample=0, step=1, n=2),
        values=np.ones((1, 2)),
        mask=np.array([[True, False]]),
        input=schemas.InputSpan(first_sample=0, n_samples=2),
        spec_hash="0" * 16,
        engine=schemas.Engine(library="l", version="1", backend="b", worker="w"),
        times_ns=schemas.ResultTimes(received=1, windowed=2, computed=3),
    )

    packed = msgpack.unpackb(schemas.encode(result, ContentType.MSGPACK))["mask"]

    assert packed == {"dtype": "<i2", "shape": [1, 2], "data": b"\x01\0\0\0"}
    assert orjson.loads(schemas.encode(result, ContentType.JSON))["mask"] == [[1, 0]]


def test_bytes_are_base64_in_json() -> None:
    letter = DeadLetter(
        where="compute",
        subject="cwt.window.s.a",
        reason="x",
        deliveries=5,
        t_ns=1,
        payload=b"\x00\xff",
        payload_bytes=2,
    )

    assert orjson.loads(schemas.encode(letter, ContentType.JSON))["payload"] == "AP8="
    assert msgpack.unpackb(schemas.encode(letter, ContentType.MSGPACK))["payload"] == b"\x00\xff"


def test_a_chunk_with_another_channel_count_is_refused_with_both_numbers() -> None:
    body = schemas.encode(SignalChunk(epoch="e", samples=np.ones((4, 3))), ContentType.JSON)

    with pytest.raises(Unprocessable, match=r"samples: .*\b3\b.*\b2\b"):
        schemas.decode_chunk(None, body, 2)


@pytest.mark.parametrize(
    ("shape", "said"),
    [((2, 4), "transposed"), ((4,), r"1 channel,"), ((2,), r"\(1, 2\)"), ((2, 3000), "time, chan")],
)
def test_a_chunk_of_another_shape_is_refused_with_what_is_wrong(
    shape: tuple[int, ...], said: str
) -> None:
    body = msgpack.packb(
        {
            "schema": "signal.chunk/1",
            "epoch": "e",
            "samples": {"dtype": "<f4", "shape": shape, "data": np.zeros(shape, "<f4").tobytes()},
        }
    )
    with pytest.raises(Unprocessable, match=said):
        schemas.decode_chunk({headers.CONTENT_TYPE: ContentType.MSGPACK.value}, body, 2)


@pytest.mark.parametrize("shape", [(30, 3), (30,)])
def test_a_raw_chunk_of_another_channel_count_is_refused_with_both_numbers(
    shape: tuple[int, ...],
) -> None:
    """It was taken for 45 or 15 samples of two channels, and the rest shifted between them."""
    head, body = schemas.encode_raw_chunk(SignalChunk(epoch="e", samples=np.ones(shape)))
    with pytest.raises(Unprocessable, match=rf"Cwt-Channels: {len(shape) * 2 - 1}, .* has 2"):
        schemas.decode_chunk(head, body, 2)


def test_a_raw_chunk_that_does_not_say_its_channels_has_those_of_the_stream() -> None:
    head, body = schemas.encode_raw_chunk(SignalChunk(epoch="e", samples=np.ones((6, 2))))
    assert head.pop(headers.CHANNELS) == "2"
    assert schemas.decode_chunk(head, body, 3).samples.shape == (4, 3)


@pytest.mark.parametrize("said", ["two", "-2", "2.0", ""])
def test_a_raw_chunk_says_its_channels_with_a_number(said: str) -> None:
    head, body = schemas.encode_raw_chunk(SignalChunk(epoch="e", samples=np.ones((6, 2))))
    with pytest.raises(Unprocessable, match="Cwt-Channels"):
        schemas.decode_chunk({**head, headers.CHANNELS: said}, body, 2)


def test_a_raw_chunk_that_ends_inside_a_step_is_refused() -> None:
    head = {
        headers.CONTENT_TYPE: "application/octet-stream",
        headers.DTYPE: "<i2",
        headers.EPOCH: "e",
    }
    with pytest.raises(Unprocessable, match="6 bytes"):
        schemas.decode_chunk(head, b"123456", 2)


@pytest.mark.parametrize(
    ("head", "request_type", "wanted"),
    [
        (None, "application/json", "application/json"),
        ({}, "application/json", "application/json"),
        ({"Content-Type": "application/msgpack"}, "application/msgpack", "application/msgpack"),
        (
            {"Content-Type": "Application/JSON; charset=utf-8"},
            "application/json",
            "application/json",
        ),
        ({"Accept": "application/msgpack"}, "application/json", "application/msgpack"),
        (
            {"Accept": "text/html, application/msgpack;q=1"},
            "application/json",
            "application/msgpack",
        ),
        (
            {"Content-Type": "application/octet-stream"},
            "application/octet-stream",
            "application/json",
        ),
        ({"Accept": "text/html"}, "application/json", "application/json"),
    ],
)
def test_the_headers_decide_how_to_read_and_to_reply(
    head: dict[str, str] | None, request_type: str, wanted: str
) -> None:
    assert schemas.content_type_of(head) == request_type
    assert schemas.reply_type(head) == wanted


def test_an_unknown_content_type_is_refused_but_can_be_answered() -> None:
    head = {headers.CONTENT_TYPE: "text/plain"}

    with pytest.raises(BadRequest, match=r"Content-Type.*application/json"):
        schemas.content_type_of(head)
    assert schemas.reply_type(head) is ContentType.JSON


def test_readers_take_messages_of_a_newer_version() -> None:
    event = {
        "id": "s/1", "stream": "s", "kind": "eclipse", "t_ns": 1, "later": {"added": True},
    }  # fmt: skip
    body = orjson.dumps({"schema": "stream.event/1", **event})

    with pytest.raises(Unprocessable, match="later"):
        schemas.decode(schemas.StreamEvent, body)
    read = schemas.decode(schemas.StreamEvent, body, ignore_unknown=True)
    assert read.kind == "eclipse"
