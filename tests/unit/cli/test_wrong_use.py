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
from cwt_cli.query import Query, common_rate, lag1, read_signals
from cwt_cli.watch import chosen
from cwt_schemas.analysis import AnalysisSpec
from cwt_schemas.stream import Channel, StreamDefinition
from pycwt_client.sources import SourceError
from pycwt_mod import plan

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
    assert result.stderr.startswith(f"pycwt-mod: cannot use {tmp_path}/file/out: ")
    assert result.stderr.count("\n") == 1


def test_a_signal_without_a_lag_1_coefficient_is_named() -> None:
    with pytest.raises(CommandError, match="year: "):
        lag1("year", np.full(90, 1990, dtype=np.float32))


@pytest.mark.parametrize("option", [(), ("--channels", "a,b")])
def test_a_file_that_does_not_state_its_rate_is_named(
    tmp_path: Path, option: tuple[str, ...]
) -> None:
    # One file was told not to agree with itself.
    path = tmp_path / "d.csv"
    path.write_text("a,b\n1,2\n3,5\n")
    result = CliRunner().invoke(app, ["query", "wct", str(path), *option])
    assert result.exit_code == USAGE
    assert f"{path} does not state its sampling rate: give it" in result.stderr


def test_files_of_different_rates_are_named_with_them_and_what_to_do() -> None:
    with pytest.raises(CommandError, match=r"a\.csv 64 Hz, b\.csv 125 Hz.*--resample 64$"):
        common_rate({"a.csv": 64.0, "b.csv": 125.0})
    assert common_rate({"a.csv": 64.0, "b.csv": 64.0}) == 64


@pytest.mark.anyio
async def test_a_query_takes_the_sources_of_publish_at_one_rate(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.sin(np.arange(1000) / 20))
    np.savez(tmp_path / "b.npz", fs=40, ecg=np.sin(np.arange(400) / 8))
    files = [f"numpy:{tmp_path}/a.npy", f"{tmp_path}/b.npz"]
    with pytest.raises(SourceError, match="--fs"):
        await read_signals("wct", files, None)
    np.savez(tmp_path / "a.npz", fs=100, ecg=np.sin(np.arange(1000) / 20))
    files[0] = f"numpy:{tmp_path}/a.npz"
    with pytest.raises(CommandError, match="--resample 40"):
        await read_signals("wct", files, None)
    signals, fs_hz = await read_signals("wct", files, None, resample_hz=40)
    assert fs_hz == 40
    assert list(signals) == ["ecg", "b.npz:ecg"]
    one, other = signals.values()
    np.testing.assert_allclose(one[20:-20], other[20:-20], atol=2e-3)


def test_the_scales_of_a_query_are_those_of_the_library() -> None:
    assert Query(op="cwt", signals={}, fs_hz=1).dj == plan(300, 1.0).dj == 1 / 12


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
