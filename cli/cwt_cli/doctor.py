"""`pycwt-mod doctor`: find problems of the system, and suggest solutions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import orjson
import typer
from rich.text import Text

from cwt_cli.discovery import ROUND_S
from cwt_cli.findings import (
    Finding,
    ServerReport,
    connection_finding,
    device_finding,
    lag_finding,
    permission_finding,
    server_findings,
    service_findings,
    slow_finding,
    storage_findings,
    stream_findings,
)
from cwt_cli.hw_asking import listing_of
from cwt_cli.piped_console import PipedConsole
from cwt_cli.shell import run_command, server
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError, BusTimeoutError, NoRespondersError
from cwt_runtime.rpc.micro import ping_subject
from cwt_runtime.storage.health import ACCOUNT_INFO, STREAM_INFO
from cwt_schemas import storage, subjects
from cwt_schemas.errors import ContractError, Unavailable
from cwt_schemas.service import HealthReply, HealthRequest
from pycwt_client import connect
from pycwt_client.request import ask
from pycwt_mod._version import __version__

__all__ = ["checkup", "doctor"]

TIMEOUT_S = 2.0
#: Workers and ingest check the storage for some seconds before they answer.
HEALTH_TIMEOUT_S = 5.0
#: Requests that every server of the bus answers for the account of the user: the state of the
#: server, and its connections.
SERVER_STATE = "$SYS.REQ.ACCOUNT.PING.STATZ"
CONNECTIONS = "$SYS.REQ.ACCOUNT.PING.CONNZ"
#: Request for closed connections, the newest first.
CLOSED = b'{"state": 1, "sort": "stop"}'
QUEUES = (
    ("windows", storage.WINDOWS, storage.COMPUTE_WINDOWS),
    ("tasks", storage.TASKS, storage.COMPUTE_TASKS),
)
MARKS = {"ok": "ok    ", "note": "note  ", "wrong": "WRONG "}
STYLES = {"ok": "green", "note": "yellow", "wrong": "red"}


def doctor() -> None:
    """Check the server, the services and the stored data. Exits with 1 if it finds a problem."""
    run_command(_doctor)


async def _doctor() -> None:
    settings, reached = server(), True
    refusals = _Refusals()
    logger = logging.getLogger("pycwt_client")
    logger.addHandler(refusals)
    try:
        async with connect(settings, name="pycwt-mod doctor") as client:
            findings = [
                Finding(about="server", verdict="ok", detail=settings.address),
                *await checkup(client.bus),
            ]
    except Unavailable as error:
        findings = [connection_finding(error)]
        reached = False
    finally:
        logger.removeHandler(refusals)
    findings += refusals.findings(reached=reached)
    _print(findings)
    if any(each.verdict == "wrong" for each in findings):
        raise typer.Exit(1)


def _now() -> datetime:
    return datetime.now(UTC)


async def checkup(bus: Bus, *, now: Callable[[], datetime] = _now) -> list[Finding]:
    """Run all checks on a server that answers, and return their findings.

    Parameters
    ----------
    now
        This machine's clock.
    """
    findings = await _servers(bus, now)
    account = await _asked(bus, ACCOUNT_INFO)
    if isinstance(account, Finding):
        return [*findings, account]
    findings += [
        Finding(about="JetStream", verdict="ok", detail="enabled"),
        storage_findings(account),
    ]
    for name, info in (await _streams(bus)).items():
        findings.append(info if isinstance(info, Finding) else stream_findings(name, info))
    instances = await _instances(bus)
    findings += service_findings(instances, __version__)
    findings += await _reported(bus)
    findings += await _devices(bus)
    workers = sum(each["name"] == "compute" for each in instances)
    for what, stream, durable in QUEUES:
        try:
            backlog = await bus.log.backlog(stream, durable)
        except BusError:
            continue  # `stream_findings` reports the missing stream
        findings.append(lag_finding(what, backlog.waiting + backlog.in_flight, workers))
    return findings


async def _servers(bus: Bus, now: Callable[[], datetime]) -> list[Finding]:
    """Check the server, or all servers of a cluster."""
    reports = [
        ServerReport.from_reply(reply, received)
        for reply, received in await _replies(bus, SERVER_STATE, now=now)
    ]
    findings = server_findings(reports)
    if reports:
        slow = sum(each.slow_consumers for each in reports)
        closed = await _replies(bus, CONNECTIONS, CLOSED, now=now) if slow else []
        connections = [each for reply, _ in closed for each in reply["data"]["connections"]]
        findings.append(slow_finding(slow, connections, max(each.time for each in reports)))
    return findings


async def _streams(bus: Bus) -> dict[str, dict[str, Any] | Finding]:
    """Request the information of all streams concurrently, since each reply may take a while."""
    infos: dict[str, dict[str, Any] | Finding] = {}

    async def ask(name: str) -> None:
        infos[name] = await _asked(bus, STREAM_INFO + name)

    async with anyio.create_task_group() as tasks:
        for name in storage.JETSTREAM:
            tasks.start_soon(ask, name)
    return {name: infos[name] for name in storage.JETSTREAM}


async def _asked(bus: Bus, request: str) -> dict[str, Any] | Finding:
    """Return JetStream's reply to an API request, or a finding if there is none."""
    subject = f"{bus.log.api}.{request}"
    try:
        reply = await bus.request(subject, b"", timeout_s=TIMEOUT_S)
    except NoRespondersError:
        return Finding(
            about="JetStream", verdict="wrong", detail="not enabled on the server",
            advice="start the server with JetStream (nats-server -js), or use `pycwt-mod up`",
        )  # fmt: skip
    except BusTimeoutError:
        return Finding(
            about=subject, verdict="wrong", detail=f"no answer within {TIMEOUT_S:g} s",
            advice="the server is overloaded, or this user lacks the permission (see permissions)",
        )  # fmt: skip
    answer = orjson.loads(reply.data)
    if isinstance(answer, dict) and request == ACCOUNT_INFO and "error" in answer:
        return Finding(
            about="JetStream", verdict="wrong", detail=str(answer["error"].get("description")),
            advice="enable JetStream for this account in the server's configuration",
        )  # fmt: skip
    return dict(answer)


async def _reported(bus: Bus) -> list[Finding]:
    """Return the health report of a worker, which has permissions that this user may lack.

    The worker includes the report of ingest. If there is no worker, ask ingest directly.
    """
    for subject in (subjects.query("health"), subjects.stream("health")):
        try:
            health = await ask(
                bus, subject, HealthRequest(), HealthReply, timeout_s=HEALTH_TIMEOUT_S
            )
        except Unavailable:
            continue  # `service_findings` reports the service that does not answer
        except ContractError as error:
            return [Finding(about="health", verdict="wrong", detail=error.message)]
        return [
            Finding(about="health", verdict="wrong", detail=problem) for problem in health.problems
        ] or [Finding(about="health", verdict="ok", detail="every stream can be written and read")]
    return []


async def _devices(bus: Bus) -> list[Finding]:
    """Check the devices of the bridge; without a bridge, there are none."""
    try:
        listing = await listing_of(bus)
    except Unavailable:
        return []
    except ContractError as error:
        return [Finding(about="devices", verdict="wrong", detail=error.message)]
    return [device_finding(each) for each in listing.configured]


async def _instances(bus: Bus) -> list[dict[str, Any]]:
    return [reply for reply, _ in await _replies(bus, ping_subject())]


async def _replies(
    bus: Bus, subject: str, request: bytes = b"", *, now: Callable[[], datetime] = _now
) -> list[tuple[dict[str, Any], datetime]]:
    """Return the replies of all responders, with their times of arrival."""
    inbox = bus.new_inbox()
    replies: list[tuple[dict[str, Any], datetime]] = []
    async with bus.subscribe(inbox) as answers:
        await bus.publish(subject, request, reply=inbox)
        with anyio.move_on_after(2 * ROUND_S):
            async for answer in answers:
                replies += [(orjson.loads(answer.data), now())] if answer.data else []
    return replies


class _Refusals(logging.Handler):
    """Collect the permission errors of this user from the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._details: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        detail = str(getattr(record, "detail", ""))
        if "permissions" in detail.lower():
            self._details.add(detail)

    def findings(self, *, reached: bool) -> list[Finding]:
        """Return one finding per refusal, or one `ok` if `reached` and nothing was refused."""
        none = Finding(about="permissions", verdict="ok", detail="nothing was refused")
        return [permission_finding(detail) for detail in sorted(self._details)] or [none] * reached


def _print(findings: list[Finding]) -> None:
    console = PipedConsole(soft_wrap=True)
    for each in findings:
        console.print(
            Text(MARKS[each.verdict], style=STYLES[each.verdict])
            + Text(f"{each.about}: {each.detail}")
        )
        if each.advice:
            console.print(Text(f"      {each.advice}"))
