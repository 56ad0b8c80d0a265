"""What is started, and what keeps it from being started."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cwt_cli.faults import CommandError
from cwt_cli.ports import HttpAddress
from cwt_cli.shell import program
from cwt_cli.system import SystemPlan, check_jetstream
from cwt_cli.up import CLIENTS, ensure_accounts, welcome
from cwt_runtime.accounts.folder import write_accounts
from cwt_runtime.accounts.users import device
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.installation import install_hint
from tests.memory_bus import MemoryBus

PLAN = SystemPlan(server=None, folder=Path("d"), host="127.0.0.1", port=4222, workers=2)


def test_every_worker_is_a_process_of_its_own_name() -> None:
    programs = PLAN.programs("nats://x:1")
    assert [program.name for program in programs] == [
        "ingest",
        "compute-1",
        "compute-2",
        "hwbridge",
    ]
    assert programs[1].command[1:] == ("-P", "-m", "cwt_compute")


def test_the_gateway_is_a_service_where_it_has_an_address() -> None:
    plan = replace(PLAN, http=HttpAddress(port=8001))
    assert plan.programs("nats://x:1")[-1].command[1:] == ("-P", "-m", "cwt_gateway")
    assert plan.environment("nats://x:1")["CWT_HTTP_PORT"] == "8001"
    assert "CWT_HTTP_PORT" not in PLAN.environment("nats://x:1")


def test_the_user_of_the_environment_is_for_the_server_that_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CWT_NATS_CREDS", "c")
    joined = replace(PLAN, server=ConnectSettings(url="nats://x:1", creds="c"))
    assert joined.environment("nats://x:1")["CWT_NATS_CREDS"] == "c"
    assert "CWT_NATS_CREDS" not in PLAN.environment("nats://x:1")


def test_with_accounts_each_service_is_a_user_of_its_own() -> None:
    plan = replace(PLAN, accounts=Path("a"))
    variables = {each.name: each.variables for each in plan.programs("nats://x:1")}
    assert variables["compute-2"] == {
        "CWT_NATS_URL": "nats://x:1",
        "CWT_NATS_USER": "compute",
        "CWT_NATS_PASSWORD_FILE": "a/passwords/compute",
        "CWT_NATS_INBOX_PREFIX": "_INBOX.compute",
    }
    assert variables["ingest"]["CWT_COPIES"] == "true"
    assert {each.variables.get("CWT_NATS_USER") for each in PLAN.programs("nats://x:1")} == {None}


def test_up_writes_accounts_where_there_are_no_passwords_and_keeps_others(tmp_path: Path) -> None:
    """It took the shipped ``accounts.conf``, which has none, for a folder of accounts."""
    (tmp_path / "accounts.conf").write_text("shipped")
    ensure_accounts(tmp_path)
    assert (tmp_path / "passwords" / "icu").exists()
    write_accounts(tmp_path, [device("eeg", ["eeg"])])
    text = (tmp_path / "accounts.conf").read_text()
    ensure_accounts(tmp_path)
    assert (tmp_path / "accounts.conf").read_text() == text


def test_the_welcome_shows_what_each_user_sets_and_no_password(tmp_path: Path) -> None:
    write_accounts(tmp_path, CLIENTS)
    text = io.StringIO()
    welcome(replace(PLAN, accounts=tmp_path), "nats://x:1", Console(file=text, width=60))
    for name in ("icu", "reader", "analyst", "doctor", "operator"):
        assert f"CWT_NATS_PASSWORD_FILE={tmp_path}/passwords/{name}" in text.getvalue()
        assert (tmp_path / "passwords" / name).read_text() not in text.getvalue()


@pytest.mark.anyio
async def test_server_without_storage_is_reported_before_start() -> None:
    """It was reported after a minute, as services that do not reply."""
    with pytest.raises(CommandError, match=r"nats://far:1\b.*JetStream"):
        await check_jetstream(MemoryBus(), "nats://far:1")


@pytest.mark.parametrize(
    ("url", "told"), [("nats://127.0.0.1:4222", False), ("nats://127.0.0.1:5000", True)]
)
def test_the_welcome_tells_what_to_try(url: str, told: bool) -> None:
    text = io.StringIO()
    welcome(PLAN, url, Console(file=text, width=60))
    assert "1 x ingest, 2 x compute, 1 x hwbridge" in text.getvalue()
    assert (f"CWT_NATS_URL={url}" in text.getvalue()) == told
    assert f"\n  {program()} watch\n" in text.getvalue()


def test_the_welcome_names_the_page_first_or_what_to_install() -> None:
    text = io.StringIO()
    welcome(replace(PLAN, http=HttpAddress(port=8000)), "nats://x:1", Console(file=text, width=60))
    assert "Page:    http://127.0.0.1:8000/live" in text.getvalue().splitlines()[1]
    text = io.StringIO()
    welcome(PLAN, "nats://x:1", Console(file=text, width=120))
    assert text.getvalue().splitlines()[1].strip("│ ").endswith(install_hint("gateway"))
