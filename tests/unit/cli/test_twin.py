"""The twin of the ELM11 behaves as the maker describes the board's prompt."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cwt_cli.twin.console import Console
from tests.deadlines import SCALE


class Typist:
    def __init__(self) -> None:
        self.shown = b""
        self.pending = b""
        self.console = Console(self._show, self._typed)

    def types(self, text: str) -> str:
        self.shown = b""
        self.console.type(text.encode())
        return self.shown.decode().replace("\x1b[32m", "").replace("\x1b[0m", "")

    def _show(self, data: bytes) -> None:
        self.shown += data

    def _typed(self) -> bytes:
        pending, self.pending = self.pending, b""
        return pending


@pytest.fixture
def typist() -> Typist:
    return Typist()


def test_an_expression_is_echoed_and_answered(typist: Typist) -> None:
    assert typist.types("6*7\r") == "6*7\r\n42\r\n$ "


def test_colours_surround_the_prompt(typist: Typist) -> None:
    typist.types("x = 1\r")
    assert typist.shown.endswith(b"\x1b[32m$ \x1b[0m")


def test_a_local_dies_with_its_line(typist: Typist) -> None:
    assert typist.types("local x = 5\r").endswith("$ ")
    assert "nil" in typist.types("x\r")


def test_an_unfinished_line_is_continued(typist: Typist) -> None:
    assert typist.types("for i = 1, 2 do\r").endswith("$$ ")
    assert typist.types("print(i) end\r").endswith("1\r\n2\r\n$ ")


def test_an_error_has_a_traceback(typist: Typist) -> None:
    assert "stdin:1: sand" in typist.types("error('sand')\r")


def test_libraries_come_with_an_import_and_the_host_is_out_of_reach(typist: Typist) -> None:
    assert typist.types("string == nil and io == nil and python == nil\r").count("true") == 1
    typist.types('import("string")\r')
    assert "5" in typist.types("string.len('seven')\r")


def test_command_mode_is_left_by_exit(typist: Typist) -> None:
    assert typist.types("cmd\r").endswith("/ ")
    assert "unknown command" in typist.types("6*7\r")
    assert typist.types("exit\r").endswith("$ ")


def test_key_q_stops_running_program(typist: Typist) -> None:
    typist.pending = b"q"
    assert "<user interruption>" in typist.types("while true do end\r")


def test_a_backspace_takes_a_character_back(typist: Typist) -> None:
    assert "42" in typist.types("6*78\b\r")


def test_the_heap_ends_at_a_mebibyte_and_the_prompt_comes_back(typist: Typist) -> None:
    shown = typist.types("t = {} for i = 1, 1e6 do t[i] = i end\r")
    assert "not enough memory" in shown
    assert shown.endswith("$ ")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "cwt_cli", "hw", "twin"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.slow
def test_the_command_prints_its_port_answers_there_and_ends_when_told(
    process: subprocess.Popen[str],
) -> None:
    assert process.stdout is not None
    port = os.open(process.stdout.readline().strip(), os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, b"6*7\rwhile true do end\r")
        shown = b""
        while b"while" not in shown and select.select([port], [], [], 10)[0]:
            shown += os.read(port, 1000)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10 * SCALE) == 0
        assert b"42" in shown
    finally:
        os.close(port)
