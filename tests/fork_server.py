"""The fork server of all compute processes of a test process: starting one takes seconds."""

from __future__ import annotations

from services.compute import process_main
from services.compute.processes import ForkServer

__all__ = ["FORK_SERVER"]

FORK_SERVER = ForkServer(process_main.__name__)
