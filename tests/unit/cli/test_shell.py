"""Where the command meets the process."""

from __future__ import annotations

import os
import select
import signal
import threading
from pathlib import Path

import pytest

from cwt_cli.shell import program, stop_signal
from tests.deadlines import SCALE


def test_a_hint_names_the_command_as_this_terminal_can_run_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    assert program().endswith("bin/pycwt-mod")
    command = tmp_path / "pycwt-mod"
    command.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "pycwt-mod"


def test_a_signal_that_does_not_interrupt_a_wait_ends_it() -> None:
    """The simulator went on when the signal came right before it waited for its terminal.

    A signal that another thread receives does not interrupt the wait either.
    """

    def receive() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with stop_signal() as stop:
        thread = threading.Timer(0.1, receive)
        thread.start()
        assert select.select([stop], [], [], 30 * SCALE)[0] == [stop]
        assert len(os.read(stop, 10)) == 1
    thread.join()
