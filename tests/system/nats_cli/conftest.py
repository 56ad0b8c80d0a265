"""These tests need the command line of NATS; without it they are left out, as the report says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Where `.ci/run` builds it.
BUILT = Path(__file__).parents[3] / "var" / "bin"
NATS = shutil.which("nats", path=os.pathsep.join((str(BUILT), os.environ.get("PATH", ""))))

collect_ignore_glob = [] if NATS else ["test_*.py"]


def pytest_report_collectionfinish() -> str:
    if NATS is None:
        return "nats command line: not installed, so tests/system/nats_cli is left out"
    return f"nats command line: {NATS}"
