"""Where the command meets the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shell import program


def test_a_hint_names_the_command_as_this_terminal_can_run_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    assert program().endswith("bin/pycwt-mod")
    command = tmp_path / "pycwt-mod"
    command.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "pycwt-mod"
