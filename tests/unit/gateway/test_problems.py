"""Every error becomes problem details with the status that clients expect."""

from __future__ import annotations

import httpx
import orjson
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import Response

from cwt_gateway.problems import PROBLEM_TYPE, handle_problems, problem_of, status_of
from cwt_runtime.bus.errors import BusClosedError, BusError
from cwt_schemas.errors import (
    BadRequest,
    ContractError,
    ErrorCode,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Unprocessable,
)
from cwt_schemas.message import UNEQUAL_LENGTHS

pytestmark = pytest.mark.anyio

STATUSES = {code: code.status for code in ErrorCode} | {ErrorCode.BAD_REQUEST: 422}


@pytest.mark.parametrize("code", list(ErrorCode))
def test_the_status_is_that_of_the_code_but_for_unreadable_bodies(code: ErrorCode) -> None:
    assert status_of(ContractError(code, "a sentence")) == STATUSES[code]


def test_signals_of_different_lengths_are_a_bad_request() -> None:
    refused = Unprocessable.of({"signal2": "3 samples, signal1 has 4"}, UNEQUAL_LENGTHS)
    assert status_of(refused) == 400


def test_a_problem_has_the_facts_of_the_error_and_its_own_members_win() -> None:
    error = Unprocessable("dt: is missing", {"fields": {"dt": "is missing"}, "status": "x"})
    reply = problem_of(error)
    assert reply.headers["content-type"] == PROBLEM_TYPE
    told = orjson.loads(reply.body)
    assert told.pop("title")
    assert told == {
        "type": "about:blank",
        "status": 422,
        "detail": "dt: is missing",
        "code": "unprocessable",
        "fields": {"dt": "is missing"},
    }


@pytest.mark.parametrize(("wait_s", "header"), [(0.01, "1"), (7.4, "7"), (None, "1")])
def test_overloaded_service_states_retry_time(wait_s: float | None, header: str) -> None:
    detail = None if wait_s is None else {"retry_after_s": wait_s}
    assert problem_of(Overloaded("too much", detail)).headers["retry-after"] == header


def test_what_a_client_cannot_repeat_has_no_time() -> None:
    assert "retry-after" not in problem_of(NotFound("no")).headers


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PayloadTooLarge("too large", {"size": 9}), 413, "payload_too_large"),
        (BadRequest("not JSON"), 422, "bad_request"),
        (BusError("the server is gone"), 503, "unavailable"),
        (BusClosedError("closed"), 503, "unavailable"),
    ],
)
async def test_what_a_route_raises_is_answered(error: Exception, status: int, code: str) -> None:
    app = FastAPI()
    handle_problems(app)

    @app.get("/")
    async def route() -> Response:
        raise error

    reply = await asked(app, "GET", "/")
    assert (reply.status_code, reply.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/none", 404, "not_found"),
        ("PUT", "/count/3", 405, "method_not_allowed"),
        ("GET", "/count/three", 422, "unprocessable"),
        ("POST", "/large", 413, "payload_too_large"),
    ],
)
async def test_what_reaches_no_route_is_answered_in_the_same_form(
    method: str, path: str, status: int, code: str
) -> None:
    app = FastAPI()
    handle_problems(app)

    @app.get("/count/{n}")
    async def count(n: int) -> int:
        return n

    @app.post("/large")
    async def large() -> None:
        raise HTTPException(413)

    reply = await asked(app, method, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == PROBLEM_TYPE
    assert (reply.json()["code"], reply.json()["status"]) == (code, status)
    assert reply.json()["detail"]


async def asked(app: FastAPI, method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path)
