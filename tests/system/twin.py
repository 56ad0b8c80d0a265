"""The twin of the ELM11 as a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.template import printing

__all__ = ["simulated_elm11"]


@contextmanager
def simulated_elm11(name: str) -> Iterator[dict[str, str]]:
    """Run a twin; yield the settings of a bridge that calls it `name`."""
    with printing("cwt_cli", "hw", "twin") as (_, printed):
        port = printed.readline().strip()
        yield {"CWT_HW_PORTS": f"{name}=elm11:{port}", "CWT_HW_ELM11_PACE_S": "0"}
