"""The tools that examples in other languages need; where one is missing, the tests say so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["ROOT", "found", "needs", "node_modules"]

ROOT = Path(__file__).parents[2]

#: Folders of the system's tools, and of those that `.ci/run` builds.
_PATH = os.pathsep.join((str(ROOT / "var/bin"), os.environ.get("PATH", "")))


def found(tool: str) -> str | None:
    """Return where `tool` is."""
    return shutil.which(tool, path=_PATH)


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip a test where one of `tools` is not installed."""
    missing = [tool for tool in tools if found(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def node_modules(folder: Path) -> Path:
    """Install what the JavaScript examples need into `folder`, and copy them there."""
    shutil.copytree(ROOT / "examples/node", folder, ignore=shutil.ignore_patterns("node_modules"))
    npm = found("npm")
    assert npm is not None
    quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
    subprocess.run([npm, "install", *quiet], cwd=folder, check=True, timeout=100)
    return folder
