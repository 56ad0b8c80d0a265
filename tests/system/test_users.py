"""The whole system where every service and every client has a user of its own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import numpy as np
import orjson
import pytest

from cwt_cli.page_key import page_with_key
from cwt_cli.ports import http_address
from cwt_cli.system import SystemPlan, running_system
from cwt_gateway.owned_streams import remove_stream
from cwt_runtime.accounts.folder import settings_of, write_accounts
from cwt_runtime.accounts.users import User, analyst, device, reader
from cwt_runtime.bus.errors import BusError, NotStoredYetError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.retry import RetryPolicy
from cwt_runtime.telemetry.logs import logger
from cwt_schemas import storage, subjects
from cwt_schemas.errors import Unavailable
from cwt_schemas.headers import MSG_ID
from cwt_schemas.limits import MAX_MESSAGE_BYTES
from cwt_schemas.query import WctReply
from pycwt_client import Client, CwtAnswer, connect
from tests.accounts import AccountsServer, accounts_server
from tests.deadlines import fail_after
from tests.system import scenario
from tests.system.command import run
from tests.system.conftest import POLL_S, RunningSystem
from tests.system.gateway import gateway_of
from tests.system.twin import simulated_elm11

pytestmark = [pytest.mark.anyio, pytest.mark.system]

USERS = (
    device(scenario.STREAM, (scenario.STREAM,)), reader("reader"),
    reader("ward", (scenario.STREAM,)), analyst("analyst"),
)  # fmt: skip
SERVICES = ("ingest", "compute", "hwbridge")


@asynccontextmanager
async def secured_system(
    folder: Path,
    users: Iterable[User] = USERS,
    environment: Mapping[str, str] | None = None,
    *,
    may_be_refused: bool = False,
) -> AsyncIterator[tuple[AccountsServer, RunningSystem]]:
    """Run the server and each service as its own user, which is refused nothing by default."""
    async with (
        accounts_server(folder, users) as server,
        connect_bus(server.settings("operator"), name="test", log=logger("test")) as bus,
    ):
        system = RunningSystem(url=server.url, bus=bus, folder=folder)
        try:
            for name in SERVICES:
                shared = {"CWT_COPIES": "true", "CWT_DEFINED_ONLY": "true"}
                own = {**server.environment(name), **shared}
                system.environment = {**own, **(environment or {})}
                await system.start(name, name)
            yield server, system
            codes = await system.stop_all()
            assert set(codes.values()) == {0}, codes
        finally:
            for name in list(system.processes):
                system.kill(name)
        assert may_be_refused or server.refusals() == []


async def test_a_device_publishes_and_readers_read_what_comes_of_it(tmp_path: Path) -> None:
    samples = scenario.signal(1000)
    expected = scenario.expected(samples)
    async with secured_system(tmp_path) as (server, system):
        await is_refused_before_it_is_defined(server, system)
        async with connect(server.settings("operator")) as operator:
            await operator.put_stream(scenario.definition())
        async with connect(server.settings(scenario.STREAM)) as own:
            await scenario.publish(own, samples)
        for name in ("reader", "ward"):
            async with connect(server.settings(name)) as client:
                found = await scenario.collect(client, len(expected))
                assert scenario.blank(found).keys() == expected.keys()
                assert await client.next_seq() > len(expected)
        shown = await run("watch", scenario.STREAM, "--once", variables=server.environment("ward"))
        assert scenario.STREAM in shown
        assert "nothing was refused" in await run("doctor", variables=server.environment("doctor"))


async def test_a_device_marks_its_own_stream_and_hides_no_result(tmp_path: Path) -> None:
    """A result is discarded if its id is that of an earlier message in the log of results."""
    samples = scenario.signal(1000)
    expected = scenario.expected(samples)
    name = scenario.STREAM
    async with secured_system(tmp_path, may_be_refused=True) as (server, _system):
        async with connect(server.settings("operator")) as operator:
            for each in (name, "other"):
                await operator.put_stream(scenario.definition().model_copy(update={"name": each}))
        async with connect(server.settings(name)) as own, server.client(name) as raw:
            for number, result in enumerate(expected):
                body = {"schema": "signal.marker/1", "stream": name, "t_ns": number, "text": "x"}
                headers = {MSG_ID: result}
                reply = await raw.request(
                    subjects.marker(name), orjson.dumps(body), headers=headers, timeout=20
                )
                assert not orjson.loads(reply.data).get("duplicate")
            marker = await own.mark(name, "stimulus", epoch=scenario.EPOCH, first_sample=7)
            with pytest.raises(BusError):
                await own.mark("other", "x", t_ns=0, retry=RetryPolicy(max_tries=1))
            await scenario.publish(own, samples)
        async with connect(server.settings("ward")) as ward:
            found = await scenario.collect(ward, len(expected))
            assert scenario.blank(found).keys() == expected.keys()
            async with ward.markers(name) as feed:
                with fail_after(30):
                    read = [await anext(feed) for _ in range(len(expected) + 1)]
            assert read[-1] == marker
        async with connect(server.settings(name)) as own:
            with fail_after(60), pytest.raises(NotStoredYetError, match="600 markers a minute"):
                await mark_without_end(own, name)


async def mark_without_end(client: Client, stream: str) -> None:
    for number in itertools.count():
        await client.mark(stream, "y", t_ns=number, retry=RetryPolicy(max_tries=1))


async def is_refused_before_it_is_defined(server: AccountsServer, system: RunningSystem) -> None:
    """Return once the log takes no samples of a stream that is not defined."""
    with fail_after(30):
        while subjects.SIGNALS in (await system.bus.log.usage(storage.SIGNALS)).subjects:  # noqa: ASYNC110 - another process
            await anyio.sleep(POLL_S)
    async with connect(server.settings(scenario.STREAM)) as own:
        with pytest.raises(BusError, match="not defined"):
            async with own.publisher(
                scenario.STREAM, "early", retry=RetryPolicy(max_tries=1), defined=False
            ) as publisher:
                await publisher.publish(np.zeros((4, 2)))
    assert await system.bus.log.last_seq(storage.SIGNALS) == 0


async def test_an_analyst_gets_answers_and_job_results_of_every_size(tmp_path: Path) -> None:
    x = np.random.default_rng(1).standard_normal((2, 10_000))
    async with (
        secured_system(tmp_path) as (server, system),
        connect(server.settings("analyst"), timeout_s=20) as client,
    ):
        assert (await client.health()).status == "ok"
        with fail_after(60):
            small = await client.wct(x[0, :2000], x[1, :2000], 1.0, significance_level=None)
            assert small.coherence.nbytes
            large = await client.cwt(x[0], 1.0)
            assert large.coefs.nbytes > MAX_MESSAGE_BYTES
            task = {"type": "cwt", "data": x[0], "dt": 1.0, "dj": 1 / 12}
            results = await (await client.submit([task, task])).collect()
        assert [each.error for each in results] == [None, None]
        outcome = results[0].value()
        assert isinstance(outcome, CwtAnswer)
        assert np.array_equal(outcome.coefs, large.coefs)
        held = await system.bus.log.last_seq(f"OBJ_{storage.OBJECTS}")
        assert held, "the results were to be too large for messages"


async def test_the_gateway_serves_its_clients_as_a_user_of_its_own(tmp_path: Path) -> None:
    samples = scenario.signal(1000)
    async with secured_system(tmp_path) as (server, system):
        system.environment = {**server.environment("gateway"), "CWT_HTTP_PORT": "0"}
        gateway = await gateway_of(system)
        async with gateway.client() as http:
            assert (await http.get("/readyz")).status_code == 200
            assert (await http.get("/health")).json()["problems"] == []
            body = scenario.definition().model_dump_json(exclude={"schema_id"})
            json = {"Content-Type": "application/json"}
            put = await http.put(f"/api/v1/streams/{scenario.STREAM}", content=body, headers=json)
            assert put.is_success, put.text
            async with connect(server.settings(scenario.STREAM)) as own:
                await scenario.publish(own, samples)
            query = {"signal1": samples[:, 0].tolist(), "signal2": samples[:, 1].tolist(),
                     "dt": 0.01, "significance_level": None}  # fmt: skip
            reply = await http.post("/api/v1/wavelet/wct", json=query)
            assert WctReply.model_fields.keys() & reply.json().keys(), reply.text
            job = {"tasks": [{"type": "cwt", "data": query["signal1"], "dt": 0.01}]}
            submitted = await http.post("/api/v1/jobs", json=job)
            assert submitted.status_code == 202, submitted.text
            with fail_after(60):
                where = submitted.headers["Location"]
                while (await http.get(where)).json()["status"] != "completed":
                    pass
            assert (await http.get(f"{where}/results/0")).is_success
            marker = await http.post(
                f"/api/v1/streams/{scenario.STREAM}/markers", json={"text": "here"}
            )
            assert marker.is_success, marker.text
            for page in ("results", "events", "markers", "samples"):
                shown = await http.get(f"/api/v1/streams/{scenario.STREAM}/{page}")
                assert shown.is_success, shown.text
        async with connect(server.settings("gateway")) as own:
            with fail_after(60):
                await remove_stream(own, scenario.STREAM)
        log = system.bus.log
        results = subjects.results_of(scenario.STREAM)
        assert not await log.subject_counts(storage.SIGNALS, subjects.signal(scenario.STREAM))
        assert not await log.subject_counts(storage.RESULTS, results)


async def test_an_analyst_uses_a_device_and_all_workers_through_compute(tmp_path: Path) -> None:
    with simulated_elm11("lua0") as device:
        async with (
            secured_system(tmp_path, environment=device) as (server, _),
            connect(server.settings("analyst"), timeout_s=60) as client,
        ):
            operator = server.environment("operator")
            assert "(simulated)" in await run("hw", "info", "lua0", variables=operator)
            listed = await run("hw", "list", variables=server.environment("analyst"))
            assert "lua0: elm11 on" in listed
            for backend in ("elm11", "cluster"):
                found = await client.significance(
                    0.5, 0.5, 1.0, 0.5, 4.0, 1, mc_count=20, backend=backend, seed=1
                )
                assert found.backend_used == backend
                assert np.isfinite(found.signif).all()


async def test_an_operator_reads_dead_letters_and_removes_a_recording(tmp_path: Path) -> None:
    async with secured_system(tmp_path) as (server, system):
        await system.bus.log.store(
            subjects.window(scenario.STREAM, "a"), b"not a window", msg_id="poison"
        )
        with fail_after(60):
            async with system.bus.log.replay(storage.DEAD, (subjects.DEAD,)) as letters:
                assert (await anext(letters)).message.subject == subjects.dead("compute")
        variables = server.environment("operator")
        async with connect(server.settings("operator")) as operator:
            await operator.put_stream(scenario.definition())
        await run("stream", "delete", scenario.STREAM, "--data", "--yes", variables=variables)
        done = ("stream_defined", "stream_deleted", "stream_purged")
        shown = (await run("audit", scenario.STREAM, variables=variables)).splitlines()[1:]
        assert [line.split()[1:] for line in shown] == [
            ["operator", action, scenario.STREAM] for action in done
        ]


async def test_up_runs_everything_with_users_of_its_own_over_tls(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts"
    write_accounts(accounts, USERS)
    plan = SystemPlan(
        server=None, folder=tmp_path / "data", host="127.0.0.1", port=-1, workers=1,
        log_folder=tmp_path / "logs", accounts=accounts, http=http_address(-1),
    )  # fmt: skip
    samples = scenario.signal(1000)
    async with running_system(plan, logger("test"), kill=anyio.Event()) as system:
        await system.client.put_stream(scenario.definition())
        await scenario.publish(system.client, samples)
        reading = settings_of(reader("reader"), accounts, system.server.url)
        async with connect(reading) as client:
            expected = scenario.expected(samples)
            assert (await scenario.collect(client, len(expected))).keys() == expected.keys()
        assert plan.http is not None
        async with httpx.AsyncClient(base_url=plan.http.origin) as http:
            assert (await http.get("/health")).json()["problems"] == []
            async with page_with_key(plan.http, system.client.bus) as page:
                key = {"X-API-Key": page.partition("#key=")[2]}
                with fail_after(10):
                    while not (await http.post("/api/v1/session", headers=key)).is_success:
                        http.cookies.clear()
                assert (await http.get("/api/v1/streams")).json()["streams"]
            with fail_after(10):
                while (await http.get("/api/v1/streams")).status_code != 401:
                    pass
        doctor = plan.connection_of("doctor", system.server.url)
        assert "nothing was refused" in await run("doctor", variables=doctor.variables)
        with pytest.raises(Unavailable, match="cannot verify the certificate"):
            async with connect(replace(reading, tls_ca=None), timeout_s=20):
                pass
    assert "iolation" not in (tmp_path / "data" / "nats-server.log").read_text()
