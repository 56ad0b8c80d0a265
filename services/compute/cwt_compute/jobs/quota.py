"""Limits on the jobs of one user, so that other users have room for theirs.

They apply where the server names the user of a request, as for users of accounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cwt_schemas.errors import Overloaded
from cwt_schemas.job import JobRecord

__all__ = ["UNFINISHED", "USER_BYTES", "JobQuota"]

MIB = 1024 * 1024
#: A person waits for a few; a script that submits hundreds joins their tasks in one.
UNFINISHED = 100
#: A quarter of the room for results: 1000 coherences of 500 samples have 280 MB.
USER_BYTES = 512 * MIB
MAX_AGE_S = 604_800.0


@dataclass(frozen=True, kw_only=True)
class JobQuota:
    """The limits of each user."""

    #: Jobs that have not ended: jobs take turns, however small they are.
    max_unfinished: int = UNFINISHED
    #: Bytes of tasks and results.
    max_bytes: int = USER_BYTES
    #: Age at which a job is forgotten, seconds; 0 means never.
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
            None: not known, and without limits.
        wanted
            Bytes of the tasks and results of the job.

        Raises
        ------
        Overloaded
            With the amount that the user has and the limit.
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
    """Return the bytes of a job's tasks and results: of an ended one, of those that it has."""
    if record.summary is None:
        return record.tasks.size + record.results_bytes
    return record.tasks.size + record.results_bytes * record.summary.done // record.tasks_count
