"""Who sent a request, by what the server says of it, and what that user may change."""

from __future__ import annotations

import pytest

from cwt_runtime.bus import Message
from cwt_runtime.bus.nats.request_info import with_request_info
from cwt_runtime.rpc.caller import Caller, caller_of
from cwt_schemas.errors import Forbidden

LINE = b'Nats-Request-Info: {"acc":"ANALYSTS","user":"a"}\r\n'
ANALYST = Caller(user="a", account="ANALYSTS", is_outside=True)
UNKNOWN = Caller(is_outside=True)


def caller(block: bytes | None, reply: str | None = "_R_.x.y") -> Caller:
    headers = with_request_info(block, {"Accept": "x"})
    return caller_of(Message(subject="s", data=b"", headers=headers or {}, reply=reply))


@pytest.mark.parametrize("reply", [None, "_R_.x.y", "_INBOX.operator.x.1"])
def test_the_server_says_who_a_caller_of_another_account_is(reply: str | None) -> None:
    assert caller(b"NATS/1.0\r\nA: b\r\n" + LINE + b"\r\n", reply) == ANALYST


@pytest.mark.parametrize("reply", [None, "_R_.x.y", "_INBOX.operator.x.1"])
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"NATS/1.0\r\n" + LINE + LINE + b"\r\n", id="two lines"),
        pytest.param(b"NATS/1.0\r\n " + LINE + LINE + b"\r\n", id="a blank before the name"),
        pytest.param(b"NATS/1.0\r\n" + LINE + LINE.lower() + b"\r\n", id="in lower case"),
        pytest.param(b"NATS/1.0\r\nA: " + LINE + b"\r\n", id="within another header"),
        pytest.param(b"NATS/1.0" + LINE + b"\r\n", id="within the version"),
        pytest.param(b"\xff" + LINE[:20], id="not headers"),
        pytest.param(b"NATS/1.0\r\nNats-Request-Info: [1]\r\n\r\n", id="not an object"),
        pytest.param(b'NATS/1.0\r\nNats-Request-Info: {"user":1}\r\n\r\n', id="not a text"),
        pytest.param(b"NATS/1.0\r\nNats-Request-Info: \r\n\r\n", id="empty"),
    ],
)
def test_caller_unknown_to_server_has_no_identity(block: bytes, reply: str | None) -> None:
    assert caller(block, reply) == UNKNOWN


def test_a_request_from_another_account_is_known_by_its_reply_subject_as_well() -> None:
    assert caller(None) == UNKNOWN


@pytest.mark.parametrize(
    ("reply", "user"),
    [
        ("_INBOX.operator.x.1", "operator"), ("_INBOX.gateway.x", "gateway"),
        ("_INBOX.operators.x.1", None), ("_INBOX.Xk2v9T.1", None), (None, None),
    ],
)  # fmt: skip
def test_a_caller_in_the_account_of_the_services_is_known_by_its_inbox(
    reply: str | None, user: str | None
) -> None:
    assert caller(None, reply) == Caller(user=user)


def test_only_its_owner_and_the_account_of_the_services_change_a_thing() -> None:
    ANALYST.check_owner("a", "job j")
    Caller().check_owner("a", "job j")
    Caller(user="operator").check_owner(None, "job j")
    with pytest.raises(Forbidden, match="cannot change job j as a: it belongs to b"):
        ANALYST.check_owner("b", "job j")
    with pytest.raises(Forbidden, match="has no owner"):
        ANALYST.check_owner(None, "job j")
    with pytest.raises(Forbidden, match="does not report your user"):
        UNKNOWN.check_owner(None, "job j")
