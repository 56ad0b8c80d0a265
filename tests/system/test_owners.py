"""Whose a stream or a job is, and that no user of the bus passes for another one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cwt_compute.jobs.api import JobApi
from cwt_compute.jobs.quota import JobQuota
from cwt_compute.jobs.store import JobStore
from cwt_ingest.catalogue import Catalogue, WindowLimits
from cwt_ingest.purge import RecordingPurge
from cwt_runtime.accounts.users import Account, User, analyst, inbox_prefix
from cwt_runtime.bus import Bus
from cwt_runtime.bus import Message as BusMessage
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.rpc.audit import AuditLog
from cwt_runtime.rpc.caller import Caller, caller_of
from cwt_runtime.rpc.endpoint import Endpoint
from cwt_runtime.rpc.micro import Identity, serve_endpoints
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.endpoints import STREAM_ENDPOINTS
from cwt_schemas.errors import Forbidden, Overloaded
from cwt_schemas.job import JobStatus
from cwt_schemas.message import Message
from cwt_schemas.subjects import StreamVerb
from pycwt_client import connect
from tests.accounts import AccountsServer, accounts_server
from tests.deadlines import fail_after
from tests.system import scenario
from tests.system.command import run

pytestmark = [pytest.mark.anyio, pytest.mark.system]

LOG = logger("test")
QUOTA = JobQuota(max_unfinished=3, max_bytes=256 * 1024)
TASKS = [{"type": "cwt", "data": [1.0, 2.0, 4.0, 3.0] * 8, "dt": 1.0}]

FORGED = b'{"acc":"CWT","user":"operator"}'
NAME = b"Nats-Request-Info"
#: Header blocks with which a client might hide what the server says of it.
BLOCKS = {
    "none": b"",
    "a forged header": b"NATS/1.0\r\n%b: %b\r\n\r\n" % (NAME, FORGED),
    "two": b"NATS/1.0\r\n%b: %b\r\n%b: %b\r\n\r\n" % (NAME, FORGED, NAME, FORGED),
    "in lower case": b"NATS/1.0\r\n%b: %b\r\n\r\n" % (NAME.lower(), FORGED),
    "a blank before": b"NATS/1.0\r\n %b: %b\r\n\r\n" % (NAME, FORGED),
    "a blank behind": b"NATS/1.0\r\n%b : %b\r\n\r\n" % (NAME, FORGED),
    "a tab before": b"NATS/1.0\r\n\t%b: %b\r\n\r\n" % (NAME, FORGED),
    "no blank": b"NATS/1.0\r\n%b:%b\r\n\r\n" % (NAME, FORGED),
    "in a status": b"NATS/1.0 200 %b: %b\r\n\r\n" % (NAME, FORGED),
    "after a status": b"NATS/1.0 503 No\r\n%b: %b\r\n\r\n" % (NAME, FORGED),
    "no end": b"NATS/1.0\r\n%b: %b" % (NAME, FORGED),
    "another header without an end": b"NATS/1.0\r\nA: bcdefghi",
    "an end too many": b"NATS/1.0\r\n\r\n\r\n%b: %b\r\n\r\n" % (NAME, FORGED),
    "a name that is not text": b"NATS/1.0\r\n\xff\xff: a\r\n%b: %b\r\n\r\n" % (NAME, FORGED),
    "a status that is not text": b"NATS/1.0 \xff\xff\r\n\r\n",
    "no version": b"%b: %b\r\n\r\n" % (NAME, FORGED),
    "two bytes": b"\r\n",
    "four bytes": b"\r\n\r\n",
    "not headers": b"\x00\x01\x02",
}  # fmt: skip


#: A user of another account that may define streams, which no user of `pycwt-mod accounts` is.
LAB = User(
    name="lab", account=Account.ANALYSTS, subscribe=(f"{inbox_prefix('lab')}.>",),
    publish=("cwt.stream.put", "cwt.stream.get", "cwt.stream.delete", "cwt.stream.purge"),
)  # fmt: skip
USERS = (analyst("ann"), analyst("bob"), LAB)


def request(block: bytes, reply: str, body: bytes = b"{}") -> bytes:
    """Return a message with headers as they are."""
    subject = subjects.job("cancel").encode()
    if not block:
        return b"PUB %b %b %d\r\n%b\r\n" % (subject, reply.encode(), len(body), body)
    sizes = len(block), len(block) + len(body)
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (subject, reply.encode(), *sizes, block, body)


async def test_no_header_of_a_client_passes_for_another_user(tmp_path: Path) -> None:
    ann = Caller(user="ann", account=Account.ANALYSTS, is_outside=True)
    async with (
        accounts_server(tmp_path, USERS) as server,
        connect_bus(server.settings("compute"), name="compute", log=LOG) as compute,
        compute.subscribe(subjects.job("cancel")) as requests,
    ):
        arriving = aiter(requests)
        replies = ("", "_INBOX.ann.x.1", "_INBOX.operator.x.1", "_R_.x.1", "$JS.ACK.x")
        for (name, block), reply in product(BLOCKS.items(), replies):
            async with server.intruder("ann") as intruder:
                await intruder.sent(request(block, reply))
            async with server.intruder("ann") as honest:
                await honest.sent(request(b"", "_INBOX.ann.x.1", b"end"))
            found: list[BusMessage] = []
            with fail_after(10):
                while not found or found[-1].data != b"end":
                    found.append(await anext(arriving))
            callers = list(map(caller_of, found))
            assert callers[-1] == ann
            for each in callers:
                assert each.is_outside, (name, reply, found)
                assert each.user in {None, "ann"}, (name, reply, found)


@asynccontextmanager
async def owned(folder: Path) -> AsyncIterator[AccountsServer]:
    """Run a server on which streams are defined and jobs kept, and no job is computed."""
    async with (
        accounts_server(folder, USERS) as server,
        connect_bus(server.settings("compute"), name="compute", log=LOG) as compute,
        connect_bus(server.settings("ingest"), name="ingest", log=LOG) as ingest,
        serve_endpoints(compute, identity("compute"), await job_endpoints(compute), LOG),
        serve_endpoints(ingest, identity("ingest"), await stream_endpoints(ingest), LOG),
    ):
        yield server


def identity(name: str) -> Identity:
    return Identity(name=name, id=name, version="0.0.1", description="")


async def job_endpoints(bus: Bus) -> list[Endpoint]:
    store, audit = await JobStore.open(bus.log, LOG), AuditLog(bus.log)
    limit = bus.max_message_bytes
    api = JobApi(
        store, LOG, lambda _: None, audit, records={}, quota=QUOTA, max_message_bytes=limit
    )
    return api.endpoints()


async def stream_endpoints(bus: Bus) -> list[Endpoint]:
    definitions = await bus.log.bucket(storage.KV_STREAMS)
    checkpoints = await bus.log.bucket(storage.KV_CHECKPOINTS)
    limits = WindowLimits(max_message_bytes=bus.max_message_bytes, log_max_age_s=86_400.0)
    catalogue = Catalogue(definitions, checkpoints, bus.log, LOG, limits=limits, max_streams=9)
    recordings = RecordingPurge(bus.log, definitions, checkpoints, LOG)
    handlers: dict[StreamVerb, Callable[[Any], Awaitable[Message]]] = {
        "put": catalogue.put, "get": catalogue.get, "list": catalogue.list,
        "delete": catalogue.delete, "purge": recordings.purge,
    }  # fmt: skip
    return [
        Endpoint(contract=STREAM_ENDPOINTS[subjects.stream(verb)], handle=handle)
        for verb, handle in handlers.items()
    ]


async def audited(server: AccountsServer, *options: str) -> list[list[str]]:
    """Return user, action and name of what `pycwt-mod audit` shows."""
    shown = await run("audit", *options, variables=server.environment("operator"))
    return [line.split()[1:] for line in shown.splitlines()[1:]]


async def test_a_job_is_changed_by_its_owner_and_by_operators_alone(tmp_path: Path) -> None:
    async with (
        owned(tmp_path) as server,
        connect(server.settings("ann")) as ann,
        connect(server.settings("bob")) as bob,
        connect(server.settings("operator")) as operator,
    ):
        job = await ann.submit(TASKS)
        same = await bob.submit(TASKS)
        assert same.job_id == job.job_id
        assert (await same.state()).submitted_by == "ann"
        for change in (same.cancel, same.retry):
            with pytest.raises(Forbidden, match=f"change job {job.job_id} as bob: .* to ann"):
                await change()
        assert (await job.cancel()).status is JobStatus.CANCELLED
        assert (await job.retry()).submitted_by == "ann"
        assert (await operator.job(job.job_id).cancel()).status is JobStatus.CANCELLED
        own = await operator.submit(TASKS, name="own")
        with pytest.raises(Forbidden, match="belongs to operator"):
            await ann.job(own.job_id).cancel()
        assert await audited(server) == [
            ["ann", "job_submitted", job.job_id],
            ["ann", "job_cancelled", job.job_id],
            ["ann", "job_retried", job.job_id],
            ["operator", "job_cancelled", job.job_id],
            ["operator", "job_submitted", own.job_id],
        ]
        listed = await run("job", "list", variables=server.environment("bob"))
        assert {tuple(line.split()[6:7]) for line in listed.splitlines()[1:]} == {
            ("ann",),
            ("operator",),
        }


async def test_an_analyst_leaves_room_for_the_jobs_of_another(tmp_path: Path) -> None:
    large = [{"type": "cwt", "data": [1.0, 2.0] * 1000, "dt": 1.0}]
    async with (
        owned(tmp_path) as server,
        connect(server.settings("ann")) as ann,
        connect(server.settings("bob")) as bob,
    ):
        with pytest.raises(Overloaded, match="this one takes 1") as refused:
            await ann.submit(large)
        assert refused.value.detail is not None
        assert refused.value.detail["limit"] == QUOTA.max_bytes
        jobs = [await ann.submit(TASKS, name=str(number)) for number in range(3)]
        with pytest.raises(Overloaded, match=r"ann has 3 unfinished jobs, the limit is 3"):
            await ann.submit(TASKS, name="3")
        await ann.submit(TASKS, name="2")  # the same again is not one more
        await bob.submit(TASKS, name="3")
        await jobs[0].cancel()
        await ann.submit(TASKS, name="4")


async def test_a_stream_is_changed_by_its_owner_and_by_operators_alone(tmp_path: Path) -> None:
    definition = scenario.definition()
    name = definition.name
    theirs = definition.model_copy(update={"name": "theirs", "defined_by": "operator"})
    async with (
        owned(tmp_path) as server,
        connect(server.settings("gateway")) as gateway,
        connect(server.settings("operator")) as operator,
        connect(server.settings("lab")) as lab,
    ):
        for _ in range(2):  # the second one changes nothing
            assert (await gateway.put_stream(definition)).definition.defined_by == "gateway"
        assert (await lab.put_stream(theirs)).definition.defined_by == "lab"
        changed = definition.model_copy(update={"reorder_s": 2.0})
        for change in (lab.put_stream(changed), lab.delete_stream(name), lab.purge_stream("gone")):
            with pytest.raises(Forbidden, match="as lab"):
                await change
        assert (await operator.put_stream(changed)).definition.defined_by == "operator"
        listed = await run("stream", "list", variables=server.environment("operator"))
        assert [line.rpartition(" ")[2] for line in listed.splitlines()] == ["operator", "lab"]
        await lab.delete_stream("theirs")
        await operator.delete_stream(name)
        await operator.purge_stream(name)
        assert await audited(server, name) == [
            ["gateway", "stream_defined", name],
            ["operator", "stream_defined", name],
            ["operator", "stream_deleted", name],
            ["operator", "stream_purged", name],
        ]
        assert [line[:2] for line in await audited(server, "theirs")] == [
            ["lab", "stream_defined"],
            ["lab", "stream_deleted"],
        ]
