"""The twin of the ELM11 as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["simulated_elm11"]


@contextmanager
def simulated_elm11(name: str) -> Iterator[dict[str, str]]:
    """Run a twin; yield the settings of a bridge that calls it `name`."""
    command = [sys.executable, "-m", "cwt_cli", "hw", "twin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as twin:
        assert twin.stdout is not None
        port = twin.stdout.readline().strip()
        try:
            yield {"CWT_HW_PORTS": f"{name}=elm11:{port}", "CWT_HW_ELM11_PACE_S": "0"}
        finally:
            twin.terminate()
