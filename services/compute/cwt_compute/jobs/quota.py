"""Limits on the jobs of each user, so that no user exhausts the storage of jobs.

They apply to requests whose user the server reports, as for users of accounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cwt_schemas.errors import Overloaded
from cwt_schemas.job import JobRecord

__all__ = ["UNFINISHED", "USER_BYTES", "JobQuota"]

MIB = 1024 * 1024
#: Enough for interactive use; a script with hundreds of tasks can submit them in one job.
UNFINISHED = 100
#: A quarter of the storage for results. 1000 coherences of 500 samples take 280 MB.
USER_BYTES = 512 * MIB
MAX_AGE_S = 604_800.0


@dataclass(frozen=True, kw_only=True)
class JobQuota:
    """Limits on the jobs of each user."""

    #: Maximum number of unfinished jobs; jobs take turns independent of their size.
    max_unfinished: int = UNFINISHED
    #: Maximum total size of tasks and results, bytes.
    max_bytes: int = USER_BYTES
    #: Age at which jobs expire, seconds; 0 means never.
    max_age_s: float = MAX_AGE_S

    def check(
        self, records: Iterable[JobRecord], user: str | None, wanted: int, now_ns: int
    ) -> None:
        """Check that a user may submit one more job.

        Parameters
        ----------
        records
            The jobs of all users.
        user
            User that submits the job; None if unknown, which is not limited.
        wanted
            Size of the tasks and results of the new job, bytes.

        Raises
        ------
        Overloaded
            A limit is reached; the detail contains the current amount and the limit.
        """
        if user is None:
            return
        oldest_ns = now_ns - self.max_age_s * 1e9 if self.max_age_s else 0
        own = [each for each in records if each.submitted_by == user]
        own = [each for each in own if each.created_ns >= oldest_ns]
        unfinished = sum(each.summary is None for each in own)
        if unfinished >= self.max_unfinished:
            raise Overloaded(
                f"{user} has {unfinished} unfinished jobs, the limit is {self.max_unfinished}: "
                "wait until some end, or raise CWT_USER_JOBS_MAX",
                {"count": unfinished, "limit": self.max_unfinished},
            )
        held = sum(map(room_of, own))
        if held + wanted > self.max_bytes:
            raise Overloaded(
                f"the jobs of {user} take {held / MIB:.1f} MiB, this one takes "
                f"{wanted / MIB:.1f} MiB, the limit is {self.max_bytes / MIB:.1f} MiB: wait "
                "until old jobs expire, or raise CWT_USER_JOBS_MAX_BYTES",
                {"size": held, "wanted": wanted, "limit": self.max_bytes},
            )


def room_of(record: JobRecord) -> int:
    """Return the size of a job's tasks and results, bytes; if it has ended, of existing ones."""
    if record.summary is None:
        return record.tasks.size + record.results_bytes
    return record.tasks.size + record.results_bytes * record.summary.done // record.tasks_count
