"""The limits on the jobs of one user."""

from __future__ import annotations

import pytest

from cwt_compute.jobs.quota import JobQuota
from cwt_schemas.errors import Overloaded
from cwt_schemas.job import JobRecord, JobStatus, JobSummary
from cwt_schemas.message import StoredObject

NOW_NS = 10**18
QUOTA = JobQuota(max_unfinished=2, max_bytes=1000, max_age_s=60)


def job(
    user: str | None = "ann", *, done: int | None = None, age_s: int = 0, results: int = 400
) -> JobRecord:
    """A job of four tasks of 100 bytes, which has ended with `done` of them."""
    where = StoredObject(bucket="cwt_objects", name="t", size=100, sha256="0" * 64)
    ended = None
    if done is not None:
        ended = JobSummary(status=JobStatus.CANCELLED, done=done, failed=0, finished_ns=NOW_NS)
    return JobRecord(
        job_id="j", digest="0" * 16, tasks_count=4, tasks=where, submitted_by=user,
        results_bytes=results, created_ns=NOW_NS - age_s * 10**9, summary=ended,
    )  # fmt: skip


def test_a_user_has_a_number_of_jobs_that_have_not_ended() -> None:
    QUOTA.check([job(), job("bob"), job(None), job(done=0)], "ann", 1, NOW_NS)
    with pytest.raises(Overloaded, match=r"ann has 2 unfinished jobs, the limit is 2") as refused:
        QUOTA.check([job(), job()], "ann", 0, NOW_NS)
    assert refused.value.detail == {"count": 2, "limit": 2}


def test_a_user_has_room_for_tasks_and_results() -> None:
    records = [job(), job("bob"), job(done=1)]  # 500 and 200 bytes of ann
    QUOTA.check(records, "ann", 300, NOW_NS)
    with pytest.raises(Overloaded, match="CWT_USER_JOBS_MAX_BYTES") as refused:
        QUOTA.check(records, "ann", 301, NOW_NS)
    assert refused.value.detail == {"size": 700, "wanted": 301, "limit": 1000}


def test_jobs_that_have_expired_do_not_count() -> None:
    expired = [job(age_s=61), job(age_s=61)]
    QUOTA.check(expired, "ann", 1000, NOW_NS)
    with pytest.raises(Overloaded):
        JobQuota(max_unfinished=2, max_age_s=0).check(expired, "ann", 0, NOW_NS)


def test_a_user_whom_the_server_does_not_name_has_no_limits() -> None:
    QUOTA.check([job(None)] * 10, None, 10**9, NOW_NS)
