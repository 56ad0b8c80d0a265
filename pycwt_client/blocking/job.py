"""`pycwt_client.Job` for a program that waits."""

from __future__ import annotations

from pycwt_client.blocking.face import Blocking, iterating, waiting
from pycwt_client.jobs import Job as AsyncJob

__all__ = ["Job"]


class Job(Blocking[AsyncJob]):
    """One job, as `pycwt_client.Job`; `progress` and `results` are for a ``for`` loop."""

    state = waiting(AsyncJob.state)
    cancel = waiting(AsyncJob.cancel)
    retry = waiting(AsyncJob.retry)
    wait = waiting(AsyncJob.wait)
    collect = waiting(AsyncJob.collect)
    progress = iterating(AsyncJob.progress)
    results = iterating(AsyncJob.results)

    @property
    def job_id(self) -> str:
        """Finds the job again, from any program."""
        return self._own.job_id
