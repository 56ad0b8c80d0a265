"""Settings of a compute worker."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cwt_runtime.settings import ServiceSettings

__all__ = ["ComputeSettings"]


class ComputeSettings(ServiceSettings):
    """Beyond what every service reads: how much is computed at once."""

    compute_threads: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="windows computed at the same time"
    )
    query_threads: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="queries computed at the same time, beside the windows; as many quick ones"
    )
    query_backlog_s: Annotated[float, Field(gt=0)] = Field(
        30.0, description="estimated seconds of queries that wait, per thread; more is refused"
    )
    job_processes: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="tasks of jobs computed at the same time, in processes of low priority"
    )
    compute_max_tries: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="deliveries of a window or a task before it is given up as a dead letter"
    )
