"""Child processes of low priority that compute the tasks of jobs and the shares of simulations.

They do not share the interpreter lock with live results and queries. A task that crashes its
process does not affect others, and a cancelled one is killed immediately. The processes are forks
of one process that has imported the library, so a new one is ready within milliseconds.
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
