"""deploy/nats: the accounts that are shipped, and the configurations that include them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cwt_cli.__main__ import app
from cwt_cli.accounts import users_of
from cwt_runtime.accounts.folder import password_file, write_accounts
from cwt_runtime.accounts.nats_config import accounts_config
from cwt_runtime.accounts.users import device, reader
from cwt_runtime.process.embedded_server import server_binary
from cwt_schemas.limits import MAX_PAYLOAD_BYTES, MAX_PENDING_BYTES

NODE = {
    "NODE": "n1", "LISTEN": "127.0.0.1:-1", "MONITOR": "127.0.0.1:-1", "CLUSTER": "127.0.0.1:-1",
    "ROUTES": "[]", "ROUTE_PASSWORD": "secret",
}  # fmt: skip


def test_the_shipped_accounts_are_those_that_the_command_writes(root: Path) -> None:
    shipped = (root / "deploy/nats/accounts.conf").read_text()
    assert shipped == accounts_config(users_of(["icu"], ["reader"], ["analyst"]))


@pytest.mark.parametrize("name", ["server.conf", "cluster.conf"])
def test_the_server_takes_the_configuration_with_the_accounts(
    root: Path, tmp_path: Path, name: str
) -> None:
    text = (root / "deploy/nats" / name).read_text()
    assert f"max_payload: {MAX_PAYLOAD_BYTES}\n" in text
    assert f"max_pending: {MAX_PENDING_BYTES}\n" in text
    write_accounts(tmp_path, users_of(["icu", "eeg=a,b"], ["reader", "ward=icu"], ["analyst"]))
    (tmp_path / name).write_text(text.replace('"/data"', f'"{tmp_path}"'))
    checked = subprocess.run(
        [server_binary(), "-t", "-c", str(tmp_path / name)],
        env={**os.environ, **NODE, "STORE": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_monitoring_which_has_no_users_is_on_loopback_alone(root: Path) -> None:
    assert '\nhttp: "127.0.0.1:' in (root / "deploy/nats/server.conf").read_text()


def test_the_accounts_deny_nothing_because_they_allow_nothing_by_default(root: Path) -> None:
    shipped = (root / "deploy/nats/accounts.conf").read_text()
    assert "deny" not in shipped
    assert shipped.count("publish: [") == shipped.count("{ user: ")


def test_secrets_are_for_their_owner_alone_and_kept_when_users_are_added(tmp_path: Path) -> None:
    write_accounts(tmp_path, [device("icu", ["icu"])])
    first = password_file(tmp_path, "icu").read_text()
    password_file(tmp_path, "compute").write_text("")
    write_accounts(tmp_path, [device("icu", ["icu"]), reader("ward")])
    assert password_file(tmp_path, "icu").read_text() == first
    assert password_file(tmp_path, "ward").read_text() != first
    for path in (*(tmp_path / "passwords").iterdir(), tmp_path / "passwords.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "passwords").stat().st_mode) == 0o700
    assert password_file(tmp_path, "compute").read_text(), "a user without a password"
    assert first in (tmp_path / "passwords.conf").read_text()
    assert first not in (tmp_path / "accounts.conf").read_text()


def test_the_command_writes_the_users_of_its_options(tmp_path: Path) -> None:
    options = ["--device", "icu", "--reader", "ward=icu", "--analyst", "lab"]
    assert CliRunner().invoke(app, ["accounts", str(tmp_path), *options]).exit_code == 0
    assert {"icu", "ward", "lab", "ingest"} <= {
        each.name for each in (tmp_path / "passwords").iterdir()
    }
    wrong = CliRunner().invoke(app, ["accounts", str(tmp_path), "--device", "a b"])
    assert wrong.exit_code != 0
    assert "a b" in wrong.output


def test_the_command_makes_a_certificate_and_says_where_it_goes(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["accounts", str(tmp_path), "--tls", "bus.example"])
    assert done.exit_code == 0
    config = tmp_path / "server.conf"
    (line,) = (each for each in done.output.splitlines() if "tls {" in each)
    config.write_text(f"listen: 127.0.0.1:-1\n{line[line.index('tls {') :]}")
    checked = subprocess.run(
        [server_binary(), "-t", "-c", config], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("names", [("a", "a"), ("a-b", "a_b"), ("ingest",)])
def test_two_users_do_not_share_a_password(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="more than one user has the password variable"):
        accounts_config([device(name, ["s"]) for name in names])


@pytest.mark.parametrize("name", ["", "a b", 'a"', "a.b", "*", "../x", "$x"])
def test_a_name_that_is_not_a_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a user name"):
        reader(name)
