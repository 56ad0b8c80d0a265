"""The fork server of all compute processes of a test process: starting one takes seconds."""

from __future__ import annotations

from cwt_compute import process_main
from cwt_compute.processes import ForkServer

__all__ = ["FORK_SERVER"]

FORK_SERVER = ForkServer(process_main.__name__)
