"""The work of a task: a query without anybody waiting for it, and so with more room."""

from __future__ import annotations

from schemas.job import CwtTask, SignificanceTask, TaskReply, TaskRequest, WctTask, XwtTask
from schemas.limits import MAX_TASK_COST_S
from services.compute.queries import answer_cwt, answer_significance, answer_wct, answer_xwt
from services.compute.queries.backends import FALLBACK
from services.compute.queries.cost import cost_s

__all__ = ["answer_task", "is_spread", "needs_the_bus", "spread"]

#: The backend that spreads a simulation over all workers.
CLUSTER = "cluster"
#: Seconds of one core: below this the way to other workers is not worth it.
SPREAD_COST_S = 5.0


def answer_task(request: TaskRequest) -> TaskReply:
    """Return what the query of the same fields would answer.

    Raises
    ------
    ContractError
        The request is at fault.
    """
    match request:
        case CwtTask():
            return answer_cwt(request)
        case XwtTask():
            return answer_xwt(request)
        case WctTask():
            return answer_wct(request, max_cost_s=MAX_TASK_COST_S)
        case _:
            return answer_significance(request, max_cost_s=MAX_TASK_COST_S)


def is_spread(request: TaskRequest) -> bool:
    """Tell whether the simulation of a task is large enough for all workers."""
    return (
        isinstance(request, WctTask | SignificanceTask)
        and request.backend in {FALLBACK, CLUSTER}
        and cost_s(request) > SPREAD_COST_S
    )


def needs_the_bus(request: TaskRequest) -> bool:
    """Tell whether a task is simulated somewhere that only a service reaches."""
    backend = getattr(request, "backend", FALLBACK)
    return is_spread(request) or backend not in {FALLBACK, "joblib"}


def spread(request: TaskRequest) -> TaskRequest:
    """Return the task with its simulation on all workers, if it is large enough for that."""
    return request.model_copy(update={"backend": CLUSTER}) if is_spread(request) else request
