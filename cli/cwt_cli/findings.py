"""Judge the state of the system for `pycwt-mod doctor`. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from cwt_runtime.bus.errors import AccessRefusedError, UnusableConnectionError
from cwt_schemas.errors import Unavailable
from cwt_schemas.hardware import ConfiguredPort

__all__ = [
    "Finding",
    "ServerReport",
    "clock_finding",
    "connection_finding",
    "device_finding",
    "lag_finding",
    "permission_finding",
    "server_findings",
    "service_findings",
    "slow_finding",
    "storage_findings",
    "stream_findings",
]

#: Largest clock difference; events and results carry times of several machines, and a larger
#: difference makes their order unreliable.
CLOCK_LIMIT_S = 1.0
#: Oldest supported server: the first whose consumers can filter by several subjects.
OLDEST_SERVER = (2, 10)
#: Age up to which disconnected slow consumers are reported; older causes may have been resolved.
SLOW_AGE_S = 3600.0
#: Fraction of a storage limit from which it is reported as nearly full.
FULL = 0.9
#: Largest normal backlog: a worker computes a window in a fraction of a second.
LAG_LIMIT = 1000

Verdict = Literal["ok", "note", "wrong"]
#: The services to look for, the verdict if none answers, and the consequence.
REQUIRED: tuple[tuple[str, Verdict, str], ...] = (
    ("ingest", "wrong", "streams are not analysed"),
    ("compute", "wrong", "windows, queries and jobs are not computed"),
    ("gateway", "note", "the page and the HTTP interface are not available"),
)
#: All services, which should have the same version.
SERVICES = {"ingest", "compute", "hwbridge", "gateway"}

#: The server's error for a missing permission.
_VIOLATION = re.compile(
    r'Permissions Violation for (?:(?P<publish>Publish)|Subscription) to "(?P<subject>[^"]+)"',
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    about: str
    verdict: Verdict
    detail: str
    #: What to do about the problem.
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class ServerReport:
    """State of one server (`server` and `account_statz` of ``STATZ``)."""

    name: str
    version: str
    #: The server's clock, and this machine's clock when the report arrived.
    time: datetime
    received: datetime
    #: Number of connections of this account closed because they read too slowly.
    slow_consumers: int

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any], received: datetime) -> ServerReport:
        """Read a reply to ``$SYS.REQ.ACCOUNT.PING.STATZ``."""
        server, accounts = reply["server"], reply["data"].get("account_statz") or ()
        return cls(
            # A server without a configured name reports its id as its name.
            name=server["host"] if server["name"] == server["id"] else server["name"],
            version=server["ver"],
            time=time_of(server["time"]),
            received=received,
            slow_consumers=sum(each.get("slow_consumers", 0) for each in accounts),
        )


def server_findings(reports: Sequence[ServerReport]) -> list[Finding]:
    """Judge the versions and clocks of all servers of the bus."""
    oldest = ".".join(map(str, OLDEST_SERVER))
    if not reports:
        return [
            Finding(
                about="nats-server",
                verdict="wrong",
                detail="no server reports its version",
                advice=f"use version {oldest} or later, or a user that may ask (see permissions)",
            )
        ]
    findings = []
    for each in reports:
        numbers = tuple(map(int, re.findall(r"\d+", each.version)[:2]))
        is_old = numbers < OLDEST_SERVER
        findings += [
            Finding(
                about="nats-server",
                verdict="wrong" if is_old else "ok",
                detail=f"{each.name} has version {each.version}",
                advice=f"install version {oldest} or later there" if is_old else "",
            ),
            clock_finding(each),
        ]
    return findings


def slow_finding(total: int, closed: Sequence[Mapping[str, Any]], now: datetime) -> Finding:
    """Judge the connections that the servers closed because they read too slowly.

    Parameters
    ----------
    total
        Number of these connections since the servers started.
    closed
        Closed connections (`connections` of ``CONNZ``).
    now
        Current time, to ignore connections that were closed long ago.
    """
    recent = sorted(
        {
            str(each.get("name") or each.get("ip"))
            for each in closed
            if str(each.get("reason", "")).startswith("Slow Consumer")
            and (now - time_of(each["stop"])).total_seconds() < SLOW_AGE_S
        }
    )
    if recent:
        return Finding(
            about="slow consumers",
            verdict="wrong",
            detail=f"the server disconnected {', '.join(recent)} in the last hour",
            advice="give it more processor time or bandwidth, or raise the server's max_pending",
        )
    if total:
        return Finding(
            about="slow consumers",
            verdict="note",
            detail=f"{total} connections were closed since the server started",
            advice="see which services log bus_lost",
        )
    return Finding(
        about="slow consumers",
        verdict="ok",
        detail="no connection was closed for reading too slowly",
    )


def device_finding(device: ConfiguredPort) -> Finding:
    """Judge a device on a serial port of the bridge."""
    about = f"device {device.device}"
    if device.state in {"ready", "busy"}:
        return Finding(about=about, verdict="ok", detail=device.state)
    advice = {
        "absent": f"connect it, or correct CWT_HW_PORTS; `pycwt-mod hw list` lists {device.port}",
        "faulty": "reset or reconnect it, then `pycwt-mod hw selftest`",
    }[device.state]
    return Finding(
        about=about, verdict="wrong", detail=f"{device.state}: {device.detail}", advice=advice
    )


def connection_finding(error: Unavailable) -> Finding:
    """Judge why connecting to the server failed."""
    match error.__cause__:
        case AccessRefusedError():
            about = "user"
            advice = (
                "correct the user, the file or the server; services then reconnect automatically"
            )
        case UnusableConnectionError():
            about = "settings"
            advice = "correct the variable CWT_NATS_* or the file, see docs/settings.md"
        case _:  # the message includes the advice
            about, advice = "server", ""
    return Finding(about=about, verdict="wrong", detail=error.message, advice=advice)


def permission_finding(detail: str) -> Finding:
    """Judge the server's error for a user without a permission."""
    refused = _VIOLATION.search(detail)
    if refused is None:
        return Finding(about="permissions", verdict="wrong", detail=detail)
    subject, is_publish = refused["subject"], refused["publish"] is not None
    verb = "publish to" if is_publish else "subscribe to"
    advice = (
        f"allow this user to {verb} it, or connect as another user (CWT_NATS_USER, CWT_NATS_CREDS)"
    )
    if not is_publish and subject.startswith("_INBOX"):
        advice = "set CWT_NATS_INBOX_PREFIX to the inbox prefix that this user may subscribe to"
    return Finding(
        about="permissions",
        verdict="wrong",
        detail=f"this user may not {verb} {subject}",
        advice=advice,
    )


def service_findings(instances: Sequence[Mapping[str, str]], version: str) -> list[Finding]:
    """Judge the running services and their versions from their ADR-32 documents."""
    findings = []
    for name, verdict, without in REQUIRED:
        count = sum(each["name"] == name for each in instances)
        if count:
            findings.append(Finding(about=name, verdict="ok", detail=f"{count} running"))
        else:
            findings.append(
                Finding(
                    about=name,
                    verdict=verdict,
                    detail=f"not running: {without}",
                    advice=f"start it with `pycwt-mod up`, or `python -m cwt_{name}`",
                )
            )
    ours = [each for each in instances if each["name"] in SERVICES]
    others = sorted(
        {f"{each['name']} {each['version']}" for each in ours if each["version"] != version}
    )
    if others:
        findings.append(
            Finding(
                about="versions",
                verdict="wrong",
                detail=f"this command has version {version}, but there are {', '.join(others)}",
                advice="install the same version everywhere and restart these services",
            )
        )
    elif ours:
        findings.append(Finding(about="versions", verdict="ok", detail=f"all are {version}"))
    return findings


def storage_findings(account: Mapping[str, Any]) -> Finding:
    """Judge the storage used by the account."""
    used = int(account.get("storage", 0))
    limit = int(account.get("limits", {}).get("max_storage", -1))
    streams = account.get("streams", 0)
    detail = f"{used / 2**20:.0f} MiB in {streams} streams"
    if limit > 0 and used > FULL * limit:
        return Finding(
            about="storage",
            verdict="wrong",
            detail=f"{detail}, of {limit / 2**20:.0f} MiB",
            advice="lower the limits of the streams (docs/settings.md), or give the server more "
            "storage",
        )
    return Finding(about="storage", verdict="ok", detail=detail)


def stream_findings(name: str, info: Mapping[str, Any]) -> Finding:
    """Judge a stream by its information."""
    if "error" in info:
        return Finding(
            about=name,
            verdict="wrong",
            detail=str(info["error"].get("description", "missing")),
            advice="restart ingest, which creates missing streams",
        )
    size, limit = int(info["state"]["bytes"]), int(info["config"]["max_bytes"])
    detail = f"{info['state']['messages']} messages, {size / 2**20:.1f} MiB"
    cluster = info.get("cluster") or {}
    behind = [each["name"] for each in cluster.get("replicas") or () if not each.get("current")]
    if behind:
        return Finding(
            about=name,
            verdict="wrong",
            detail=f"{detail}; replicas behind: {', '.join(behind)}",
            advice="check these servers: `nats server report jetstream`",
        )
    refuses = info["config"].get("discard") == "new"
    if refuses and limit > 0 and size > FULL * limit:
        return Finding(
            about=name,
            verdict="wrong",
            detail=f"{detail}, nearly full; when full, it rejects new messages",
            advice=advice_when_full(name),
        )
    return Finding(about=name, verdict="ok", detail=detail)


def advice_when_full(name: str) -> str:
    """Return how to make room in a full stream that rejects new messages."""
    settings = {
        "KV_cwt_jobs": "lower CWT_JOBS_MAX_AGE_S, so that old jobs expire sooner",
        "KV_cwt_significance": "empty it, since it is only a cache: nats kv purge",
        "KV_cwt_keys": "revoke keys that are not used: pycwt-mod key list",
        "OBJ_cwt_objects": "raise CWT_OBJECTS_MAX_BYTES, or lower CWT_OBJECTS_MAX_AGE_S",
        "CWT_JOB_RESULTS": "raise CWT_JOB_RESULTS_MAX_BYTES, or lower CWT_JOBS_MAX_AGE_S",
        "CWT_SIGNALS": "raise CWT_SIGNALS_MAX_BYTES, or lower CWT_SIGNALS_MAX_AGE_S",
    }
    usual = f"raise CWT_{name.removeprefix('CWT_')}_MAX_BYTES, or add workers"
    return settings.get(name, usual)


def lag_finding(what: str, waiting: int, workers: int) -> Finding:
    """Judge the backlog of a queue: windows are live and must not wait, tasks of jobs may."""
    if waiting > LAG_LIMIT or (waiting and not workers):
        return Finding(
            about="lag",
            verdict="wrong" if what == "windows" or not workers else "note",
            detail=f"{waiting} {what} wait for {workers} workers",
            advice="start more workers, on any machine that reaches the server",
        )
    return Finding(about="lag", verdict="ok", detail=f"{waiting} {what} wait")


def clock_finding(server: ServerReport) -> Finding:
    """Compare this machine's clock with a server's."""
    apart = (server.received - server.time).total_seconds()
    detail = f"{abs(apart):.3f} s {'ahead of' if apart > 0 else 'behind'} that of {server.name}"
    if abs(apart) > CLOCK_LIMIT_S:
        return Finding(
            about="clock",
            verdict="wrong",
            detail=detail,
            advice="synchronise the clocks of this machine and of the server with NTP",
        )
    return Finding(about="clock", verdict="ok", detail=detail)


def time_of(text: str) -> datetime:
    """Parse a time from the server; of its nine decimals, Python reads six."""
    head, _, tail = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{tail[:6] or '0'}").replace(tzinfo=UTC)
