"""The systemd units in deploy/systemd, read and checked by systemd's own tool."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cwt_compute.settings import ComputeSettings
from cwt_gateway.settings import GatewaySettings
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_ingest.settings import IngestSettings
from cwt_runtime.accounts.folder import write_accounts
from cwt_runtime.accounts.users import service_users
from cwt_runtime.process.embedded_server import server_binary
from cwt_runtime.settings import ServiceSettings, load_settings
from tests.unit.deploy.conftest import ROOT
from tests.variables import variables

UNITS = ROOT / "deploy/systemd"
SETTINGS: dict[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "compute@": ComputeSettings,
    "hwbridge": HwBridgeSettings,
    "gateway": GatewaySettings,
}
#: systemd's scale from 0 (confined) to 10; a unit without any hardening has 9.6.
MAX_EXPOSURE = 2.0

each_service = pytest.mark.parametrize("service", SETTINGS)
analyzed = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="not installed: systemd-analyze"
)


def values(name: str, key: str) -> list[str]:
    """Return all values of a key in a unit, or in the drop-in of all units."""
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), re.MULTILINE)


def environment(service: str) -> dict[str, str]:
    """Return the variables that the unit of a service sets."""
    lines = values(f"pycwt-mod-{service}.service", "Environment")
    pairs = [word.partition("=") for line in lines for word in shlex.split(line)]
    return {name: value for name, _, value in pairs}


def test_there_is_a_unit_for_the_server_and_every_service() -> None:
    packages = {path.parents[1].name for path in ROOT.glob("services/*/*/__main__.py")}
    units = {path.stem.removeprefix("pycwt-mod-") for path in UNITS.glob("*.service")}
    assert packages == {service.rstrip("@") for service in SETTINGS}
    assert units == {"nats", *SETTINGS}


@analyzed
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    folder = shutil.copytree(UNITS, tmp_path / "units")
    for unit in folder.glob("*.service"):
        text = unit.read_text().replace("/opt/pycwt-mod/bin/python", sys.executable)
        unit.write_text(text.replace("/opt/pycwt-mod/bin/nats-server", str(server_binary())))
    units = sorted(map(str, folder.glob("pycwt-mod*.*[!d]")))
    assert len(units) == len(SETTINGS) + 2
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@analyzed
@pytest.mark.parametrize("service", ["nats", *SETTINGS])
def test_a_unit_is_confined(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drop-in applies to every unit, also to the template."""
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", str(UNITS))
    threshold = f"--threshold={MAX_EXPOSURE * 10:.0f}"
    checked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", threshold,
         str(UNITS / f"pycwt-mod-{service}.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout[-200:]


@each_service
def test_a_unit_starts_its_service_as_its_own_user(service: str) -> None:
    unit, name = f"pycwt-mod-{service}.service", service.rstrip("@")
    python, flag, module = values(unit, "ExecStart")[0].split()
    assert (python, flag) == ("/opt/pycwt-mod/bin/python", "-m")
    assert callable(importlib.import_module(f"{module}.__main__").main)
    user = next(each for each in service_users() if each.name == name)
    given = environment(service)
    assert (given["CWT_NATS_USER"], given["CWT_NATS_PASSWORD_FILE"]) == (name, f"%d/{name}")
    assert f"{given['CWT_NATS_INBOX_PREFIX']}.>" in user.subscribe
    assert f"{name}:/etc/pycwt-mod/nats/passwords/{name}" in values(unit, "LoadCredential")


@each_service
def test_every_variable_of_a_unit_is_a_valid_setting_of_its_service(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = environment(service)
    assert set(given) <= set(variables(SETTINGS[service]))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    load_settings(SETTINGS[service])


def test_a_unit_waits_for_the_service_to_drain() -> None:
    (timeout,) = values("pycwt-mod-.service.d/hardening.conf", "TimeoutStopSec")
    assert float(timeout.removesuffix("s")) > ServiceSettings().drain_s + 4


def test_the_server_accepts_the_configuration_that_the_page_makes(tmp_path: Path) -> None:
    page = (ROOT / "docs/deployment.md").read_text()
    command = next(line for line in page.splitlines() if line.strip().startswith("sed "))
    edit, source = shlex.split(command)[1:3]
    config = subprocess.run(
        ["sed", edit, str(ROOT / source)], capture_output=True, text=True, check=True
    ).stdout
    (state,) = values("pycwt-mod-nats.service", "StateDirectory")
    assert f'store_dir: "/var/lib/{state}"' in config
    assert 'listen: "127.0.0.1:4222"' in config
    write_accounts(tmp_path, ())
    file = tmp_path / "server.conf"
    file.write_text(config.replace(f"/var/lib/{state}", str(tmp_path)))
    subprocess.run([server_binary(), "-t", "-c", str(file)], capture_output=True, check=True)
