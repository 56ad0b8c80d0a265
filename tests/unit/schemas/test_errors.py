"""A refusal crosses the bus as it is, and says whether it is worth another try."""

import pytest

from cwt_schemas import (
    ContentType,
    ContractError,
    ErrorBody,
    ErrorCode,
    Internal,
    Overloaded,
    PayloadTooLarge,
    Unprocessable,
    decode,
    encode,
    headers,
)

STATUS = {
    "bad_request": 400,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "payload_too_large": 413,
    "unprocessable": 422,
    "overloaded": 429,
    "internal": 500,
    "unavailable": 503,
    "timeout": 504,
}


def test_every_code_has_its_http_status() -> None:
    assert {code.value: code.status for code in ErrorCode} == STATUS


@pytest.mark.parametrize("code", ErrorCode)
@pytest.mark.parametrize("encoding", [ContentType.JSON, ContentType.MSGPACK])
def test_a_refusal_comes_out_as_the_exception_that_went_in(
    code: ErrorCode, encoding: ContentType
) -> None:
    sent = ContractError(code, "it is so", {"size": 5})

    got = decode(ErrorBody, encode(sent.body(), encoding), encoding).exception()

    assert type(got) is not ContractError
    assert (got.code, got.status, got.message, got.detail) == (
        code,
        STATUS[code],
        "it is so",
        {"size": 5},
    )


def test_what_passes_by_itself_is_transient() -> None:
    transient = {code.value for code in ErrorCode if code.transient}

    assert transient == {"overloaded", "unavailable", "timeout"}
    assert Overloaded("later").transient
    assert not Internal("bug").transient


def test_error_headers_are_one_line_of_ascii() -> None:
    refusal = PayloadTooLarge("two\r\nlines, ünd " + "x" * 5000)

    head = refusal.headers()

    assert head[headers.SERVICE_ERROR_CODE] == "413"
    assert head[headers.SERVICE_ERROR].startswith("two lines,  nd xx")
    assert len(head[headers.SERVICE_ERROR]) <= 256


def test_an_error_header_is_never_empty() -> None:
    assert Internal("ü").headers()[headers.SERVICE_ERROR] == "internal"


def test_an_unprocessable_request_names_its_fields() -> None:
    refusal = Unprocessable.of({"dt": "has to be > 0", "dj": "is missing"})

    assert refusal.message == "dt: has to be > 0; dj: is missing"
    assert refusal.fields == ("dt", "dj")
    assert Unprocessable("for another reason").fields == ()
