"""Settings of a compute worker."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cwt_compute.jobs.quota import UNFINISHED, USER_BYTES
from cwt_runtime.settings import ServiceSettings

__all__ = ["ComputeSettings"]


class ComputeSettings(ServiceSettings):
    """The settings of every service, and the concurrency and quotas of a worker."""

    compute_threads: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="windows computed concurrently"
    )
    query_threads: Annotated[int, Field(ge=1, le=256)] = Field(
        1,
        description="queries computed concurrently, in addition to windows and to the same number "
        "of quick queries",
    )
    query_backlog_s: Annotated[float, Field(gt=0)] = Field(
        30.0,
        description="estimated computing time of waiting queries per thread, seconds; more are "
        "refused",
    )
    job_processes: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="tasks of jobs computed concurrently, in processes of low priority"
    )
    user_jobs_max: Annotated[int, Field(ge=1)] = Field(
        UNFINISHED, description="maximum number of jobs of one user that have not ended"
    )
    user_jobs_max_bytes: Annotated[int, Field(ge=1)] = Field(
        USER_BYTES, description="maximum size of the tasks and results of one user's jobs, bytes"
    )
    compute_max_tries: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="deliveries of a window or task before it becomes a dead letter"
    )
