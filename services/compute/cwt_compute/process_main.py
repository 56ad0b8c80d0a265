"""``python -m cwt_compute.process_main FD``: the fork server, and each process it forks.

FD is the descriptor of the socket on which a `ForkServer` sends its requests. A forked process
answers messages: it computes tasks of jobs, shares of simulations and fits of models.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import traceback

import numpy as np
import threadpoolctl

from cwt_compute.cluster.shares import answer_simulate
from cwt_compute.jobs.tasks import answer_task, encoding_of, outcome_of
from cwt_compute.live.estimates import fit_models
from cwt_compute.processes.fork_server import ForkLoop
from cwt_compute.processes.ipc import HEADER_BYTES, IpcKind, IpcMessage, header, header_of
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError, Internal
from cwt_schemas.job import JobWork, QueuedTask, WctTask
from cwt_schemas.provisional import FitRequest
from cwt_schemas.simulation import SimulateRequest

__all__ = ["answer_all", "answer_message", "warm_up"]

#: Lower priority than live results and queries, for which users wait.
NICENESS = 10
_PACKED = ContentType.MSGPACK


def main() -> None:
    """Fork compute processes until the service ends; in each of them, answer requests."""
    with threadpoolctl.threadpool_limits(1), socket.socket(fileno=int(sys.argv[1])) as requests:
        warm_up()
        gc.freeze()  # else the garbage collector writes to, and so copies, all shared pages
        request = ForkLoop(requests).run()
        if request is not None:
            os.nice(NICENESS)
            answer_all(socket.socket(fileno=request.frames), request.worker)


def answer_all(connection: socket.socket, worker: str) -> None:
    """Answer messages one at a time until the service closes the connection."""
    with connection, connection.makefile("rwb") as stream:
        while len(head := stream.read(HEADER_BYTES)) == HEADER_BYTES:
            kind, length = header_of(head)
            body = stream.read(length)
            if len(body) < length:
                return
            answer = answer_message(IpcMessage(kind, body), worker)
            stream.write(header(answer))
            stream.write(answer.body)
            stream.flush()


def warm_up() -> None:
    """Compute a small coherence, so that forks of this process have everything imported.

    The library imports parts of SciPy on first use, which takes a second of processor time.
    """
    x, y = np.random.default_rng(0).standard_normal((2, 32))
    answer_task(WctTask(type="wct", dt=1.0, signal1=x, signal2=y, mc_count=1, seed=0))


def answer_message(message: IpcMessage, worker: str) -> IpcMessage:
    """Return the answer to a request of the service instance `worker`."""
    try:
        if message.kind is IpcKind.TASK:
            return IpcMessage(
                IpcKind.DONE, _outcome(decode(JobWork, message.body, _PACKED), worker)
            )
        if message.kind is IpcKind.FIT:
            fit = fit_models(decode(FitRequest, message.body, _PACKED))
            return IpcMessage(IpcKind.DONE, encode(fit, _PACKED))
        share = decode(SimulateRequest, message.body, _PACKED)
        return IpcMessage(IpcKind.DONE, encode(answer_simulate(share), _PACKED))
    except ContractError as error:
        return IpcMessage(IpcKind.REFUSED, encode(error.body(), _PACKED))
    except Exception:  # noqa: BLE001 - the service decides whether to retry
        return IpcMessage(IpcKind.FAULT, traceback.format_exc().encode())


def _outcome(work: JobWork, worker: str) -> bytes:
    task = work.work
    if not isinstance(task, QueuedTask):
        raise Internal("cannot compute an expansion: only tasks are sent to compute processes")
    outcome = outcome_of(work.job_id, work.attempt, task, worker)
    return encode(outcome, encoding_of(task), max_bytes=None)


if __name__ == "__main__":
    main()
