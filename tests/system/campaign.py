"""Rounds of random faults: a recording and a job go through the system while things go wrong.

At the end of each round every result is compared with the offline transform, and all chunks,
results and outcomes of tasks are counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import numpy as np

from cwt_compute.queries.transforms import answer_cwt
from cwt_runtime.bus.errors import BusError
from cwt_schemas import storage, subjects
from cwt_schemas.errors import ContractError
from cwt_schemas.job import CwtTask
from cwt_schemas.query import CwtReply
from tests.deadlines import fail_after
from tests.jobs import POLL_S, JobClient, quick
from tests.system.laboratory import LEADER, Fault, FaultKind, Laboratory, Received, sent
from tests.system.recording import Recording, check, definition, expected_count, final

__all__ = ["Campaign", "Tally"]

#: Faults of a round, and the mean time from one to the next.
ROUND, EVERY_S = 20, 0.5
TASKS = 6
K = FaultKind
#: Faults of each service, line, server and disk: how often they happen, relative to the others, and
#: after how many seconds on average they are over. The lease of an ingest lasts 5 s, and a window
#: of a silent worker is delivered again after 10 s.
SERVICE_FAULTS = ((K.KILL, 6, 0.3), (K.PAUSE, 3, 1.5))
LINE_FAULTS = ((K.RESET, 3, 0.0), (K.DROP, 3, 1.5), (K.DELAY, 2, 1.0))
SERVER_FAULTS = ((K.KILL, 10, 0.3), (K.PAUSE, 4, 0.5))
DISK_FAULTS = (
    (K.FULL_DISK, 5, 0.7),
    (K.SLOW_DISK, 5, 0.7),
    (K.READ_ONLY_DISK, 5, 0.3),
    (K.POWER_CUT, 10, 0.1),
)
LEADER_FAULTS = ((K.KILL, 10, 1.0), (K.DROP, 10, 2.0))


@dataclass
class Tally:
    """What happened, and what became of everything that was sent."""

    faults: Counter[str] = field(default_factory=Counter)
    chunks: int = 0
    chunks_stored: int = 0
    results: int = 0
    results_lost: int = 0
    results_twice: int = 0
    tasks: int = 0
    tasks_lost: int = 0

    def __str__(self) -> str:
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"{self.faults.total()} faults ({faults}); "
            f"chunks: {self.chunks} acknowledged, {self.chunks_stored} stored; "
            f"results: {self.results} expected, {self.results_lost} lost, "
            f"{self.results_twice} twice; "
            f"tasks: {self.tasks} submitted, {self.tasks_lost} lost"
        )


@dataclass
class Campaign:
    """Faults of a laboratory, a round at a time."""

    lab: Laboratory
    rng: random.Random
    tally: Tally = field(default_factory=Tally)
    rounds: int = 0

    async def run(self, faults: int) -> None:
        """Let this number of faults happen, in rounds; check everything after each round."""
        left = faults
        while left > 0:
            self.rounds += 1
            await self.round(self.draw(min(left, ROUND)))
            left -= ROUND

    def draw(self, times: int) -> list[Fault]:
        """Return random faults of everything that the laboratory has."""
        lab = self.lab
        cases = [(who, *case) for who in lab.services for case in SERVICE_FAULTS]
        cases += [(who, *case) for who in lab.lines for case in LINE_FAULTS]
        cases += [(who, *case) for who in lab.servers for case in SERVER_FAULTS]
        cases += [(who, *case) for who in lab.disks for case in DISK_FAULTS]
        if len(lab.servers) > 1:
            cases += [(LEADER, *case) for case in LEADER_FAULTS]
        chosen = self.rng.choices(cases, [share for *_, share, _ in cases], k=times)
        return [
            Fault(
                who=who,
                kind=kind,
                at_s=self.rng.uniform(0, times * EVERY_S),
                away_s=min(self.rng.expovariate(1 / mean_s), 8 * mean_s) if mean_s else 0.0,
            )
            for who, kind, _, mean_s in chosen
        ]

    def _role(self, who: str) -> str:
        return "server" if who in self.lab.servers else self.lab.services.get(who, who)

    async def round(self, schedule: Sequence[Fault]) -> None:
        """Play a recording and compute a job while the faults happen, and check both."""
        lab, name = self.lab, f"round-{self.rounds}"
        stream, recording = definition(name), Recording.of(self.rng)
        messages = sent(name, [*recording.chunks(), final(recording)])
        await accepted(partial(lab.client.put_stream, stream))
        lab.history.clear()
        job = [quick(self.rng.randrange(2**31)) for _ in range(TASKS)]
        expected = expected_count(stream, [recording])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._job, name, job)
            every_s = len(schedule) * EVERY_S / len(messages)
            await lab.play(name, messages, schedule, every_s=every_s)
            received = await lab.received(name, expected)
        counts = await lab.bus.log.subject_counts(storage.SIGNALS, subjects.signal(name))
        stored = sum(counts.values())
        self._count(len(messages), stored, expected, received)
        assert stored == len(messages), str(lab)
        assert received.stored == len(received.results) == expected, str(lab)
        check(received.results, stream, recording)
        assert await lab.events(name) == [], str(lab)
        ended = [
            each for each, process in lab.system.processes.items() if process.poll() is not None
        ]
        assert ended == [], str(lab)

    def _count(self, chunks: int, chunks_stored: int, expected: int, received: Received) -> None:
        self.tally.faults.update(
            f"{fault.kind} ({self._role(fault.who)})" for fault in self.lab.history
        )
        self.tally.chunks += chunks
        self.tally.chunks_stored += chunks_stored
        self.tally.results += expected
        self.tally.results_lost += expected - len(received.results)
        self.tally.results_twice += received.stored - len(received.results)

    async def _job(self, name: str, tasks: Sequence[CwtTask]) -> None:
        """Have a job computed; each task has one outcome, which equals the library's."""
        client = JobClient(self.lab.bus)
        await accepted(partial(client.submit, *tasks, job_id=name))
        await client.ended(name)
        outcomes = await client.outcomes(name)
        self.tally.tasks += len(tasks)
        self.tally.tasks_lost += len(tasks) - len(outcomes)
        for number, task in enumerate(tasks):
            result = outcomes[str(number)].result
            assert isinstance(result, CwtReply), outcomes[str(number)]
            np.testing.assert_array_equal(result.wave, answer_cwt(task).wave)


async def accepted(request: Callable[[], Awaitable[object]]) -> None:
    """Repeat a request, which is idempotent, until it is answered."""
    with fail_after(60):
        while True:
            try:
                await request()
                return
            except (BusError, ContractError) as error:
                if not error.transient:
                    raise
            await anyio.sleep(POLL_S)
