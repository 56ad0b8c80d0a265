"""The command line: what it prints, and with which exit code it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
import typer
from typer.testing import CliRunner

from cwt_cli.__main__ import app
from cwt_cli.faults import USAGE, CommandError, expected_fault
from cwt_cli.samples import DEFINITION, RECORDING
from cwt_cli.shell import given_server, run_command, server, stoppable
from cwt_runtime.bus.errors import BusTimeoutError, StorageFullError
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.process.embedded_server import FolderInUseError
from cwt_runtime.settings import SettingsError
from cwt_schemas.errors import NotFound
from pycwt_mod import __version__
from tests.deadlines import fail_after


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.strip()) == (0, f"pycwt-mod {__version__}")


def test_every_command_explains_itself() -> None:
    for command in (
        "up",
        "demo",
        "publish",
        "watch",
        "export",
        "stream",
        "query",
        "bench",
        "doctor",
    ):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_the_help_names_the_variable_of_the_server() -> None:
    text = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert "CWT_NATS_URL, by default nats://127.0.0.1:4222" in text


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["publish"], ["up", "--workers", "0"], ["demo", "--speed", "-1"]]
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == USAGE


def test_a_file_that_cannot_be_read_ends_with_2_and_one_sentence() -> None:
    result = CliRunner().invoke(app, ["publish", "none.csv", "--stream", "s"])
    assert result.exit_code == USAGE
    assert result.stderr.startswith("pycwt-mod: cannot read none.csv: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ["bench"],
        ["export", "icu", "--npz", "out.npz"],
        ["hw", "list"],
        ["job", "list"],
        ["job", "submit", "cwt", str(RECORDING)],
        ["mark", "icu", "eyes closed"],
        ["publish", str(RECORDING), "--stream", "icu", "--define", str(DEFINITION)],
        ["query", "cwt", str(RECORDING), "--channels", "ecg_mV"],
        ["stream", "delete", "icu"],
        ["stream", "list"],
        ["up", "--http-port", "-1"],
        ["watch"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_every_command_connects_as_the_environment_says(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Commands took the URL alone: a missing file of credentials went unnoticed."""
    creds = tmp_path / "missing.creds"
    monkeypatch.setenv("CWT_NATS_URL", "nats://127.0.0.1:1")
    monkeypatch.setenv("CWT_NATS_CREDS", str(creds))
    result = CliRunner().invoke(app, command)
    assert result.exit_code == USAGE
    assert result.stderr == (
        f"pycwt-mod: cannot read the credentials file {creds}: No such file or directory\n"
    )


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotFound("stream x does not exist"), "stream x does not exist"),
        (StorageFullError("maximum bytes"), "CWT_SIGNALS_MAX_BYTES"),
        (BusTimeoutError("slow"), "slow"),
        (FolderInUseError("another server"), "another server"),
        (SettingsError("CWT_X: bad"), "CWT_X: bad"),
        (ExceptionGroup("", [CommandError("inner"), NotFound("other")]), "inner"),
    ],
)
def test_an_expected_fault_is_one_sentence(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught:
        run_command(failing(error))
    assert caught.value.exit_code in {1, USAGE}
    assert words in capsys.readouterr().err


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(failing(ZeroDivisionError()))
    assert expected_fault(ExceptionGroup("", [CommandError("x"), ZeroDivisionError()])) is None


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (given_server(), server().url) == (None, "nats://127.0.0.1:4222")
    monkeypatch.setenv("CWT_NATS_URL", "nats://far:1")
    assert given_server() == server() == ConnectSettings(url="nats://far:1")


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_cancels_and_the_second_tells_not_to_wait(
    number: signal.Signals,
) -> None:
    async def work(again: anyio.Event) -> None:
        os.kill(os.getpid(), number)
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True), fail_after(5):
                os.kill(os.getpid(), number)
                await again.wait()

    assert await stoppable(work)


@pytest.mark.anyio
async def test_work_that_ends_by_itself_was_not_stopped() -> None:
    async def work(_again: anyio.Event) -> None:
        await anyio.lowlevel.checkpoint()

    assert not await stoppable(work)
