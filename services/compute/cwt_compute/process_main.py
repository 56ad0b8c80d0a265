"""``python -m cwt_compute.process_main FD``: the fork server, and each process it forks.

FD is the descriptor of the socket on which a `ForkServer` sends its requests. A process that was
forked answers messages: it computes the tasks of jobs and the shares of simulations.
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
from cwt_compute.processes.fork_server import ForkLoop
from cwt_compute.processes.ipc import HEADER_BYTES, IpcKind, IpcMessage, header, header_of
from cwt_schemas.codec import ContentType, decode, encode
from cwt_schemas.errors import ContractError, Internal
from cwt_schemas.job import JobWork, QueuedTask, WctTask
from cwt_schemas.query import SimulateRequest

__all__ = ["answer_all", "answer_message", "warm_up"]

#: Below live results and queries, for which a user waits; a compute process uses what they leave.
NICENESS = 10
_PACKED = ContentType.MSGPACK


def main() -> None:
    """Fork compute processes until the service ends; in each of them, answer requests."""
    with threadpoolctl.threadpool_limits(1), socket.socket(fileno=int(sys.argv[1])) as requests:
        warm_up()
        gc.freeze()  # The collector would write to, and so copy, every page that the forks share.
        request = ForkLoop(requests).run()
        if request is not None:
            os.nice(NICENESS)
            answer_all(socket.socket(fileno=request.frames), request.worker)


def answer_all(connection: socket.socket, worker: str) -> None:
    """Answer messages, one after the other, until the service closes the connection."""
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
    """Compute a small coherence, so that forks of this process import nothing any more.

    The library loads parts of SciPy on first use, which takes a second of processor time.
    """
    x, y = np.random.default_rng(0).standard_normal((2, 32))
    answer_task(WctTask(type="wct", dt=1.0, signal1=x, signal2=y, mc_count=1, seed=0))


def answer_message(message: IpcMessage, worker: str) -> IpcMessage:
    """Return the answer to a request of a service whose instance is called `worker`."""
    try:
        if message.kind is IpcKind.TASK:
            return IpcMessage(
                IpcKind.DONE, _outcome(decode(JobWork, message.body, _PACKED), worker)
            )
        share = decode(SimulateRequest, message.body, _PACKED)
        return IpcMessage(IpcKind.DONE, encode(answer_simulate(share), _PACKED))
    except ContractError as error:
        return IpcMessage(IpcKind.REFUSED, encode(error.body(), _PACKED))
    except Exception:  # noqa: BLE001 - the service decides what becomes of it
        return IpcMessage(IpcKind.FAULT, traceback.format_exc().encode())


def _outcome(work: JobWork, worker: str) -> bytes:
    task = work.work
    if not isinstance(task, QueuedTask):
        raise Internal("an expansion is not for a compute process")
    outcome = outcome_of(work.job_id, work.attempt, task, worker)
    return encode(outcome, encoding_of(task), max_bytes=None)


if __name__ == "__main__":
    main()
