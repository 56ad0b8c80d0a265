"""Every way to connect as a user, against a server that lets in nothing else."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import nkeys
import numpy as np
import pytest

from cwt_cli.doctor import checkup
from cwt_cli.faults import CommandError
from cwt_cli.system import check_jetstream
from cwt_runtime.bus import Bus
from cwt_runtime.bus.errors import UnusableConnectionError
from cwt_runtime.bus.nats import connect_bus
from cwt_runtime.process.embedded_server import open_server, start_server
from cwt_runtime.rpc.context import MIN_EARLY_BYTES
from cwt_runtime.settings import ServiceSettings, SettingsError, StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry.logs import configure_logs, logger
from cwt_schemas import storage, subjects
from cwt_schemas.errors import Unavailable
from pycwt_client import ConnectSettings, blocking, connect
from tests.contract.test_services import running
from tests.credentials import new_key
from tests.deadlines import fail_after
from tests.servers import free_port

pytestmark = pytest.mark.anyio

LOG = logger("test")
PASSWORD = "correct horse"


def users(*, inbox: str = "_INBOX") -> str:
    """Return the configuration of one user `device`, which may subscribe to one inbox prefix."""
    return (
        f'authorization {{ users: [{{ user: device, password: "{PASSWORD}", '
        f'permissions: {{ publish: ">", subscribe: ["{inbox}.>", "a"] }} }}] }}'
    )


async def said_over(settings: ConnectSettings) -> bytes:
    """Return what arrives of a message that is published over such a connection."""
    async with (
        connect(settings, timeout_s=20) as client,
        client.bus.subscribe("a") as heard,
    ):
        await client.bus.publish("a", b"in")
        return (await anext(aiter(heard))).data


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[str]:
    async with start_server(tmp_path / "nats", settings=users()) as server:
        yield server.url


async def test_a_password_from_a_file_lets_its_user_in(guarded: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    settings = ConnectSettings(url=guarded, user="device", password_file=str(password))
    assert await said_over(settings) == b"in"
    with pytest.raises(Unavailable):
        async with connect(guarded, timeout_s=0.5):
            pass


async def test_a_program_connects_as_the_environment_says(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    monkeypatch.setenv("CWT_NATS_URL", guarded)
    monkeypatch.setenv("CWT_NATS_USER", "device")
    monkeypatch.setenv("CWT_NATS_PASSWORD_FILE", str(password))
    monkeypatch.setenv("CWT_DRAIN_S", "for a service alone")
    async with connect(timeout_s=20) as client, client.bus.subscribe("a"):
        pass
    monkeypatch.setenv("CWT_NATS_CREDS", "c")
    with pytest.raises(SettingsError, match="CWT_NATS_USER and CWT_NATS_CREDS"):
        async with connect():
            pass


async def test_a_token_from_a_file_lets_in(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{PASSWORD}\n")
    config = f'authorization {{ token: "{PASSWORD}" }}'
    async with start_server(tmp_path / "nats", settings=config) as server:
        settings = ConnectSettings(url=server.url, token_file=str(token))
        assert await said_over(settings) == b"in"


async def test_the_seed_of_an_nkey_lets_its_user_in(tmp_path: Path) -> None:
    seed, _, public_key = new_key(nkeys.PREFIX_BYTE_USER)
    file = tmp_path / "seed"
    file.write_bytes(seed + b"\n")
    config = f"authorization {{ users: [ {{ nkey: {public_key} }} ] }}"
    async with start_server(tmp_path / "nats", settings=config) as server:
        settings = ConnectSettings(url=server.url, nkey_seed_file=str(file))
        assert await said_over(settings) == b"in"


@pytest.mark.parametrize("content", ["", "SUAA", "not a seed", "é"])
async def test_a_file_without_a_seed_is_named_and_not_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "seed"
    file.write_text(content)
    with pytest.raises(Unavailable, match=str(file)) as caught:
        async with connect(ConnectSettings(nkey_seed_file=str(file)), timeout_s=5):
            pass
    assert not content or content not in str(caught.value)


async def test_a_blocking_client_takes_the_same_settings(guarded: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    settings = ConnectSettings(url=guarded, user="device", password_file=str(password))

    def use() -> str:
        with blocking.connect(settings, timeout_s=20) as client:
            return type(client).__name__

    assert await anyio.to_thread.run_sync(use) == "Client"


async def test_a_changed_password_is_used_when_the_connection_is_made_again(
    tmp_path: Path,
) -> None:
    password, config = tmp_path / "password", tmp_path / "users.conf"
    password.write_text(PASSWORD)
    config.write_text(users())
    async with open_server(tmp_path / "nats", settings='include "../users.conf"') as server:
        url = (await server.start()).url
        settings = ConnectSettings(url=url, user="device", password_file=str(password))
        async with connect(settings, timeout_s=20) as client:
            await server.stop()
            password.write_text("battery staple")
            config.write_text(users().replace(PASSWORD, "battery staple"))
            await server.start()
            with fail_after(20):
                async with client.bus.subscribe("a") as heard:
                    await client.bus.publish("a", b"in")
                    assert (await anext(aiter(heard))).data == b"in"


@pytest.mark.parametrize("content", [None, "", "\n", b"\xff"])
async def test_a_file_that_cannot_be_read_is_named_and_not_shown(
    tmp_path: Path, content: str | bytes | None
) -> None:
    password = tmp_path / "password"
    if content is not None:
        password.write_bytes(content.encode() if isinstance(content, str) else content)
    settings = ConnectSettings(user="device", password_file=str(password))
    with pytest.raises(Unavailable, match=f"password file {password}") as caught:
        async with connect(settings, timeout_s=5):
            pass
    assert isinstance(caught.value.__cause__, UnusableConnectionError)


async def test_credentials_of_an_argument_and_of_settings_contradict_each_other() -> None:
    settings = ConnectSettings(user="device", password_file="p")
    with pytest.raises(ValueError, match="`user` and `creds`"):
        async with connect(settings, creds="c"):
            pass


async def test_no_secret_is_logged_whether_its_user_is_let_in_or_not(
    guarded: str, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    text = io.StringIO()
    configure_logs(ServiceSettings(log_level="debug"), text)
    for content in (PASSWORD, "battery staple"):
        password.write_text(content)
        settings = ConnectSettings(url=guarded, user="device", password_file=str(password))
        with anyio.move_on_after(0.5):
            async with connect_bus(settings, name="test", log=logger("test")):
                pass
    assert "bus_connected" in text.getvalue()
    assert PASSWORD not in text.getvalue()
    assert "battery staple" not in text.getvalue()


async def test_all_that_a_client_does_stays_under_its_inbox_prefix(tmp_path: Path) -> None:
    """Queries, their early parts, jobs and readers, where it may hear nothing else."""
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    accounts = (
        "accounts { A: { jetstream: enabled, users: [ { user: service, password: s }, "
        f'{{ user: device, password: "{PASSWORD}", '
        'permissions: { publish: ">", subscribe: "_INBOX.device.>" } } ] } }'
    )
    x = np.random.default_rng(1).standard_normal((2, 4000))
    async with start_server(tmp_path / "nats", settings=accounts) as server:
        service = server.url.replace("//", "//service:s@")
        async with connect_bus(service, name="service", log=LOG) as bus:
            await bus.log.declare(system_topology(StorageSettings()))
            settings = ConnectSettings(
                url=server.url,
                user="device",
                password_file=str(password),
                inbox_prefix="_INBOX.device",
            )
            async with running(bus, "compute"), connect(settings, timeout_s=20) as client:
                await client.health()
                answer = await client.wct(x[0], x[1], 1.0, significance_level=None)
                assert answer.coherence.nbytes > MIN_EARLY_BYTES
                job = await client.submit([{"type": "cwt", "data": x[0], "dt": 1.0}])
                assert (await job.collect(60))[0].error is None


async def test_a_domain_is_the_jetstream_that_a_client_reads_and_writes(tmp_path: Path) -> None:
    """Here it is that of another account, since the client's own has none."""
    accounts = (
        "accounts { NEAR: { users: [ { user: near, password: n } ], imports: [ "
        '{ service: { account: FAR, subject: "$JS.API.>" }, to: "$JS.far.API.>" }, '
        '{ service: { account: FAR, subject: "$O.>" } }, '
        '{ service: { account: FAR, subject: "cwt.>" } } ] }, '
        "FAR: { jetstream: enabled, users: [ { user: far, password: f } ], exports: [ "
        '{ service: "$JS.API.>", response_type: stream }, { service: "$O.>" }, '
        '{ service: "cwt.>" } ] } }'
    )
    async with start_server(tmp_path / "nats", settings=accounts) as server:
        near = ConnectSettings(url=server.url.replace("//", "//near:n@"), domain="far")
        far = ConnectSettings(url=server.url.replace("//", "//far:f@"))
        async with (
            connect_bus(far, name="far", log=LOG) as there,
            connect_bus(near, name="near", log=LOG) as here,
        ):
            await there.log.declare(system_topology(StorageSettings()))
            await here.log.store(subjects.result("s", "a"), b"1", msg_id="1")
            async with here.log.read(storage.RESULTS, (subjects.RESULTS,)) as stored:
                assert [each.message.data async for each in stored] == [b"1"]
            kept = await (await here.log.objects(storage.REPLIES)).put("x", bytes(3_000_000))
            assert await (await here.log.objects(kept.bucket)).get("x") == bytes(3_000_000)
            assert await there.log.last_seq(storage.RESULTS) == 1


async def test_a_client_of_a_leaf_node_uses_the_domain_behind_it(tmp_path: Path) -> None:
    """All of the log, and the commands that look at JetStream."""
    port = free_port()
    hub_config = (
        f'jetstream {{ domain: hub, store_dir: "{tmp_path}/hub-store" }}\n'
        f'leafnodes {{ listen: "127.0.0.1:{port}" }}'
    )
    leaf_config = (
        f'jetstream {{ domain: leaf, store_dir: "{tmp_path}/leaf-store" }}\n'
        f'leafnodes {{ remotes: [ {{ url: "nats-leaf://127.0.0.1:{port}" }} ] }}'
    )
    async with (
        start_server(tmp_path / "hub", settings=hub_config) as hub,
        start_server(tmp_path / "leaf", settings=leaf_config) as leaf,
        connect_bus(hub.url, name="hub", log=LOG) as there,
        connect_bus(ConnectSettings(url=leaf.url, domain="hub"), name="leaf", log=LOG) as here,
    ):
        with fail_after(60):
            await jetstream_of(here)
            await here.log.declare(system_topology(StorageSettings()))
            await here.log.store(subjects.window("s", "a"), b"1", msg_id="1")
            async with here.log.consume(storage.WINDOWS, storage.COMPUTE_WINDOWS) as queue:
                await (await queue.next()).ack()
            bucket = await here.log.bucket(storage.KV_STREAMS)
            await bucket.put("s", b"2")
            assert await bucket.keys() == ("s",)
            kept = await (await here.log.objects(storage.REPLIES)).put("x", bytes(3_000_000))
            assert await (await here.log.objects(kept.bucket)).get("x") == bytes(3_000_000)
            await check_jetstream(here, leaf.url)
            about = {each.about: each.verdict for each in await checkup(here)}
        assert {about[name] for name in ("JetStream", *storage.JETSTREAM)} == {"ok"}
        assert await (await there.log.bucket(storage.KV_STREAMS)).get("s") is not None


async def jetstream_of(bus: Bus) -> None:
    """Return when the JetStream that the bus uses answers: a leaf node connects by itself."""
    while True:
        try:
            await check_jetstream(bus, "")
        except CommandError:
            await anyio.lowlevel.checkpoint()
        else:
            return
