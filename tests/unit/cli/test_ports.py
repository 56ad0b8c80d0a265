"""The ports of the server and of the gateway, before either is started."""

from __future__ import annotations

import socket
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from cwt_cli import ports
from cwt_cli.__main__ import app
from cwt_cli.faults import USAGE, CommandError
from cwt_cli.ports import DEFAULT_HTTP_PORT, HttpAddress, check_host, check_port, http_address
from cwt_gateway.settings import GatewaySettings
from tests.servers import free_port

ROOT = Path(__file__).parents[3]


def test_port_in_use_error_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CommandError, match=f"CWT_NATS_URL=nats://127.0.0.1:{port}.*--port"):
            check_port("127.0.0.1", port)
        with pytest.raises(CommandError, match=f"port {port} .*--http-port -1"):
            http_address(port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "lab.example.org"])
def test_server_without_users_listens_on_loopback_unless_insecure(host: str) -> None:
    result = CliRunner().invoke(app, ["up", "--host", host])
    assert result.exit_code == USAGE
    assert f"--host {host} can be reached from other machines" in result.stderr
    assert "--secure DIR" in result.stderr
    assert "--insecure" in result.stderr
    check_host(host, insecure=True)


def test_a_server_with_users_may_be_opened_to_other_machines(tmp_path: Path) -> None:
    """It goes on to the next check, whether the address is one of this machine."""
    result = CliRunner().invoke(app, ["up", "--host", "192.0.2.7", "--secure", str(tmp_path)])
    assert result.exit_code == USAGE
    assert "cannot listen on 192.0.2.7:4222" in result.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_flag(host: str) -> None:
    check_host(host, insecure=False)


def test_any_free_port_needs_no_check() -> None:
    check_port("127.0.0.1", -1)


def test_an_address_that_is_not_here_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match=r"203\.0\.113\.1:4222"):
        check_port("203.0.113.1", 4222)
    monkeypatch.setenv("CWT_HTTP_HOST", "203.0.113.1")
    with pytest.raises(CommandError, match=r"203\.0\.113\.1:8000"):
        http_address(8000)


@pytest.mark.parametrize("port", [-1, 0])
def test_any_free_port_is_chosen_before_the_gateway_starts(port: int) -> None:
    found = http_address(port)
    assert found is not None
    assert found.port > 0
    found.close()


def test_demo_uses_free_port_if_default_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        found = http_address(taken, or_any=True)
        assert found is not None
        assert found.port != taken
        found.close()


def test_two_systems_never_choose_the_same_port() -> None:
    """The gateway of a second demo ended six times, and its demo with it."""
    port = free_port()
    first, second = http_address(port), http_address(port, or_any=True)
    assert first is not None
    assert second is not None
    assert (first.port, second.port != port) == (port, True)
    with pytest.raises(CommandError, match="in use"):
        http_address(port)
    for each in (first, second):
        each.close()


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/live"),
        ("0.0.0.0", "http://127.0.0.1:8000/live"),
        ("::1", "http://[::1]:8000/live"),
        ("lab.example", "http://lab.example:8000/live"),
    ],
)
def test_the_page_is_at_an_address_that_a_browser_takes(host: str, page: str) -> None:
    assert HttpAddress(host=host, port=8000).page == page


def test_gateway_requires_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(ports, "version", version)
    assert http_address(-1) is None


def test_what_the_gateway_needs_is_what_its_extra_installs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    names = {Requirement(each).name for each in extras["gateway"]}
    assert set(ports.GATEWAY_NEEDS) == names - {"pycwt-mod"}


def test_the_usual_port_is_the_gateways_own() -> None:
    assert GatewaySettings().http_port == DEFAULT_HTTP_PORT
