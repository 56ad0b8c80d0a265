"""How a job stands: whatever workers and clients do in whatever order, nothing is counted twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cwt_compute.jobs import model
from cwt_compute.jobs.model import Outcome, Tally
from cwt_schemas.errors import Conflict
from cwt_schemas.job import JobRecord, JobStatus
from cwt_schemas.message import StoredObject
from tests.thorough import cases

TASKS = 3


def record(**changed: object) -> JobRecord:
    where = StoredObject(bucket="cwt_objects", name="t", size=1, sha256="0" * 64)
    fresh = JobRecord(job_id="j", digest="0" * 16, tasks_count=TASKS, tasks=where, created_ns=1)
    return fresh.model_copy(update=changed)


def tally(*statuses: str) -> Tally:
    return Tally(
        {
            str(number): Outcome(
                status="done" if status == "done" else "failed", seq=number + 1, stored_ns=10
            )
            for number, status in enumerate(statuses)
            if status != "-"
        }
    )


@pytest.mark.parametrize(
    ("started", "outcomes", "expected"),
    [
        (None, (), JobStatus.QUEUED),
        (5, (), JobStatus.RUNNING),
        (5, ("done", "-", "failed"), JobStatus.RUNNING),
        (5, ("done", "done", "done"), JobStatus.COMPLETED),
        (5, ("done", "failed", "done"), JobStatus.FAILED),
    ],
)
def test_the_status_follows_from_what_was_asked_and_what_happened(
    started: int | None, outcomes: tuple[str, ...], expected: JobStatus
) -> None:
    assert model.status(record(started_ns=started), tally(*outcomes)) is expected


def test_what_is_left_from_some_task_on_names_what_each_replaces() -> None:
    outcomes = tally("failed", "failed", "-")
    assert model.unfinished(record(), outcomes) == (("0", 1), ("1", 2), ("2", 0))
    assert model.unfinished(record(), outcomes, start=1) == (("1", 2), ("2", 0))


def test_a_job_whose_tasks_are_lost_has_failed_and_can_be_taken_up_again() -> None:
    lost = model.tasks_lost(record(started_ns=5), tally("done"), 20)
    assert model.status(lost, tally("done")) is JobStatus.FAILED
    assert model.tasks_lost(lost, tally("done", "done"), 30) == lost
    assert model.retried(lost, tally("done")).attempt == 2


def test_what_was_counted_stays_counted_when_the_log_forgets_it() -> None:
    ended = model.finalized(record(started_ns=5), tally("done", "failed", "done"))

    told = model.state(ended, Tally(), results=True)

    assert (told.status, told.done, told.failed, told.progress) == (JobStatus.FAILED, 2, 1, 100)


def test_a_job_that_ended_by_itself_cannot_be_cancelled() -> None:
    with pytest.raises(Conflict, match="already completed"):
        model.cancelled(record(), tally("done", "done", "done"), 20)


def test_cancelling_twice_changes_nothing() -> None:
    once = model.cancelled(record(), tally("done"), 20)

    assert model.cancelled(once, tally("done", "done", "done"), 30) == once
    assert model.status(once, tally("done", "done", "done")) is JobStatus.CANCELLED


def test_a_failure_that_is_tried_again_is_neither_done_nor_failed() -> None:
    outcomes = tally("done", "failed", "done")
    again = model.retried(model.finalized(record(started_ns=5), outcomes), outcomes)

    told = model.state(again, outcomes, results=True)

    assert (told.status, told.done, told.failed) == (JobStatus.QUEUED, 2, 0)
    assert [task.status for task in told.results] == ["done", "queued", "done"]
    assert model.unfinished(again, outcomes) == (("1", 2),)


@dataclass
class Log:
    """The log of outcomes: one per task, replaced only by an update that names the stored one."""

    newest: dict[str, Outcome] = field(default_factory=dict)
    seq: int = 0

    def store(self, task: str, status: str, replaces: int) -> bool:
        there = self.newest.get(task)
        if (there.seq if there else 0) != replaces:
            return False
        self.seq += 1
        self.newest[task] = Outcome(
            status="done" if status == "done" else "failed", seq=self.seq, stored_ns=self.seq
        )
        return True


@dataclass(frozen=True)
class Queued:
    task: str
    attempt: int
    replaces: int


class JobMachine(RuleBasedStateMachine):
    """Workers that take, die, repeat and answer late; clients that cancel and retry meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.record = record()
        self.log = Log()
        self.queue: list[Queued] = []
        #: Computed by a worker that has not stored it yet, or died before it acknowledged.
        self.held: list[Queued] = []
        self.clock = 100
        self.done_once: set[str] = set()
        self.ended_counts: tuple[int, int] | None = None
        self.expand()

    @property
    def tally(self) -> Tally:
        return Tally(dict(self.log.newest))

    def expand(self) -> None:
        for task, replaces in model.unfinished(self.record, self.tally):
            self.queue.append(Queued(task, self.record.attempt, replaces))

    @rule()
    def expand_again(self) -> None:
        """A worker died while it put tasks on the queue: another one does it once more."""
        if model.is_active(self.record, self.record.attempt):
            self.expand()

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), redelivered=st.booleans())
    def take(self, data: st.DataObject, redelivered: bool) -> None:
        number = data.draw(st.integers(0, len(self.queue) - 1))
        task = self.queue[number]
        if not redelivered:
            del self.queue[number]
        if not model.is_active(self.record, task.attempt):
            return
        there = self.log.newest.get(task.task)
        if there is not None and there.seq != task.replaces:
            return
        self.clock += 1
        self.record = model.started(self.record, self.clock)
        self.held.append(task)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), status=st.sampled_from(["done", "failed"]))
    def finish(self, data: st.DataObject, status: str) -> None:
        task = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        if self.log.store(task.task, status, task.replaces) and status == "done":
            assert task.task not in self.done_once, "a result was replaced"
            self.done_once.add(task.task)

    @rule()
    def look(self) -> None:
        self.record = model.finalized(self.record, self.tally)

    @rule()
    def cancel(self) -> None:
        self.clock += 1
        try:
            self.record = model.cancelled(self.record, self.tally, self.clock)
        except Conflict:
            assert model.status(self.record, self.tally) in {
                JobStatus.COMPLETED,
                JobStatus.FAILED,
            }

    @rule()
    def retry(self) -> None:
        try:
            self.record = model.retried(self.record, self.tally)
        except Conflict:
            return
        self.expand()

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        told = model.state(self.record, self.tally, results=True)
        assert told.done + told.failed <= TASKS
        assert told.done == len(self.done_once)
        assert len(told.results) == TASKS
        assert 0 <= told.progress <= 100

    def teardown(self) -> None:
        """With workers that live, every job that was not cancelled comes to its end."""
        if self.record.summary is None:
            self.held.clear()
            self.expand()
            for task in self.queue:
                there = self.log.newest.get(task.task)
                if task.attempt == self.record.attempt and (
                    there is None or there.seq == task.replaces
                ):
                    self.log.store(task.task, "done", task.replaces)
            assert model.status(self.record, self.tally).ended


TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(max_examples=cases(200), stateful_step_count=40, deadline=None)


@given(outcomes=st.lists(st.sampled_from(["done", "failed", "-"]), min_size=TASKS, max_size=TASKS))
def test_what_is_left_and_what_is_done_are_all_tasks(outcomes: list[str]) -> None:
    found = tally(*outcomes)

    left = {task for task, _ in model.unfinished(record(), found)}

    done = {task for task, each in found.outcomes.items() if each.status == "done"}
    assert left | done == {str(number) for number in range(TASKS)}
    assert not left & done
