"""What a user can do wrong is told in a sentence, before anything is begun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cwt_cli.__main__ import app
from cwt_cli.faults import USAGE, CommandError
from cwt_cli.live_view import subjects_of
from cwt_cli.query import lag1
from cwt_cli.watch import chosen
from cwt_schemas.stream import AnalysisSpec, Channel, StreamDefinition

#: A command that prints without end, in a task, as the live ones do.
TALKING = """
import anyio, sys, typer
from cwt_cli.piped_console import PipedConsole
from cwt_cli.shell import run_command

say = {"print": print, "console": PipedConsole().print}[sys.argv.pop()]

async def talk():
    while True:
        say("words " * 1000)
        await anyio.lowlevel.checkpoint()

async def work():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(talk)

app = typer.Typer()
app.command()(lambda: run_command(work))
app()
"""

POWER = AnalysisSpec(
    name="power", op="cwt", channels=("a", "b"), fmin_hz=1, fmax_hz=4, hop_s=1, quantity="power"
)
STREAM = StreamDefinition(
    name="s", fs_hz=32, channels=(Channel(name="a"), Channel(name="b")), analyses=(POWER,)
)


@pytest.mark.parametrize(
    "words",
    [
        ("publish", "x.csv", "--stream", "my signal"),
        ("watch", "my signal"),
        ("job", "status", "my signal"),
        ("job", "cancel", "my signal"),
        ("hw", "info", "my signal"),
    ],
)
def test_what_cannot_be_a_name_is_refused(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == USAGE
    assert "'my signal'" in " ".join(result.stderr.split())


def test_a_picture_without_a_known_ending_is_refused_before_the_question(tmp_path: Path) -> None:
    """It was drawn last, so that the answer was lost in a traceback."""
    for name in ("out.xyz", "out"):
        result = CliRunner().invoke(app, ["query", "cwt", "x.csv", "--plot", str(tmp_path / name)])
        assert (result.exit_code, ".png" in result.stderr) == (USAGE, True)


def test_a_folder_that_cannot_be_made_is_told_before_the_demo_begins(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "file" / "out")])
    assert result.exit_code == USAGE
    assert result.stderr.startswith(f"pycwt-mod: {tmp_path}/file/out ")
    assert result.stderr.count("\n") == 1


def test_a_signal_without_a_lag_1_coefficient_is_named() -> None:
    with pytest.raises(CommandError, match="year: "):
        lag1("year", np.full(90, 1990, dtype=np.float32))


def test_an_analysis_that_is_not_there_is_told_with_those_that_are() -> None:
    subjects = subjects_of(STREAM)
    for wrong in ("coherence", None), ("power", "c"), (None, "a,b"):
        with pytest.raises(CommandError, match=r"power\b.*\ba\b.*power\b.*\bb\b"):
            chosen(subjects, *wrong)
    assert [each.channels for each in chosen(subjects, "power", "b")] == [("b",), ("a",)]
    assert chosen([], None, None) == []


@pytest.mark.slow
@pytest.mark.parametrize("printer", ["print", "console"])
def test_a_reader_that_leaves_ends_the_command_without_a_word(printer: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TALKING, printer], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, b"")
