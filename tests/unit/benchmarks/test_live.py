"""The benchmarks of the live path run, with little data; nothing is said about their times."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.live.__main__ import QUICK, main, measurements
from benchmarks.live.bench import Played, Sample
from benchmarks.live.device import Device
from benchmarks.live.figures import Figure, Section, page
from benchmarks.live.floor import Tree, body, read
from benchmarks.live.processes import Usage
from benchmarks.live.results import Arrival


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_quick_run_measures_everything_and_writes_the_page(tmp_path: Path) -> None:
    output = tmp_path / "page.md"
    main(["--quick", "--output", str(output)])
    text = output.read_text()
    _, _machine, _versions, *sections = text.split("\n## ")
    assert len(sections) == len(list(measurements(QUICK)))
    for section in sections:
        assert [line for line in section.splitlines() if re.search(r"\| [\d.,]+ \S* ?\|", line)]
    for target in (">= 200,000", "< 5 ms", "< 20 ms", ">= 1.7 x", "<= 3 x"):
        assert f"| {target} |" in text
    assert text.count("| floor") == 3


def test_the_floor_says_in_a_message_what_has_to_come_of_it() -> None:
    tree: Tree = (100, ((50, ()), (60, ((20, ()),))))
    message = body(tree, 7)
    assert len(message) == 100
    sent_ns, children = read(message)
    assert (sent_ns, [size for size, _ in children]) == (7, [50, 60])
    assert len(body(children[1], sent_ns)) == 60


def test_a_result_is_late_from_the_chunk_that_brought_its_last_sample() -> None:
    device = Device(url="", stream="s", channels=1, chunk=10, count=3, every_s=0)
    played = Played(
        device=device,
        published_ns=(0, 10_000_000, 20_000_000),
        arrivals=(arrival(needed=20), arrival(needed=21)),
        samples=(),
    )
    assert [ms for _, ms in played.lags_ms()] == [20.0, 10.0]


def arrival(*, needed: int) -> Arrival:
    return Arrival(
        needed=needed, stored_ns=0, windowed_ns=0, computed_ns=0, received_ns=30_000_000
    )  # fmt: skip


def test_the_page_lists_targets_and_figures() -> None:
    figure = Figure(what="lag", values=(3.0, 1.0, 2.0), unit="ms", target="< 5 ms", note="three")
    text = page([Section(title="T", text="How.", figures=(figure,))], {}, {}, "make it")
    assert "`make it`" in text
    assert "| lag | < 5 ms | 2 ms | 1 to 3 | 3 | three |" in text


def test_processor_time_of_who_ended_in_mid_run_counts_too() -> None:
    def sample(at_s: float, **cpu_s: float) -> Sample:
        pids = {"ingest": 1, "device": 2}
        each = {
            pids[role]: Usage(role=role, cpu_s=spent, resident_bytes=0)
            for role, spent in cpu_s.items()
        }
        return Sample(at_s=at_s, processes=each, windows=0)

    samples = (sample(0, ingest=5, device=1), sample(5, ingest=6, device=3), sample(10, ingest=7))
    device = Device(url="", stream="s", channels=1, chunk=1, count=1, every_s=0)
    played = Played(device=device, published_ns=(0,), arrivals=(), samples=samples)
    assert played.cores() == {"ingest": 0.2, "device": 0.2}
