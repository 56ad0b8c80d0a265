"""The examples in the help of the commands."""

from __future__ import annotations

import shlex

import pytest
import typer
from typer.testing import CliRunner

from cwt_cli.__main__ import app
from cwt_cli.help_examples import EXAMPLES

LINES = [(command, line) for command, lines in EXAMPLES.items() for line in lines]


@pytest.mark.parametrize(("command", "line"), LINES)
def test_example_is_a_valid_command_line(command: str, line: str) -> None:
    program, *words = shlex.split(line)
    assert (program, " ".join(words).startswith(command)) == ("pycwt-mod", True)
    parsed = typer.main.get_command(app)
    for name in command.split():
        parsed = parsed.commands[name]  # type: ignore[attr-defined]
    parsed.make_context(command, words[len(command.split()) :])


@pytest.mark.parametrize("command", EXAMPLES)
def test_help_shows_the_examples(command: str) -> None:
    output = CliRunner().invoke(app, [*command.split(), "--help"]).output
    shown = " ".join(output.split())
    assert [line for line in EXAMPLES[command] if " ".join(line.split()) not in shown] == []
