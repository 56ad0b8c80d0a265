"""`pycwt-mod doctor`: what is wrong with the system, and what to do about it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import anyio
import orjson
import typer
from rich.text import Text

from cwt_cli.discovery import ROUND_S
from cwt_cli.findings import (
    Finding,
    clock_finding,
    connection_finding,
    lag_finding,
    permission_finding,
    service_findings,
    storage_findings,
    stream_findings,
)
from cwt_cli.piped_console import PipedConsole
from cwt_cli.shell import run_command, server
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import BusError, BusTimeoutError, NoRespondersError
from cwt_runtime.rpc.micro import ping_subject
from cwt_runtime.storage.health import ACCOUNT_INFO, STREAM_INFO
from cwt_schemas import storage
from cwt_schemas.errors import ContractError, Unavailable
from pycwt_client import Client, connect
from pycwt_mod._version import __version__

__all__ = ["checkup", "doctor"]

TIMEOUT_S = 2.0
QUEUES = (
    ("windows", storage.WINDOWS, storage.COMPUTE_WINDOWS),
    ("tasks", storage.TASKS, storage.COMPUTE_TASKS),
)
MARKS = {"ok": "ok    ", "note": "note  ", "wrong": "WRONG "}
STYLES = {"ok": "green", "note": "yellow", "wrong": "red"}


def doctor() -> None:
    """Look at the server, the services and what is kept; exits with 1 if something is wrong."""
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


async def checkup(bus: Bus) -> list[Finding]:
    """Return everything that was looked at on a server that answers."""
    account = await _asked(bus, ACCOUNT_INFO)
    if isinstance(account, Finding):
        return [account]
    instances = await _instances(bus)
    found = [Finding(about="JetStream", verdict="ok", detail="enabled"), storage_findings(account)]
    sizes = await _streams(bus)
    for name, info in sizes.items():
        found.append(info if isinstance(info, Finding) else stream_findings(name, info))
    found += service_findings(instances, __version__)
    found += await _reported(Client(bus))
    signals = sizes[storage.SIGNALS]
    if not isinstance(signals, Finding) and "ts" in signals:
        found.append(clock_finding(signals["ts"], datetime.now(UTC)))
    workers = sum(each["name"] == "compute" for each in instances)
    for what, stream, durable in QUEUES:
        try:
            backlog = await bus.log.backlog(stream, durable)
        except BusError:
            continue  # `stream_findings` reports the missing stream
        found.append(lag_finding(what, backlog.waiting + backlog.in_flight, workers))
    return found


async def _streams(bus: Bus) -> dict[str, dict[str, Any] | Finding]:
    """Return the information of every stream: all at the same time, since each may take a while."""
    infos: dict[str, dict[str, Any] | Finding] = {}

    async def ask(name: str) -> None:
        infos[name] = await _asked(bus, STREAM_INFO + name)

    async with anyio.create_task_group() as tasks:
        for name in storage.JETSTREAM:
            tasks.start_soon(ask, name)
    return {name: infos[name] for name in storage.JETSTREAM}


async def _asked(bus: Bus, request: str) -> dict[str, Any] | Finding:
    """Return JetStream's answer to a request of its interface, or why there is none."""
    subject = f"{bus.log.api}.{request}"
    try:
        reply = await bus.request(subject, b"", timeout_s=TIMEOUT_S)
    except NoRespondersError:
        return Finding(
            about="JetStream", verdict="wrong", detail="the server has none",
            advice="start the server with JetStream (nats-server -js), or use `pycwt-mod up`",
        )  # fmt: skip
    except BusTimeoutError:
        return Finding(
            about=subject, verdict="wrong", detail=f"no answer within {TIMEOUT_S:g} s",
            advice="the server is overloaded, or this user may not ask (see permissions)",
        )  # fmt: skip
    answer = orjson.loads(reply.data)
    if isinstance(answer, dict) and request == ACCOUNT_INFO and "error" in answer:
        return Finding(
            about="JetStream", verdict="wrong", detail=str(answer["error"].get("description")),
            advice="enable JetStream for this account in the server's configuration",
        )  # fmt: skip
    return dict(answer)


async def _reported(client: Client) -> list[Finding]:
    """Return what a worker finds: it writes, and may look where this user may not."""
    try:
        health = await client.health()
    except Unavailable:
        return []  # `service_findings` reports that no worker replies
    except ContractError as error:
        return [Finding(about="health", verdict="wrong", detail=error.message)]
    return [
        Finding(about="health", verdict="wrong", detail=problem) for problem in health.problems
    ] or [Finding(about="health", verdict="ok", detail="every stream can be written and read")]


async def _instances(bus: Bus) -> list[dict[str, str]]:
    inbox = bus.new_inbox()
    found: list[dict[str, str]] = []
    async with bus.subscribe(inbox) as answers:
        await bus.publish(ping_subject(), b"", reply=inbox)
        with anyio.move_on_after(2 * ROUND_S):
            async for answer in answers:
                found += [orjson.loads(answer.data)] if answer.data else []
    return found


class _Refusals(logging.Handler):
    """Collects what this user was not permitted to do."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._details: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        detail = str(getattr(record, "detail", ""))
        if "permissions" in detail.lower():
            self._details.add(detail)

    def findings(self, *, reached: bool) -> list[Finding]:
        """Return one finding per refusal; that there was none says something once `reached`."""
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
