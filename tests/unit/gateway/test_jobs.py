"""Jobs over HTTP, worked on by a real worker."""

from __future__ import annotations

import io
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import anyio
import httpx
import numpy as np
import orjson
import pytest

import pycwt_mod
from cwt_gateway.app import make_app
from cwt_gateway.settings import GatewaySettings
from cwt_runtime.settings import StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import logger
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.job import JobOutcome, JobSubmit
from pycwt_client import Client
from tests.contract.test_jobs import workers
from tests.deadlines import fail_after
from tests.jobs import coherence, quick, refused
from tests.memory_bus import MemoryBus
from tests.unit.gateway.conftest import gateway

pytestmark = pytest.mark.anyio

JOBS = "/api/v1/jobs"
X = np.random.default_rng(7).standard_normal(64)


def transform(**changes: Any) -> dict[str, Any]:
    return {"type": "cwt", "data": X.tolist(), "dt": 0.5, **changes}


def events(text: str) -> list[tuple[str, Any]]:
    blocks = [block.splitlines() for block in text.split("\n\n") if block]
    assert all(len(lines) == 2 for lines in blocks), text
    return [
        (name.removeprefix("event: "), orjson.loads(data.removeprefix("data: ")))
        for name, data in blocks
    ]


async def followed(http: httpx.AsyncClient, path: str) -> list[tuple[str, Any]]:
    with fail_after(30):
        reply = await http.get(f"{path}/events")
    assert reply.headers["content-type"].startswith("text/event-stream")
    return events(reply.text)


@pytest.mark.slow
async def test_a_job_is_submitted_followed_and_read(bus: MemoryBus) -> None:
    async with workers(bus, "one"), gateway(bus) as http:
        reply = await http.post(JOBS, json={"tasks": [transform(), transform(dt=1.0)]})
        path = reply.headers["location"]
        assert (reply.status_code, path) == (202, f"{JOBS}/{reply.json()['job_id']}")
        told = await followed(http, path)
        assert [name for name, _ in told[:-1]] == ["progress"] * (len(told) - 1)
        name, last = told[-1]
        assert (name, last["status"], last["done"]) == ("end", "completed", 2)
        state = (await http.get(path)).json()
        assert [each["status"] for each in state["results"]] == ["done", "done"]
        assert (await http.delete(path)).status_code == 409
        outcome = (await http.get(f"{path}/results/0")).json()
        listed = (await http.get(JOBS, params={"status": "completed", "limit": 5})).json()["jobs"]
        assert (await http.get(JOBS, params={"limit": 0})).status_code == 422
    expected = pycwt_mod.cwt(X, 0.5, 0.25).coefs
    wave = np.array(outcome["result"]["wave"])
    np.testing.assert_allclose(wave[..., 0] + 1j * wave[..., 1], expected, rtol=1e-12)
    assert [each["job_id"] for each in listed] == [state["job_id"]]


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_an_outcome_is_read_in_any_encoding(
    bus: MemoryBus, encoding: Literal["json", "msgpack"]
) -> None:
    body = encode(
        JobSubmit(job_id="mine", tasks=(quick(),), encoding=encoding), ContentType.MSGPACK
    )
    async with workers(bus, "one"), gateway(bus) as http:
        await http.post(JOBS, content=body, headers={"Content-Type": ContentType.MSGPACK})
        await Client(bus).job("mine").wait(30)
        path = f"{JOBS}/mine/results/0"
        packed = await http.get(path, headers={"Accept": ContentType.MSGPACK})
        archive = await http.get(path, headers={"Accept": "application/x-npz"})
    outcome = decode(JobOutcome, packed.content, ContentType.MSGPACK)
    with np.load(io.BytesIO(archive.content)) as arrays:
        np.testing.assert_array_equal(arrays["wave"], outcome.result.wave)  # type: ignore[union-attr]


async def test_a_large_outcome_comes_from_the_object_store(bus: MemoryBus) -> None:
    large = transform(data=np.random.default_rng(1).standard_normal(30_000).tolist(), dj=0.25)
    async with workers(bus, "one"), gateway(bus) as http:
        await http.post(JOBS, json={"job_id": "large", "tasks": [large]})
        with fail_after(60):
            await Client(bus).job("large").wait()
        reply = await http.get(f"{JOBS}/large/results/0", headers={"Accept": ContentType.MSGPACK})
    outcome = decode(JobOutcome, reply.content, ContentType.MSGPACK, max_bytes=None)
    assert len(reply.content) > bus.max_message_bytes
    assert outcome.object is None
    assert outcome.result is not None


async def test_a_failed_task_has_its_error_and_no_archive(bus: MemoryBus) -> None:
    body = encode(JobSubmit(job_id="bad", tasks=(refused(),)), ContentType.MSGPACK)
    async with workers(bus, "one"), gateway(bus) as http:
        await http.post(JOBS, content=body, headers={"Content-Type": ContentType.MSGPACK})
        _, last = (await followed(http, f"{JOBS}/bad"))[-1]
        path = f"{JOBS}/bad/results/0"
        outcome = (await http.get(path)).json()
        archive = await http.get(path, headers={"Accept": "application/x-npz"})
        retried = await http.post(f"{JOBS}/bad/retry")
    assert (last["status"], outcome["status"]) == ("failed", "failed")
    assert outcome["error"]["code"] == "unprocessable"
    assert (archive.status_code, "constant" in archive.json()["detail"]) == (406, True)
    assert (retried.status_code, retried.json()["attempt"]) == (200, 2)


async def test_a_job_is_cancelled(bus: MemoryBus) -> None:
    tasks = tuple(coherence(seed) for seed in range(100))
    body = encode(JobSubmit(job_id="long", tasks=tasks), ContentType.MSGPACK)
    async with workers(bus, "one"), gateway(bus) as http:
        await http.post(JOBS, content=body, headers={"Content-Type": ContentType.MSGPACK})
        pending = await http.get(f"{JOBS}/long/results/99")
        assert (pending.status_code, "queued" in pending.json()["detail"]) == (404, True)
        cancelled = (await http.delete(f"{JOBS}/long")).json()
        told = await followed(http, f"{JOBS}/long")
    assert (cancelled["status"], told[-1][1]["status"]) == ("cancelled", "cancelled")


async def test_missing_resource_is_404(bus: MemoryBus) -> None:
    async with workers(bus, "one"), gateway(bus) as http:
        await http.post(JOBS, json={"job_id": "one", "tasks": [transform()]})
        for path in ("none", "none/events", "none/results/0", "a.b", "one/results/1"):
            reply = await http.get(f"{JOBS}/{path}")
            assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), path
        assert (await http.post(f"{JOBS}/none/retry")).status_code == 404
        assert (await http.post(JOBS, json={"tasks": []})).status_code == 422


class SilentBus(MemoryBus):
    """Loses every announcement of progress."""

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        reply: str | None = None,
    ) -> None:
        if not subject.startswith("cwt.progress."):
            await super().publish(subject, data, headers, reply=reply)


async def test_events_do_not_depend_on_announcements() -> None:
    bus = SilentBus()
    await bus.log.declare(system_topology(StorageSettings()))
    async with workers(bus, "one"), gateway(bus) as http:
        await http.post(JOBS, json={"job_id": "one", "tasks": [transform()]})
        told = await followed(http, f"{JOBS}/one")
    assert (told[0][0], told[-1][0], told[-1][1]["progress"]) == ("progress", "end", 100.0)


async def test_replies_that_no_archive_holds_are_not_promised_as_one(bus: MemoryBus) -> None:
    async with workers(bus, "one"), gateway(bus) as http:
        archive = await http.get(JOBS, headers={"Accept": "application/x-npz"})
        events = await http.get(f"{JOBS}/none/events", headers={"Accept": "application/json"})
    assert (archive.status_code, events.status_code) == (406, 406)


async def test_the_head_of_events_does_not_wait_for_the_end_of_the_job(bus: MemoryBus) -> None:
    async with workers(bus, "one"), gateway(bus) as http:
        job = await Client(bus).submit([coherence(seed) for seed in range(100)], job_id="waits")
        with fail_after(30):
            answer = await http.head(f"{JOBS}/waits/events")
        ended = (await job.state()).status.ended
        await job.cancel()

    assert not ended
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("leaves", ["client", "gateway"])
async def test_events_end_with_the_client_and_with_the_gateway(bus: MemoryBus, leaves: str) -> None:
    app = make_app(bus, GatewaySettings(), log=logger("gateway"))
    began, left = anyio.Event(), anyio.Event()
    headers = [(b"host", b"127.0.0.1")]
    path = f"{JOBS}/many/events"
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": headers, "root_path": "", "scheme": "http",
    }  # fmt: skip
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))
        if b"progress" in sent[-1]:
            began.set()

    async with workers(bus, "one"):
        job = await Client(bus).submit([coherence(seed) for seed in range(100)], job_id="many")
        with fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app, scope, receive, send)
                await began.wait()
                left.set() if leaves == "client" else app.state.stop.set()
        await job.cancel()
    assert b"event: progress" in b"".join(sent)
    assert b"event: end" not in b"".join(sent)
