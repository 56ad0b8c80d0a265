"""What the doctor makes of what it sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cwt_cli.findings import (
    ServerReport,
    device_finding,
    lag_finding,
    server_findings,
    service_findings,
    slow_finding,
    storage_findings,
    stream_findings,
)
from cwt_schemas.hardware import ConfiguredPort

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERVER_NOW = "2026-01-01T12:00:00.123456789Z"


def server(version: str = "2.15.1", received: datetime = NOW) -> ServerReport:
    identity = {"name": "n1", "id": "N", "host": "h", "ver": version, "time": SERVER_NOW}
    accounts = [{"slow_consumers": 2}, {}]
    return ServerReport.from_reply(
        {"server": identity, "data": {"account_statz": accounts}}, received
    )


def stream(size: int, **more: Any) -> dict[str, Any]:
    config = {"max_bytes": 1000, "discard": "new"}
    return {"state": {"messages": 1, "bytes": size}, "config": config, **more}


def test_services_of_another_version_are_named() -> None:
    instances = [{"name": name, "version": "1.0"} for name in ("ingest", "compute", "gateway")]
    assert {each.verdict for each in service_findings(instances, "1.0")} == {"ok"}
    mixed = [*instances, {"name": "gateway", "version": "0.9"}]
    wrong = [each for each in service_findings(mixed, "1.0") if each.verdict == "wrong"]
    assert "gateway 0.9" in wrong[0].detail


def test_a_gateway_is_not_required() -> None:
    verdicts = {each.about: each.verdict for each in service_findings([], "1.0")}
    assert verdicts == {"ingest": "wrong", "compute": "wrong", "gateway": "note"}


@pytest.mark.parametrize(
    ("info", "word"),
    [
        ({"error": {"description": "stream not found"}}, "not found"),
        (stream(950), "nearly full"),
        (stream(1, cluster={"replicas": [{"name": "n2", "current": False}]}), "n2"),
    ],
)
def test_missing_full_or_lagging_stream_is_reported_with_advice(
    info: dict[str, Any], word: str
) -> None:
    found = stream_findings("CWT_SIGNALS", info)
    assert found.verdict == "wrong"
    assert word in found.detail
    assert found.advice


def test_a_stream_with_room_is_fine() -> None:
    assert stream_findings("CWT_SIGNALS", stream(1)).verdict == "ok"


def test_nearly_full_server_is_reported() -> None:
    assert storage_findings({"storage": 95, "limits": {"max_storage": 100}}).verdict == "wrong"
    assert storage_findings({"storage": 95, "limits": {"max_storage": -1}}).verdict == "ok"


@pytest.mark.parametrize(("apart", "verdict"), [(0.2, "ok"), (5, "wrong"), (-5, "wrong")])
def test_clock_offset_is_reported(apart: float, verdict: str) -> None:
    _, clock = server_findings([server(received=NOW + timedelta(seconds=apart))])
    assert (clock.about, clock.verdict) == ("clock", verdict)


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("2.9.25", "wrong"), ("1.4.1", "wrong"), ("2.10.0", "ok"), ("3.0.0-beta.1", "ok")],
)
def test_a_server_that_is_too_old_is_named(version: str, verdict: str) -> None:
    found, _ = server_findings([server(version)])
    assert found.verdict == verdict
    assert found.detail == f"n1 has version {version}"


def test_unresponsive_servers_are_reported() -> None:
    (found,) = server_findings([])
    assert (found.verdict, found.detail) == ("wrong", "no server reports its version")


def test_a_slow_consumer_counts_for_an_hour() -> None:
    total = server().slow_consumers
    cut = {"name": "compute", "reason": "Slow Consumer (Pending Bytes)", "stop": SERVER_NOW}
    ended = {"name": "demo", "reason": "Client Closed", "stop": SERVER_NOW}
    recent = slow_finding(total, [cut, cut, ended], NOW)
    assert (recent.verdict, "disconnected compute in" in recent.detail) == ("wrong", True)
    later = slow_finding(total, [cut, ended], NOW + timedelta(hours=2))
    assert (later.verdict, later.detail[:2]) == ("note", "2 ")
    assert slow_finding(0, [], NOW).verdict == "ok"


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("ready", "ok"), ("busy", "ok"), ("absent", "wrong"), ("faulty", "wrong")],
)
def test_unusable_device_is_reported(state: Any, verdict: str) -> None:
    device = ConfiguredPort(
        device="fpga0", port="/dev/ttyUSB1", kind="tangnano9k", state=state, detail="no answer"
    )
    found = device_finding(device)
    assert (found.about, found.verdict) == ("device fpga0", verdict)
    assert ("no answer" in found.detail) == bool(found.advice) == (verdict == "wrong")


def test_a_queue_that_grows_asks_for_workers() -> None:
    assert lag_finding("windows", 3, 2).verdict == "ok"
    assert "workers" in lag_finding("windows", 100_000, 2).advice
    assert lag_finding("windows", 3, 0).verdict == "wrong"


def test_waiting_tasks_are_not_a_problem_while_workers_are_busy() -> None:
    assert lag_finding("tasks", 100_000, 2).verdict == "note"
    assert lag_finding("tasks", 1, 0).verdict == "wrong"


@pytest.mark.parametrize("name", ["KV_cwt_jobs", "OBJ_cwt_objects", "CWT_SIGNALS", "CWT_WINDOWS"])
def test_what_refuses_when_it_is_full_says_what_makes_room(name: str) -> None:
    info = {"state": {"messages": 1, "bytes": 99}, "config": {"max_bytes": 100, "discard": "new"}}
    assert stream_findings(name, info).verdict == "wrong"
    assert "CWT_" in stream_findings(name, info).advice
