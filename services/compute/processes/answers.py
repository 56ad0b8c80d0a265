"""What a compute process does: a pure function from a request to its answer."""

from __future__ import annotations

import traceback

import numpy as np

from schemas.codec import ContentType, decode, encode
from schemas.errors import ContractError, ErrorBody, Internal
from schemas.job import WctTask
from schemas.simulation import SimulateRequest
from schemas.work import JobWork, QueuedTask
from services.compute.cluster.shares import answer_simulate
from services.compute.jobs.tasks import answer_task, encoding_of, outcome_of
from services.compute.processes.ipc import IpcKind, IpcMessage

__all__ = ["answer_message", "warm_up"]


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


_PACKED = ContentType.MSGPACK


def _outcome(work: JobWork, worker: str) -> bytes:
    task = work.work
    if not isinstance(task, QueuedTask):
        raise Internal("an expansion is not for a compute process")
    outcome = outcome_of(work.job_id, work.attempt, task, worker)
    return encode(outcome, encoding_of(task), max_bytes=None)


def refusal_of(message: IpcMessage) -> ContractError:
    """Return the error in a message of kind `REFUSED`."""
    return decode(ErrorBody, message.body, _PACKED).exception()
