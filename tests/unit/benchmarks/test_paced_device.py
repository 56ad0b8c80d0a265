"""The line that the bridge is measured on: it carries what a line of its rate carries."""

from __future__ import annotations

import pytest

from benchmarks.paced_device import Wire

BAUD = 3_000_000


def test_bytes_arrive_one_after_the_other_at_the_rate_of_the_line() -> None:
    wire = Wire()
    wire.put(bytes(range(250)) * 4, now=10.0)
    arrived = b""
    for tick in range(1, 4):
        arrived += wire.take(10.0 + tick * 0.0005, BAUD)
        assert len(arrived) == pytest.approx(150 * tick, abs=1)
    assert arrived + wire.take(20.0, BAUD) == bytes(range(250)) * 4


def test_idle_line_does_not_accumulate_credit() -> None:
    wire = Wire()
    wire.put(b"a", now=0.0)
    assert wire.take(1.0, BAUD) == b"a"
    wire.put(bytes(300), now=5.0)
    assert len(wire.take(5.0005, BAUD)) == pytest.approx(150, abs=1)
