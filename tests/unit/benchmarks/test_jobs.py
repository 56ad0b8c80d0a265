"""What the benchmark of jobs makes of its runs."""

from __future__ import annotations

from benchmarks import jobs
from tests.text import numbers


def test_the_share_of_the_library_is_the_middle_of_all_runs_with_the_outer_ones() -> None:
    size = jobs.Size(tasks=10, samples=500, mc_count=100, runs=3)
    spent = dict.fromkeys(jobs.PROGRAMS, 0.0)
    peers = [jobs.Run(seconds=10 / jobs.CORES, cpu={"library": 9.0}) for _ in range(3)]
    own = [jobs.Run(seconds=each / jobs.CORES, cpu=spent) for each in (10.0, 12.0, 18.0)]

    ours, peer = jobs.compared(size, own, peers).measurements

    assert numbers(ours.note)[:3] == ["0.750", "0.500", "0.900"]
    assert numbers(peer.note)[:3] == ["0.900", "0.900", "0.900"]
    assert ours.seconds == tuple(run.seconds for run in own)
