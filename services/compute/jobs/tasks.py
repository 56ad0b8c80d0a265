"""The work of a task: a query without anybody waiting for it, and so with more room."""

from __future__ import annotations

from schemas.job import CwtTask, TaskReply, TaskRequest, WctTask, XwtTask
from services.compute.queries import answer_cwt, answer_significance, answer_wct, answer_xwt

__all__ = ["answer_task"]


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
            return answer_wct(request)
        case _:
            return answer_significance(request)
