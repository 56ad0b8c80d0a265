"""A stream that keeps the newest message of each subject: changed by who knows what it holds."""

from __future__ import annotations

import pytest

from cwt_runtime.bus import Bus, StoredMessage
from cwt_runtime.bus.errors import RevisionConflictError
from cwt_schemas import storage, subjects
from tests.deadlines import fail_after

pytestmark = pytest.mark.anyio

SUBJECT = subjects.job_result("job", "0")


async def outcomes(bus: Bus, *, headers_only: bool = False) -> list[StoredMessage]:
    pattern = (subjects.job_results_of("job"),)
    with fail_after(10):
        async with bus.log.read(
            storage.JOB_RESULTS, pattern, headers_only=headers_only
        ) as messages:
            return [stored async for stored in messages]


async def test_the_first_outcome_of_a_task_is_stored_and_no_second_one(bus: Bus) -> None:
    await bus.log.store(SUBJECT, b"first", msg_id="a", expect_seq=0)

    with pytest.raises(RevisionConflictError):
        await bus.log.store(SUBJECT, b"second", msg_id="b", expect_seq=0)

    assert [each.message.data for each in await outcomes(bus)] == [b"first"]


async def test_an_outcome_takes_the_place_of_the_one_that_it_names(bus: Bus) -> None:
    first = await bus.log.store(SUBJECT, b"first", msg_id="a", expect_seq=0)
    await bus.log.store(subjects.job_result("job", "1"), b"other", msg_id="o", expect_seq=0)

    second = await bus.log.store(SUBJECT, b"second", msg_id="b", expect_seq=first.seq)

    assert [each.message.data for each in await outcomes(bus)] == [b"other", b"second"]
    with pytest.raises(RevisionConflictError):
        await bus.log.store(SUBJECT, b"late", msg_id="c", expect_seq=first.seq)
    assert second.seq == 3


async def test_storing_the_same_message_again_meets_itself_as_a_conflict(bus: Bus) -> None:
    """A publish that timed out may be stored; a retry finds the stored message."""
    await bus.log.store(SUBJECT, b"first", msg_id="a", expect_seq=0)

    with pytest.raises(RevisionConflictError):
        await bus.log.store(SUBJECT, b"first", msg_id="a", expect_seq=0)

    assert [each.message.data for each in await outcomes(bus)] == [b"first"]


async def test_headers_can_be_read_without_bodies(bus: Bus) -> None:
    await bus.log.store(SUBJECT, b"a large result", msg_id="a", headers={"Cwt-Status": "done"})

    (stored,) = await outcomes(bus, headers_only=True)

    assert stored.message.data == b""
    assert stored.message.headers["Cwt-Status"] == "done"
    assert (stored.message.subject, stored.seq) == (SUBJECT, 1)
