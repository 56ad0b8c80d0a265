"""`pycwt-mod key`: times and words."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from cwt_cli.__main__ import app
from cwt_cli.access_keys import in_words, seconds_of
from cwt_schemas.access import KeyRecord, Role

DAY_NS = 86_400 * 10**9
RECORD = KeyRecord(
    name="lab", role=Role.READER, user="ward", digest="0" * 64, created_ns=0, expires_ns=2 * DAY_NS
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 30 * 86_400), ("12h", 43_200), ("15m", 900), ("1d", 86_400)]
)
def test_a_time_is_days_hours_or_minutes(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5h", "1w", "30 d", "1234567d"])
def test_a_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30d"):
        seconds_of(text)


def test_a_key_is_listed_with_its_user_and_when_it_expires() -> None:
    line = "lab: reader, user ward, since 1970-01-01 00:00 UTC"
    assert in_words(RECORD, DAY_NS) == f"{line}, expires 1970-01-03 00:00 UTC"
    assert in_words(RECORD, 3 * DAY_NS) == f"{line}, expired 1970-01-03 00:00 UTC"
    assert in_words(RECORD.model_copy(update={"expires_ns": None}), DAY_NS) == line


@pytest.mark.parametrize(
    "arguments", [("a b", "--role", "reader"), ("lab", "--role", "king"), ("lab",),
                  ("lab", "--role", "reader", "--user", "../x"),
                  ("lab", "--role", "reader", "--expires", "soon")],
)  # fmt: skip
def test_invalid_key_is_refused_before_any_request(
    arguments: tuple[str, ...],
) -> None:
    assert CliRunner().invoke(app, ["key", "add", *arguments]).exit_code == 2
