"""Child processes of low priority that compute the tasks of jobs and the shares of simulations.

They do not share the interpreter's lock with live results and queries. A task that crashes its
process fails alone, and a cancelled one is killed immediately. They are forks of one process that
has imported the library, so a new one computes within milliseconds.
"""

from cwt_compute.processes.fork_server import ForkServer
from cwt_compute.processes.ipc import IpcKind
from cwt_compute.processes.pool import (
    ComputeFaultError,
    ComputeProcess,
    ProcessDiedError,
    ProcessPool,
    open_pool,
)

__all__ = [
    "ComputeFaultError",
    "ComputeProcess",
    "ForkServer",
    "IpcKind",
    "ProcessDiedError",
    "ProcessPool",
    "open_pool",
]
