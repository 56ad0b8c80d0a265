"""Structured logs."""

from __future__ import annotations

import io
import json

import pytest

from cwt_runtime.settings import ServiceSettings
from cwt_runtime.telemetry.logs import Action, configure_logs, logger


def written(**settings: str) -> io.StringIO:
    stream = io.StringIO()
    configure_logs(ServiceSettings(**settings), stream)  # type: ignore[arg-type]
    return stream


def test_a_record_is_a_line_of_json_with_action_and_ids() -> None:
    stream = written()
    logger("ingest").bind(stream="icu").info(Action.STREAM_DEFINED, from_seq=3)
    record = json.loads(stream.getvalue())
    assert record["action"] == "stream_defined"
    assert (record["service"], record["stream"], record["from_seq"]) == ("ingest", "icu", 3)
    assert record["level"] == "info"
    assert record["t"].endswith("Z")


def test_records_below_the_level_are_not_written() -> None:
    stream = written(log_level="warning")
    logger("x").info(Action.READY)
    assert stream.getvalue() == ""


def test_an_error_carries_its_traceback() -> None:
    stream = written()
    try:
        raise ValueError("why")
    except ValueError as error:
        logger("x").error(Action.FAILED, exc=error)
    assert "why" in json.dumps(json.loads(stream.getvalue())["exception"])


def test_on_request_the_lines_are_for_reading() -> None:
    stream = written(log_format="console")
    logger("x").warning(Action.BUS_WAITING, url="nats://h")
    assert "bus_waiting" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_traceback_shows_no_variable_values(log_format: str) -> None:
    """The address with its password once stood there, among the settings of every frame."""
    stream = written(log_format=log_format)
    url = "nats://user:secret@far"
    try:
        int(url[:4])
    except ValueError as error:
        logger("x").error(Action.FAILED, exc=error)
    assert "ValueError" in stream.getvalue()
    assert "secret" not in stream.getvalue()
